//! Compiled guests, kept in a folder that nobody else can write.
//!
//! ```text
//! <sha256 of the file>-<hash of the engine's settings>.cwasm
//! ```
//!
//! What goes wrong with it costs time, not a filter: the guest is compiled again.
#![allow(unsafe_code, reason = "compiled code is taken as it is; this is the one place where that is done")]

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;
use wasmtime::{Engine, Module, Result};

/// Rights of others, on the folder and on what is in it.
const OTHERS: u32 = 0o077;

pub(super) struct Cache {
    folder: PathBuf,
    /// Of the engine's settings and of this processor.
    hash: u64,
}

impl Cache {
    /// Makes the folder where it is not there. None, with a warning: it cannot be trusted.
    pub(super) fn open(folder: PathBuf, engine: &Engine) -> Option<Self> {
        if let Err(error) = prepare(&folder) {
            log::warn!(
                target: "pop3d::transform",
                "compiled WASM filters are not kept in {}: {error}", folder.display()
            );
            return None;
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Some(Self { folder, hash: hasher.finish() })
    }

    /// The component made of a file: what is kept of it, else what is compiled, which is then kept.
    pub(super) fn component(
        &self,
        engine: &Engine,
        file: &[u8],
        compile: impl FnOnce() -> Result<Component>,
    ) -> Result<Component> {
        let path = self.path(file);
        if let Some(octets) = self.load(&path) {
            // SAFETY: the octets are those of `Component::serialize`: `load` read them of a file that belongs to
            // this user and that nobody else can write, and `keep` is what writes such files.
            match unsafe { Component::deserialize(engine, &octets) } {
                Ok(component) => return Ok(component),
                Err(error) => discard(&path, &error),
            }
        }
        let component = compile()?;
        self.keep(&path, component.serialize());
        Ok(component)
    }

    /// The same for a core module.
    pub(super) fn module(
        &self,
        engine: &Engine,
        file: &[u8],
        compile: impl FnOnce() -> Result<Module>,
    ) -> Result<Module> {
        let path = self.path(file);
        if let Some(octets) = self.load(&path) {
            // SAFETY: as above, and of `Module::serialize`; the one is refused where the other is expected.
            match unsafe { Module::deserialize(engine, &octets) } {
                Ok(module) => return Ok(module),
                Err(error) => discard(&path, &error),
            }
        }
        let module = compile()?;
        self.keep(&path, module.serialize());
        Ok(module)
    }

    fn path(&self, file: &[u8]) -> PathBuf {
        let mut name = String::new();
        for octet in Sha256::digest(file) {
            // Writing to a string does not fail.
            let _ = write!(name, "{octet:02x}");
        }
        self.folder.join(format!("{name}-{:016x}.cwasm", self.hash))
    }

    /// What is kept, if it is ours alone.
    fn load(&self, path: &Path) -> Option<Vec<u8>> {
        let mut file = File::open(path).ok()?;
        // Of the folder again: it may be another one by now.
        let is_ours = is_ours(&fs::metadata(&self.folder).ok()?) && is_ours(&file.metadata().ok()?);
        let mut octets = Vec::new();
        (is_ours && file.read_to_end(&mut octets).is_ok()).then_some(octets)
    }

    fn keep(&self, path: &Path, octets: Result<Vec<u8>>) {
        let kept = octets.map_err(io::Error::other).and_then(|octets| self.write(path, &octets));
        if let Err(error) = kept {
            log::warn!(target: "pop3d::transform", "{} is not kept: {error}", path.display());
        }
    }

    /// Nobody ever sees half of it.
    fn write(&self, path: &Path, octets: &[u8]) -> io::Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.folder.join(format!(".{}-{number}", std::process::id()));
        let _ = fs::remove_file(&unfinished);
        let written = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)
            .and_then(|mut file| file.write_all(octets))
            .and_then(|()| fs::rename(&unfinished, path));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written
    }
}

fn prepare(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    if is_ours(&fs::metadata(folder)?) {
        Ok(())
    } else {
        Err(io::Error::other("it must belong to the server's user, and be closed to all others (0700)"))
    }
}

fn is_ours(metadata: &fs::Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & OTHERS == 0
}

fn discard(path: &Path, error: &wasmtime::Error) {
    log::info!(target: "pop3d::transform", "{} is compiled anew: {error}", path.display());
    let _ = fs::remove_file(path);
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// How often a file is compiled.
    fn compilations(cache: &Cache, engine: &Engine, file: &[u8], times: usize) -> usize {
        let count = Cell::new(0);
        for _ in 0..times {
            let compile = || {
                count.set(count.get() + 1);
                Module::from_binary(engine, file)
            };
            assert!(cache.module(engine, file, compile).unwrap().get_export("f").is_some());
        }
        count.get()
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    fn guest() -> Vec<u8> {
        wat::parse_str(r#"(module (func (export "f")))"#).unwrap()
    }

    #[test]
    fn what_was_compiled_once_is_kept_for_the_next_start() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a/wasm-cache");
        for expected in [1, 0] {
            let engine = Engine::default();
            let cache = Cache::open(folder.clone(), &engine).unwrap();
            assert_eq!(compilations(&cache, &engine, &guest(), 3), expected);
            let other = wat::parse_str(r#"(module (func (export "f")) (func))"#).unwrap();
            assert_eq!(compilations(&cache, &engine, &other, 3), expected);
        }
        assert_eq!(files(&folder).len(), 2);
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn what_others_could_have_written_is_never_taken() {
        let place = tempfile::tempdir().unwrap();
        let (folder, engine) = (place.path().join("cache"), Engine::default());
        let cache = Cache::open(folder.clone(), &engine).unwrap();
        assert_eq!(compilations(&cache, &engine, &guest(), 1), 1);
        let [file] = files(&folder).try_into().unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o620)).unwrap();
        assert_eq!(compilations(&cache, &engine, &guest(), 2), 1);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).unwrap();
        assert_eq!(compilations(&cache, &engine, &guest(), 1), 1);
        assert!(Cache::open(folder, &engine).is_none());
    }

    #[test]
    fn what_is_broken_is_compiled_anew() {
        let place = tempfile::tempdir().unwrap();
        let (folder, engine) = (place.path().join("cache"), Engine::default());
        let cache = Cache::open(folder.clone(), &engine).unwrap();
        assert_eq!(compilations(&cache, &engine, &guest(), 1), 1);
        let [file] = files(&folder).try_into().unwrap();
        for octets in [&b"neither code"[..], b""] {
            fs::write(&file, octets).unwrap();
            assert_eq!(compilations(&cache, &engine, &guest(), 2), 1);
        }
    }
}
