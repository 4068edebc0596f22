//! What a configuration names that is read: where `[confine]` bounds reading, these are read all the same.

use std::path::{Path, PathBuf};

use pop3d_transforms::spec::{CommandLine, Spec};

use super::{File, Transforms};

impl File {
    /// The files that are read at the start and whenever the configuration is, itself included.
    pub(crate) fn read_again(&self) -> Vec<&Path> {
        let mut files = vec![self.path.as_path()];
        files.extend(self.config.accounts.as_deref());
        files.extend(self.config.tls.files());
        files.extend(self.config.oauth.files());
        // Without a configuration there is none.
        files.retain(|file| !file.as_os_str().is_empty());
        files
    }

    /// The folders of all files that it names, itself included: files are often replaced, and folders stay. Of a symbolic
    /// link both, that which it is in and that which it leads to.
    pub(crate) fn read_folders(&self, transforms: &Transforms) -> Vec<PathBuf> {
        let config = &self.config;
        let mut files = self.read_again();
        let programs =
            [config.checkpassword.as_ref().map(|it| it.as_ref().words()), Some(config.oauth.program())];
        let words: Vec<_> = programs.into_iter().flatten().flatten().collect();
        files.extend(words.iter().map(Path::new).filter(|word| word.is_absolute()));
        let mut folders: Vec<PathBuf> = transforms.definitions.folder.iter().cloned().collect();
        for spec in &transforms.definitions.specs {
            match spec {
                Spec::Plugin(plugin) => files.push(&plugin.file),
                Spec::Process(process) => {
                    folders.push(process.folder.clone());
                    files.extend(paths_of(&process.command));
                }
            }
        }
        let owned = |file: &Path| folder_of(file).map(Path::to_owned);
        folders.extend(files.iter().filter_map(|file| owned(file)));
        folders.extend(files.iter().filter_map(|file| owned(&file.canonicalize().ok()?)));
        // The root would permit all.
        folders.retain(|folder| folder.parent().is_some() || folder == Path::new("."));
        folders.sort_unstable();
        folders.dedup();
        folders
    }
}

/// The folder that a file is in.
pub(crate) fn folder_of(file: &Path) -> Option<&Path> {
    // That of a name alone is the one that the server was started in.
    file.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// What stands between the words of a shell, and around them.
const AROUND_WORDS: &str = " \t\r\n|&;<>(){}'\"`$=,:";

/// The absolute paths of a command.
fn paths_of(command: &CommandLine) -> Vec<&Path> {
    let words: Vec<&str> = match command {
        CommandLine::Direct(words) => words.iter().map(String::as_str).collect(),
        CommandLine::Shell(line) => line.split(|letter| AROUND_WORDS.contains(letter)).collect(),
    };
    words.into_iter().map(Path::new).filter(|word| word.is_absolute()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_programs_with_a_shell_and_without() {
        for (line, paths) in [
            ("cat", &[][..]),
            ("/opt/filter -v /etc/filter.conf", &["/opt/filter", "/etc/filter.conf"]),
            ("LANG=C \"/opt/a\" --config=/srv/b | /opt/c;cat", &["/opt/a", "/srv/b", "/opt/c"]),
        ] {
            let command = CommandLine::parse(line).unwrap();
            assert_eq!(paths_of(&command), paths.iter().map(Path::new).collect::<Vec<_>>(), "{line}");
        }
    }
}
