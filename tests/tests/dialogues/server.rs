//! The server under test: our program, started for each play, or a foreign one that runs already.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::{env, fs, io, thread};

use pop3d_tests::built;

use super::form::{Dialogue, Folder};
use super::maildrop::{Kind, Maildrop};
use super::play::{Account, play};

const USER: &str = "user";
const PASSWORD: &str = "secret";
const ADMINISTRATOR: &str = "root";

/// Our program.
pub(crate) struct Program(PathBuf);

impl Program {
    /// The program that `POP3D_PROGRAM` names, or the one beside this test, built if need be.
    pub(crate) fn find() -> Self {
        if let Some(path) = env::var_os("POP3D_PROGRAM") {
            return Self(path.into());
        }
        Self(built("pop3d"))
    }

    /// Plays a dialogue with a server and a maildrop of its own.
    pub(crate) fn play(&self, dialogue: &Dialogue, kind: Kind) -> Result<(), String> {
        let broken = |error: io::Error| format!("{}:1: cannot be set up: {error}", dialogue.name);
        let folder = tempfile::tempdir().map_err(broken)?;
        let mail = folder.path().join("mail");
        let mut maildrop = Maildrop::create(&mail.join(USER), kind).map_err(broken)?;
        for message in &dialogue.messages {
            match &message.of {
                None => maildrop.deliver(&message.octets, message.name.as_deref()).map_err(broken)?,
                Some(user) => Maildrop::create(&mail.join(user), kind)
                    .and_then(|mut maildrop| maildrop.deliver(&message.octets, None))
                    .map_err(broken)?,
            }
        }
        if dialogue.folder != Folder::Mail {
            fs::remove_dir_all(mail.join(USER)).map_err(broken)?;
        }
        if dialogue.folder == Folder::File {
            fs::write(mail.join(USER), "no folder").map_err(broken)?;
        }
        let server = self.start(dialogue, folder.path()).map_err(broken)?;
        let account = Account {
            address: server.address,
            peep: server.peep,
            administrator: (ADMINISTRATOR, PASSWORD),
            user: USER,
            password: PASSWORD,
        };
        play(dialogue, &account, &mut maildrop).map_err(|wrong| format!("{wrong} ({kind:?})"))
    }

    fn start(&self, dialogue: &Dialogue, folder: &Path) -> io::Result<Server> {
        let config = folder.join("pop3d.toml");
        fs::write(&config, format!("listen = [\"127.0.0.1:0\"]\n{}", dialogue.config))?;
        let mut command = Command::new(&self.0);
        command
            .arg("-c")
            .arg(config)
            .arg("-m")
            .arg(folder.join("mail"))
            .arg("--state")
            .arg(folder.join("state"));
        command.arg("-u").arg(format!("{USER}:{PASSWORD}"));
        for user in &dialogue.users {
            command.arg("-u").arg(user);
        }
        let has_peep = dialogue.speakers().0;
        if has_peep {
            command.arg("-P").arg("0").arg("-a").arg(format!("{ADMINISTRATOR}:{PASSWORD}"));
        }
        command.args(&dialogue.options);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut log = BufReader::new(child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?);
        let listening = listening(&mut log, "listening on ").and_then(|address| {
            let peep = has_peep.then(|| listening(&mut log, "PEEP: listening on ")).transpose()?;
            Ok((address, peep))
        });
        match listening {
            Ok((address, peep)) => {
                // Nobody needs the rest of the log, but the server must not wait for a reader.
                thread::spawn(move || io::copy(&mut log, &mut io::sink()));
                Ok(Server { child, address, peep })
            }
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }
}

/// Our program, running; ends with this value.
struct Server {
    child: Child,
    address: SocketAddr,
    peep: Option<SocketAddr>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address that the log tells behind these words.
fn listening(log: &mut BufReader<ChildStderr>, words: &str) -> io::Result<SocketAddr> {
    let mut said = String::new();
    loop {
        let start = said.len();
        if log.read_line(&mut said)? == 0 {
            return Err(io::Error::other(format!("the server does not start: {said}")));
        }
        if let Some((_, address)) = said[start..].trim_end().split_once(words) {
            return address.parse().map_err(io::Error::other);
        }
    }
}

/// A server that somebody else started.
pub(crate) struct Foreign {
    address: SocketAddr,
    user: String,
    password: String,
    maildir: PathBuf,
    /// `PEEP_UNDER_TEST`, `PEEP_USER` and `PEEP_PASS`.
    peep: Option<(SocketAddr, String, String)>,
}

impl Foreign {
    /// The server that `POP3_UNDER_TEST`, `POP3_USER`, `POP3_PASS` and `POP3_MAILDIR` tell of, if they do.
    pub(crate) fn from_environment() -> Option<Self> {
        let address = env::var("POP3_UNDER_TEST").ok()?;
        let name =
            |name| env::var(name).unwrap_or_else(|_| panic!("{name} is needed beside POP3_UNDER_TEST"));
        Some(Self {
            address: address.to_socket_addrs().ok()?.next().expect("POP3_UNDER_TEST is host:port"),
            user: name("POP3_USER"),
            password: name("POP3_PASS"),
            maildir: name("POP3_MAILDIR").into(),
            peep: env::var("PEEP_UNDER_TEST").ok().map(|peep| {
                let address = peep.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
                let address = address.expect("PEEP_UNDER_TEST is host:port");
                (address, name("PEEP_USER"), name("PEEP_PASS"))
            }),
        })
    }

    /// Whether it has all that a dialogue needs.
    pub(crate) fn fits(&self, dialogue: &Dialogue) -> bool {
        let is_general = !dialogue.is_for_ours_only() && dialogue.maildrops.contains(&Kind::Maildir);
        is_general && (self.peep.is_some() || !dialogue.speakers().0)
    }

    /// Plays a dialogue in the maildrop of the one user, which is emptied before.
    pub(crate) fn play(&self, dialogue: &Dialogue) -> Result<(), String> {
        let broken = |error: io::Error| format!("{}:1: cannot be set up: {error}", dialogue.name);
        // The server may still write into the one of the dialogue before: that one is put aside first.
        let aside = self.maildir.with_extension("aside");
        if fs::rename(&self.maildir, &aside).is_ok() {
            fs::remove_dir_all(&aside).or_else(|_| fs::remove_dir_all(&aside)).map_err(broken)?;
        }
        let mut maildrop = Maildrop::create(&self.maildir, Kind::Maildir).map_err(broken)?;
        for message in &dialogue.messages {
            maildrop.deliver(&message.octets, None).map_err(broken)?;
        }
        let (peep, administrator) = match &self.peep {
            Some((address, user, password)) => (Some(*address), (user.as_str(), password.as_str())),
            None => (None, ("", "")),
        };
        let account = Account {
            address: self.address,
            peep,
            administrator,
            user: &self.user,
            password: &self.password,
        };
        play(dialogue, &account, &mut maildrop)
    }
}
