//! Threads that start children and do nothing else. A child is confined as the thread is that started it (by seccomp and
//! Landlock): so children have less than the server has, and no code runs between fork and exec.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Most threads. Each waits until its child runs its program, a good deal of a millisecond.
const THREADS_MAX: usize = 8;

type Job = Box<dyn FnOnce() + Send>;

/// What starts children.
pub(crate) struct Nursery {
    jobs: Sender<Job>,
}

impl Nursery {
    /// Threads that are confined by a function, which is called in the first of them; what that says.
    ///
    /// # Errors
    /// What the function fails by, or where there are no threads to be had.
    pub(super) fn new<T: Send + 'static>(
        confine: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<(Self, T)> {
        let (jobs, waiting) = channel();
        let (teller, told) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        spawn(move || {
            let confined = confine().and_then(|told| {
                // They are what this one is, and what one starts may send signals to what another has started.
                for _ in 1..thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX) {
                    let waiting = Arc::clone(&waiting);
                    spawn(move || serve(&waiting))?;
                }
                Ok(told)
            });
            // Whoever asked waits for it.
            let _ = teller.send(confined);
            serve(&waiting);
        })?;
        let told = told.recv().map_err(io::Error::other)??;
        Ok((Self { jobs }, told))
    }

    /// Has something done in one of the threads, and waits for it.
    ///
    /// # Errors
    /// Where there is no thread left.
    pub(super) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let (teller, told) = channel();
        let job: Job = Box::new(move || drop(teller.send(job())));
        self.jobs.send(job).map_err(|_| io::ErrorKind::BrokenPipe)?;
        told.recv().map_err(io::Error::other)
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("starter".to_owned()).spawn(work).map(drop)
}

/// Does what comes, until nobody can ask for anything.
fn serve(waiting: &Mutex<Receiver<Job>>) {
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_done_there_is_done_by_a_thread_that_was_confined() {
        let (nursery, told) = Nursery::new(|| Ok("confined")).unwrap();
        assert_eq!(told, "confined");
        let names: Vec<_> =
            (0..20).map(|_| nursery.run(|| thread::current().name().map(str::to_owned)).unwrap()).collect();
        assert!(names.iter().all(|name| name.as_deref() == Some("starter")));
        // Another thread may wait for what one has started.
        let child = nursery.run(|| Command::new("/bin/true").spawn()).unwrap();
        assert!(child.unwrap().wait().unwrap().success());
    }

    #[test]
    fn where_they_cannot_be_confined_there_are_none() {
        let refused = Nursery::new(|| Err::<(), _>(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(refused.err().map(|error| error.kind()), Some(io::ErrorKind::PermissionDenied));
    }
}
