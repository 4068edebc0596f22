//! A WASI command: any program from standard input to standard output, in a sandbox.
//!
//! What it may call is in `preview1.rs`. An exit status means what that of a process does.

use std::sync::Arc;

use pop3d_core::transform::{Error, Flow, Message};
use wasmtime::{ExternType, InstancePre, Linker, Module};

use super::Wasm;
use super::engine::WasmEngine;
use super::failure::{failure, sentence};
use super::preview1::{self, Exit, Program};
use crate::pool_stream::Pipe;

/// The only module that it may import of.
const SYSTEM: &str = "wasi_snapshot_preview1";

/// Its exit status when trying again later may help (sysexits.h).
const TEMPORARY_FAILURE: u32 = 75;

/// Those when it is set up wrongly; the last two are what a shell says.
const SET_UP_WRONGLY: [u32; 3] = [78, 126, 127];

/// A program, compiled and linked.
pub(super) struct Command {
    instance: InstancePre<Program>,
}

impl Command {
    /// Compiles a program.
    pub(super) fn load(engine: &WasmEngine, file: &[u8]) -> Result<Self, String> {
        let compile = || Module::from_binary(&engine.engine, file);
        let module = match &engine.cache {
            Some(cache) => cache.module(&engine.engine, file, compile),
            None => compile(),
        };
        let module = module.map_err(|error| format!("it cannot be compiled: {}", sentence(&error)))?;
        if let Some(import) = module.imports().find(|import| import.module() != SYSTEM) {
            return Err(format!("it imports {} of {}, which is not there", import.name(), import.module()));
        }
        let start = module.get_export("_start").and_then(|export| match export {
            ExternType::Func(ty) => Some(ty.params().len() + ty.results().len()),
            _ => None,
        });
        if start != Some(0) {
            return Err("its _start is no function that takes and gives nothing".to_owned());
        }
        let link = || -> wasmtime::Result<InstancePre<Program>> {
            let mut linker = Linker::new(&engine.engine);
            preview1::define(&mut linker, SYSTEM)?;
            linker.define_unknown_imports_as_traps(&module)?;
            linker.instantiate_pre(&module)
        };
        let instance = link().map_err(|error| format!("its imports do not fit: {}", sentence(&error)))?;
        Ok(Self { instance })
    }

    /// Runs the program on a message; its instance is gone when this ends.
    pub(super) async fn run(&self, wasm: &Wasm, message: &Message, pipe: &Arc<Pipe>) -> Result<Flow, Error> {
        let mut store = wasm.engine.store(Program::new(&wasm.spec, message, pipe));
        let run = async {
            let instance = self.instance.instantiate_async(&mut store).await?;
            let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
            start.call_async(&mut store, ()).await
        };
        let outcome = run.await;
        let tail = store.data_mut().host.journal.finish();
        // What it did not read, it did not want.
        outcome.or_else(|error| ended(&error, &tail, pipe)).map(|()| Flow::Stop)
    }
}

/// What the end of a program means, other than to return from `_start`.
fn ended(error: &wasmtime::Error, tail: &str, pipe: &Pipe) -> Result<(), Error> {
    let Some(exit) = error.downcast_ref::<Exit>() else { return Err(failure(error, pipe)) };
    let reason = if tail.is_empty() { exit.to_string() } else { format!("{exit}: {tail}") };
    Err(match exit.0 {
        0 => return Ok(()),
        TEMPORARY_FAILURE => Error::Temporary(reason),
        status if SET_UP_WRONGLY.contains(&status) => Error::Permanent(reason),
        _ => Error::Crashed(reason),
    })
}
