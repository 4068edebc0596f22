//! Native plugins, built from C for one test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::{Client, Mail, Options, Server};

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
        let definitions = definitions.iter().map(|definition| format!("-D{definition}"));
        self.compile(source, name, ["-shared".to_owned(), "-fPIC".to_owned()].into_iter().chain(definitions))
    }

    /// Builds a source as a program: with `PROGRAM` defined.
    ///
    /// # Panics
    /// Where it cannot be built.
    pub fn build_program(&self, source: &str, name: &str) -> PathBuf {
        self.compile(source, name, ["-pthread".to_owned(), "-DPROGRAM".to_owned()].into_iter())
    }

    fn compile(&self, source: &str, name: &str, options: impl Iterator<Item = String>) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let made = self.path().join(format!(".{}.new", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let status = Command::new(compiler)
            .args(["-O1", "-Wall", "-Wno-unused-function", "-I"])
            .arg(root.join("../plugins/abi/include"))
            .args(options)
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

/// The configuration of a plugin as the transform "filter", which is the chain.
#[must_use]
pub fn plugin_config(file: &Path, isolation: &str, keys: &str) -> String {
    format!(
        "transform = \"filter\"\n[transforms.filter]\nfile = \"{}\"\nisolation = \"{isolation}\"\n{keys}\n",
        file.display()
    )
}

/// A server with that.
#[must_use]
pub fn serving_plugin(mail: &Mail, file: &Path, isolation: &str, keys: &str) -> Server {
    Server::with(mail, &Options { config: &plugin_config(file, isolation, keys), ..Options::default() })
}

/// The only message of "user", as it comes.
///
/// # Errors
/// The reply, where it is none of "+OK", or why the message was cut.
pub fn retrieved(server: &Server) -> Result<Vec<u8>, String> {
    let mut client = Client::login_when_free(server.address(), "user");
    let reply = client.says("RETR 1").line();
    if !reply.starts_with("+OK") {
        return Err(reply);
    }
    client.body().map_err(|error| error.to_string())
}
