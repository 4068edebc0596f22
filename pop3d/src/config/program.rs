//! Whether the program or the file of a transform is there, found out before a client asks for a message.

use std::path::Path;

use pop3d_transforms::spec::{CommandLine, ProcessSpec};
use rustix::fs::{Access, access};

/// What is wrong where the program of a transform cannot be started. What a shell will start is not known.
pub(super) fn missing(spec: &ProcessSpec) -> Option<String> {
    let words = match &spec.command {
        CommandLine::Direct(words) => words,
        CommandLine::Shell(_) => return None,
    };
    let program = words.first()?;
    if program.contains('/') {
        let path = spec.folder.join(program);
        return (!is_program(&path)).then(|| format!("there is no program {}", path.display()));
    }
    let is_found = spec.path.split(':').any(|folder| is_program(&Path::new(folder).join(program)));
    (!is_found).then(|| format!("there is no program {program} in {}", spec.path))
}

/// What is wrong where a program that is no transform is not there.
pub(crate) fn missing_program(program: &str) -> Option<String> {
    if program.contains('/') {
        return (!is_program(Path::new(program))).then(|| format!("there is no program {program}"));
    }
    // It is looked for where transforms are.
    missing(&ProcessSpec::new("", CommandLine::Direct(vec![program.to_owned()])))
}

/// What is wrong where the file of a plugin or a filter is not there.
pub(super) fn missing_file(path: &Path) -> Option<String> {
    (!path.is_file()).then(|| format!("there is no file {}", path.display()))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing_of(words: &[&str]) -> Option<String> {
        let words = words.iter().map(|&word| word.to_owned()).collect();
        missing(&ProcessSpec::new("x", CommandLine::Direct(words)))
    }

    #[test]
    fn a_program_is_looked_for_as_it_will_be_started() {
        assert_eq!(missing_of(&["sh", "-c", "x"]), None);
        assert_eq!(missing_of(&["/bin/sh"]), None);
        // Seen from the working folder of programs.
        assert_eq!(missing_of(&["bin/sh"]), None);
        assert_eq!(missing_of(&["/etc"]), Some("there is no program /etc".to_owned()));
        assert_eq!(missing_of(&["/etc/passwd"]), Some("there is no program /etc/passwd".to_owned()));
        let path = "/usr/local/bin:/usr/bin:/bin";
        assert_eq!(missing_of(&["no-such"]), Some(format!("there is no program no-such in {path}")));
        for (program, is_missing) in [("sh", false), ("no-such", true), ("/bin/sh", false), ("bin/sh", true)]
        {
            assert_eq!(missing_program(program).is_some(), is_missing, "{program}");
        }
    }

    #[test]
    fn what_a_shell_will_start_is_not_known() {
        let spec = ProcessSpec::new("x", CommandLine::Shell("no-such-program | cat".to_owned()));
        assert_eq!(missing(&spec), None);
    }
}
