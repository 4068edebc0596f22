//! Names for commands that are used as they are: what a reply, a log and an administrator call them.

use std::path::Path;

use pop3d_core::transform::registry::{NAME_MAX, RESERVED_NAMES, is_name_letter};

use crate::spec::CommandLine;

/// The name of a program whose own leaves no letter that a name may have.
const NAMELESS: &str = "program";

/// Octets of a program's name that are kept, so that any number has room behind them.
const STEM_MAX: usize = 40;
const _: () = assert!(STEM_MAX + 1 + "18446744073709551615".len() <= NAME_MAX, "a number must fit");

/// Octets between the words of a shell.
const BETWEEN_WORDS: &str = " \t\n\r|&;<>(){}";

/// A name for a command: that of its program without folder and extension, and a number where it is taken or reserved.
#[must_use]
pub fn name_of(command: &CommandLine, is_taken: impl Fn(&str) -> bool) -> String {
    let stem = stem(command);
    let is_free = |name: &String| !RESERVED_NAMES.contains(&name.as_str()) && !is_taken(name);
    if is_free(&stem) {
        return stem;
    }
    (2_u64..).map(|number| format!("{stem}-{number}")).find(is_free).unwrap_or(stem)
}

fn stem(command: &CommandLine) -> String {
    let program = match command {
        CommandLine::Direct(words) => words.first().map_or("", String::as_str),
        // Variables that are set for the program stand before it.
        CommandLine::Shell(line) => line
            .split(|letter| BETWEEN_WORDS.contains(letter))
            .find(|word| word.contains(is_name_letter) && !word.contains('='))
            .unwrap_or(""),
    };
    let stem = Path::new(program).file_stem().map(|stem| stem.to_string_lossy());
    let letters = stem.iter().flat_map(|stem| stem.chars()).filter(|letter| is_name_letter(*letter));
    let stem: String = letters.take(STEM_MAX).collect();
    if stem.is_empty() { NAMELESS.to_owned() } else { stem }
}

#[cfg(test)]
mod tests {
    use pop3d_core::transform::registry::is_name;
    use proptest::prelude::*;

    use super::*;

    fn name(line: &str) -> String {
        name_of(&CommandLine::parse(line).unwrap(), |_| false)
    }

    #[test]
    fn a_command_is_named_after_its_program() {
        for (line, expected) in [
            ("cat", "cat"),
            ("tr a-z A-Z", "tr"),
            ("/usr/local/bin/scan-mail.py --stdin", "scan-mail"),
            ("sed 's/a/b/' | tr x y", "sed"),
            ("LANG=C /opt/x_y/re.name.sh *", "re.name"),
            ("(cat; echo)", "cat"),
            ("cat|tr a b", "cat"),
            ("! '/bin/quoted' x", "quoted"),
            ("ü/über+1 x", "ber1"),
            ("..", "program"),
            ("ß", "program"),
            ("=", "program"),
        ] {
            assert_eq!(name(line), expected, "{line}");
        }
        assert_eq!(name(&"x".repeat(200)).len(), STEM_MAX);
    }

    #[test]
    fn a_name_that_is_reserved_or_taken_gets_a_number() {
        for word in RESERVED_NAMES {
            assert_eq!(name(&format!("/bin/{word}")), format!("{word}-2"));
        }
        let command = CommandLine::parse("cat -u").unwrap();
        assert_eq!(name_of(&command, |name| name == "cat"), "cat-2");
        assert_eq!(name_of(&command, |name| ["cat", "cat-2"].contains(&name)), "cat-3");
    }

    proptest! {
        #[test]
        fn every_command_has_a_name_that_an_administrator_can_write(line in "\\PC{1,60}") {
            if let Some(command) = CommandLine::parse(&line) {
                let name = name_of(&command, |name| name.len() < 3);
                prop_assert!(is_name(&name), "{}", name);
            }
        }
    }
}
