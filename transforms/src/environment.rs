//! What programs are told of a message: variables of their environment (`transforms.md`, part 3.5).

use pop3d_core::transform::{Command, Message};

/// Variables, each of them once; what the configuration adds goes before what we say.
pub(crate) fn environment(
    name: &str,
    version: &str,
    message: &Message,
    env: &[(String, String)],
    options: &[(String, String)],
) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    let mut set = |key: &str, value: String| {
        variables.retain(|(known, _)| known != key);
        variables.push((key.to_owned(), value));
    };
    set("LANG", "C.UTF-8".to_owned());
    set("POP3_USER", message.user.clone());
    set("POP3_REMOTE", message.remote.to_string());
    set("MESSAGE_NUMBER", message.number.to_string());
    set("MESSAGE_SIZE", message.octets.to_string());
    set("MESSAGE_UID", message.uid.clone());
    set("TRANSFORM_NAME", name.to_owned());
    set("POP3D_VERSION", version.to_owned());
    match message.command {
        Command::Retr => set("POP3_COMMAND", "RETR".to_owned()),
        Command::Top { lines } => {
            set("POP3_COMMAND", "TOP".to_owned());
            set("POP3_TOP_LINES", lines.to_string());
        }
    }
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
