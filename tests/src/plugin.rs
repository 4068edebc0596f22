//! Native plugins, built from C for one test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// A folder with plugins.
pub struct Plugins {
    folder: PathBuf,
    /// None: it stays.
    _temporary: Option<TempDir>,
}

impl Default for Plugins {
    fn default() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder: folder.path().to_owned(), _temporary: Some(folder) }
    }
}

impl Plugins {
    /// A folder that is there and stays.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), _temporary: None }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Builds `plugins/filter.c` with these definitions under this name.
    ///
    /// # Panics
    /// Where it cannot be built.
    pub fn build(&self, name: &str, definitions: &[&str]) -> PathBuf {
        self.build_from("filter.c", name, definitions)
    }

    /// The same of another source.
    ///
    /// # Panics
    /// Where it cannot be built.
    pub fn build_from(&self, source: &str, name: &str, definitions: &[&str]) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let made = self.path().join(format!(".{}.new", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let status = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wno-unused-function", "-I"])
            .arg(root.join("../plugins/abi/include"))
            .args(definitions.iter().map(|definition| format!("-D{definition}")))
            .arg("-o")
            .arg(&made)
            .arg(root.join("plugins").join(source))
            .status();
        assert!(status.unwrap().success(), "the plugin does not build");
        let path = self.path().join(name);
        fs::rename(made, &path).unwrap();
        path
    }
}
