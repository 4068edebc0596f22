//! How often each command was said.

use super::command::Command;

/// What commands are counted by: their keywords, and what stands for those that were none.
pub const COUNTED: [&str; 18] = [
    "USER",
    "PASS",
    "APOP",
    "AUTH",
    "CAPA",
    "STAT",
    "LIST",
    "UIDL",
    "RETR",
    "TOP",
    "DELE",
    "RSET",
    "NOOP",
    "QUIT",
    "STLS",
    "UTF8",
    "LANG",
    "malformed",
];

/// How often each of `COUNTED` was said. To be taken before a number is too large for the type.
pub type Counts = [u16; COUNTED.len()];

/// The place of a command among `COUNTED`; none: it is malformed.
pub(super) fn place(command: Option<&Command<'_>>) -> usize {
    match command {
        Some(Command::User(_)) => 0,
        Some(Command::Pass(_)) => 1,
        Some(Command::Apop { .. }) => 2,
        Some(Command::Auth { .. }) => 3,
        Some(Command::Capa) => 4,
        Some(Command::Stat) => 5,
        Some(Command::List(_)) => 6,
        Some(Command::Uidl(_)) => 7,
        Some(Command::Retr(_)) => 8,
        Some(Command::Top { .. }) => 9,
        Some(Command::Dele(_)) => 10,
        Some(Command::Rset) => 11,
        Some(Command::Noop) => 12,
        Some(Command::Quit) => 13,
        Some(Command::Stls) => 14,
        Some(Command::Utf8) => 15,
        Some(Command::Lang(_)) => 16,
        None => 17,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_is_counted_by_its_name() {
        let lines = [
            "USER x",
            "PASS x",
            "APOP x 00000000000000000000000000000000",
            "AUTH PLAIN",
            "CAPA",
            "STAT",
            "LIST",
            "UIDL 1",
            "RETR 1",
            "TOP 1 0",
            "DELE 1",
            "RSET",
            "NOOP",
            "QUIT",
            "STLS",
            "UTF8",
            "LANG en",
            "XYZZY",
        ];
        for (place_of, line) in lines.iter().enumerate() {
            let command = Command::parse(line.as_bytes());
            assert_eq!(place(command.as_ref().ok()), place_of, "{line}");
            let name = line.split(' ').next().unwrap();
            assert!(COUNTED[place_of] == name || line == &"XYZZY");
        }
    }
}
