//! What a configuration names that is read: where `[confine]` bounds reading, these are read all the same.

use std::path::{Path, PathBuf};

use pop3d_transforms::spec::{CommandLine, Spec};

use super::{File, Transforms};

impl File {
    /// The folders of all files that it names, itself included: files are often replaced, and folders stay. Of a symbolic
    /// link both, that which it is in and that which it leads to.
    pub(crate) fn read_folders(&self, transforms: &Transforms) -> Vec<PathBuf> {
        let config = &self.config;
        let mut files: Vec<&Path> = vec![&self.path];
        files.extend(config.accounts.as_deref());
        files.extend(config.tls.files());
        files.extend(config.oauth.files());
        let mut folders: Vec<PathBuf> = transforms.definitions.folder.iter().cloned().collect();
        for spec in &transforms.definitions.specs {
            match spec {
                Spec::Plugin(plugin) => files.push(&plugin.file),
                Spec::Process(process) => {
                    folders.push(process.folder.clone());
                    if let CommandLine::Direct(words) = &process.command {
                        files.extend(words.iter().map(Path::new).filter(|word| word.is_absolute()));
                    }
                }
            }
        }
        let parent = |file: &Path| {
            // That of a name alone is the one that the server was started in.
            file.parent()
                .map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent }.to_owned())
        };
        folders.extend(files.iter().filter_map(|file| parent(file)));
        folders.extend(files.iter().filter_map(|file| parent(&file.canonicalize().ok()?)));
        // The root would permit all.
        folders.retain(|folder| folder.parent().is_some() || folder == Path::new("."));
        folders.sort_unstable();
        folders.dedup();
        folders
    }
}
