//! What programs are told of a message: variables of their environment (`transforms.md`, part 3.5).

use std::env;
use std::ffi::OsString;

use pop3d_core::transform::{Command, Message};

/// Where programs are looked for, where the configuration says nothing.
pub(crate) const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The variable of the folder for temporary files, where this process has one: where writing is bounded, that folder is what
/// its children may write in.
pub(crate) fn temporary() -> Option<(&'static str, OsString)> {
    env::var_os(TEMPORARY).map(|folder| (TEMPORARY, folder))
}

const TEMPORARY: &str = "TMPDIR";

/// Variables, each of them once; what the configuration adds goes before what we say.
pub(crate) fn environment(
    name: &str,
    version: &str,
    path: &str,
    message: &Message,
    env: &[(String, String)],
    options: &[(String, String)],
) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    let mut set = |key: &str, value: String| {
        variables.retain(|(known, _)| known != key);
        variables.push((key.to_owned(), value));
    };
    set("PATH", path.to_owned());
    set("LANG", "C.UTF-8".to_owned());
    set("POP3_USER", message.user.clone());
    set("POP3_REMOTE", message.remote.to_string());
    set("MESSAGE_NUMBER", message.number.to_string());
    set("MESSAGE_SIZE", message.octets.to_string());
    set("MESSAGE_UID", message.uid.clone());
    set("TRANSFORM_NAME", name.to_owned());
    set("POP3D_VERSION", version.to_owned());
    // As plugins and components are told: no lines for RETR.
    let (command, lines) = match message.command {
        Command::Retr => ("RETR", 0),
        Command::Top { lines } => ("TOP", lines),
    };
    set("POP3_COMMAND", command.to_owned());
    set("POP3_TOP_LINES", lines.to_string());
    for (key, value) in env {
        set(key, value.clone());
    }
    for (key, value) in options {
        let letters = key.chars().map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' => letter.to_ascii_uppercase(),
            _ => '_',
        });
        set(&format!("OPTION_{}", letters.collect::<String>()), value.clone());
    }
    variables
}
