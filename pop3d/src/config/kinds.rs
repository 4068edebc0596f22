//! What is said of a value of another kind than a key takes: the kind in words, and what to write.

/// Puts what to write behind what the reader of TOML says, where that is about the kind of a value.
pub(super) fn with_advice(message: String) -> String {
    let Some((found, expected)) = message.rsplit_once(", expected ") else { return message };
    let (kind, advice) = match expected {
        "usize" | "u64" => ("a whole number", "write one that is not negative, without quotes"),
        "u32" => ("a whole number", "write one from 0 to 4294967295, without quotes"),
        "u16" => ("a whole number", "write one from 0 to 65535, without quotes"),
        "a boolean" => (expected, "write true or false, without quotes"),
        "a string" => (expected, "write it between quotes"),
        "path string" => ("a path", "write it between quotes"),
        "a sequence" => (expected, "write a list between \"[\" and \"]\""),
        "a map" => ("a table", "write its keys below its name between \"[\" and \"]\""),
        table if table.starts_with("struct ") => {
            ("a table", "write its keys below its name between \"[\" and \"]\"")
        }
        _ => return message,
    };
    format!("{found}, expected {kind}; {advice}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::File;

    #[test]
    fn a_value_of_another_kind_is_told_with_what_to_write() {
        for (text, named) in [
            ("workers = \"x\"", "expected a whole number; write one that is not negative, without quotes"),
            ("workers = -1", "expected a whole number; write one that is not negative, without quotes"),
            ("[transforms.x]\nmax_running = -1", "expected a whole number; "),
            (
                "[limits]\nmistakes = 70000",
                "expected a whole number; write one from 0 to 65535, without quotes",
            ),
            ("rehash = \"yes\"", "expected a boolean; write true or false, without quotes"),
            ("mailbox = 5", "expected a path; write it between quotes"),
            ("[log]\nlevel = 5", "expected a string; write it between quotes"),
            ("listen = 5", "expected a sequence; write a list between "),
            ("users = 5", "expected a table; write its keys below its name"),
            ("log = 5", "expected a table; write its keys below its name"),
        ] {
            let said = File::parse(Path::new("x"), text.as_bytes()).err().unwrap().to_string();
            assert!(said.contains(named), "{said}");
        }
    }
}
