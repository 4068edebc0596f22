//! Helpers without a process.

use super::*;

impl Host {
    /// One that is alive, has no message, and never says anything.
    pub(in crate::native) fn without_process() -> Arc<Self> {
        let (ours, _) = UnixStream::pair().unwrap();
        let outgoing = Arc::new(Outgoing::new(ours.try_clone().unwrap()));
        let shared = Arc::new(Shared { socket: ours, state: Mutex::default() });
        Arc::new(Self { name: "test".to_owned(), shared, outgoing, next: Arc::default() })
    }

    pub(in crate::native) fn die(&self) {
        self.shared.lock().ended = Some(Error::Crashed("it died".to_owned()));
    }

    pub(in crate::native) fn is_given_a_message(&self) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.shared.lock().streams.insert(number, Mailbox::default());
    }
}
