//! The played server: the server's half of the protocol on blocking sockets, or a script for what is no PEEP server.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use pop3d_protocol::engine::Engine;
use pop3d_protocol::peep::{Action, Answer, Ranges, Session};

use crate::model::Model;

/// The administrator of every played server.
pub(crate) const USER: &str = "root";
pub(crate) const PASSWORD: &str = "se;cr=et";

/// A server on a TCP port of this machine.
pub(crate) struct Fake {
    port: u16,
    model: Arc<Mutex<Model>>,
}

impl Fake {
    /// A server that speaks the whole protocol.
    pub(crate) fn start() -> Self {
        let model = Arc::new(Mutex::new(Model::default()));
        let shared = Arc::clone(&model);
        let port = listen(move |stream| serve(stream, Session::new(), &shared));
        Self { port, model }
    }

    /// A server that answers each line as it is told; where that is nothing, it closes.
    pub(crate) fn scripted(answer: fn(&str) -> Option<&'static str>) -> Self {
        let port = listen(move |stream| follow(&stream, answer));
        Self { port, model: Arc::default() }
    }

    pub(crate) fn port(&self) -> String {
        self.port.to_string()
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap()
    }
}

/// A port where nobody listens.
pub(crate) fn unused_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

fn listen(serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = Arc::new(serve);
    // Ends with the process.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    port
}

fn follow(stream: &TcpStream, answer: fn(&str) -> Option<&'static str>) -> io::Result<()> {
    let mut writer = stream;
    for line in BufReader::new(stream).lines() {
        match answer(&line?) {
            Some(reply) => writer.write_all(reply.as_bytes())?,
            None => break,
        }
    }
    stream.shutdown(Shutdown::Write)
}

/// Speaks with one administrator to the end.
fn serve(mut stream: impl Read + Write, mut session: Session, model: &Mutex<Model>) -> io::Result<()> {
    let mut room = [0; 1024];
    loop {
        let count = stream.read(&mut room)?;
        let mut octets = &room[..count];
        while !octets.is_empty() {
            let taken = session.handle_input(octets);
            octets = &octets[taken..];
            let action = session.poll_action();
            let is_closing = matches!(action, Some(Action::Close));
            if let Some(answer) = action.and_then(|action| answer(action, model)) {
                session.handle_answer(answer);
            }
            let mut replies = [0; 1024];
            while let count @ 1.. = session.poll_output(&mut replies) {
                stream.write_all(&replies[..count])?;
            }
            if is_closing {
                return Ok(());
            }
        }
        if count == 0 {
            return Ok(());
        }
    }
}

fn answer(action: Action, model: &Mutex<Model>) -> Option<Answer> {
    match action {
        Action::Authenticate { user, password, .. } => {
            let is_right = user.text() == Some(USER) && password.text() == Some(PASSWORD);
            Some(Answer::Authenticated(is_right))
        }
        Action::Ranges => Some(Answer::Ranges(Ranges { connections: 1..=998, timeout: 0..=86_400 })),
        Action::Do(command) => Some(Answer::Done(model.lock().unwrap().answer(&command))),
        Action::Close => None,
    }
}

/// A server on a Unix socket, which can go away and come back.
pub(crate) struct Local {
    path: PathBuf,
    model: Arc<Mutex<Model>>,
    /// What came of the clients since it came back.
    open: Arc<Mutex<Vec<UnixStream>>>,
    is_stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Local {
    pub(crate) fn start(path: &Path) -> Self {
        let mut local = Self {
            path: path.to_owned(),
            model: Arc::default(),
            open: Arc::default(),
            is_stopping: Arc::default(),
            thread: None,
        };
        local.come_back();
        local
    }

    pub(crate) fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap()
    }

    pub(crate) fn come_back(&mut self) {
        let listener = UnixListener::bind(&self.path).unwrap();
        self.is_stopping.store(false, Ordering::SeqCst);
        let (model, open) = (Arc::clone(&self.model), Arc::clone(&self.open));
        let is_stopping = Arc::clone(&self.is_stopping);
        self.thread = Some(thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if is_stopping.load(Ordering::SeqCst) {
                    return;
                }
                open.lock().unwrap().push(stream.try_clone().unwrap());
                let model = Arc::clone(&model);
                thread::spawn(move || serve(stream, Session::authenticated(), &model));
            }
        }));
    }

    pub(crate) fn go_away(&mut self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(UnixStream::connect(&self.path));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        std::fs::remove_file(&self.path).unwrap();
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
