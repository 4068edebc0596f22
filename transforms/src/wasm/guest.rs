//! A component of the world `pop3d:transform/transform` (`plugins/wit/transform.wit`): three calls, and what they write.

use std::sync::Arc;

use pop3d_core::transform::{self, Error, Flow, Message};
use pop3d_protocol::text::one_line;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentType, InstancePre, Lift, Linker, Lower, TypedFunc, WasmList,
    WasmStr, types::ComponentItem,
};
use wasmtime::{Store, StoreContextMut};

use super::engine::WasmEngine;
use super::failure::{failure, sentence};
use super::host::{Host, LINE_MAX, PIECE};
use super::{Wasm, system};
use crate::pool_stream::Pipe;

/// What a filter exports.
const FILTER: &str = "pop3d:transform/filter@1.0.0";

/// What it may import of ours.
const HOST: &str = "pop3d:transform/host@1.0.0";

/// Prefixes of what it may import at all; what is not there traps.
const KNOWN: [&str; 2] = ["pop3d:", "wasi:"];

#[derive(Clone, Copy, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
enum GuestCommand {
    #[component(name = "retr")]
    Retr,
    #[component(name = "top")]
    Top,
}

#[derive(Clone, ComponentType, Lower)]
#[component(record)]
struct GuestMessage {
    user: String,
    number: u32,
    size: u64,
    uid: String,
    command: GuestCommand,
    #[component(name = "top-lines")]
    top_lines: u32,
    remote: String,
}

#[derive(Clone, Copy, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "made of its number by `Lift`")]
pub(super) enum GuestFlow {
    #[component(name = "more")]
    More,
    #[component(name = "pass")]
    Pass,
    #[component(name = "stop")]
    Stop,
}

#[derive(Clone, ComponentType, Lift)]
#[component(variant)]
pub(super) enum GuestError {
    #[component(name = "temporary")]
    Temporary(String),
    #[component(name = "permanent")]
    Permanent(String),
}

#[derive(Clone, Copy, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "made of its number by `Lift`")]
enum Level {
    #[component(name = "error")]
    Error,
    #[component(name = "warn")]
    Warn,
    #[component(name = "info")]
    Info,
    #[component(name = "debug")]
    Debug,
}

type Start = (GuestMessage, Vec<(String, String)>);
/// Shared, so that it can be filled again after the call.
pub(super) type Push = (Arc<Vec<u8>>,);
pub(super) type Answer = (Result<GuestFlow, GuestError>,);
type End = (Result<(), GuestError>,);

/// The functions of an instance.
pub(super) struct Calls {
    start: TypedFunc<Start, Answer>,
    pub(super) push: TypedFunc<Push, Answer>,
    finish: TypedFunc<(), End>,
}

/// A component, compiled and linked.
pub(super) struct Guest {
    instance: InstancePre<Host>,
    start: ComponentExportIndex,
    push: ComponentExportIndex,
    finish: ComponentExportIndex,
}

impl Guest {
    /// Compiles a component, which was made of a file.
    pub(super) fn load(engine: &WasmEngine, file: &[u8], component: &[u8]) -> Result<Self, String> {
        let compile = || Component::from_binary(&engine.engine, component);
        let component = match &engine.cache {
            Some(cache) => cache.component(&engine.engine, file, compile),
            None => compile(),
        };
        let component = component.map_err(|error| format!("it cannot be compiled: {}", sentence(&error)))?;
        let instance = link(engine, &component)?;
        let missing = || format!("it does not export {FILTER}");
        let (_, filter) = component.get_export(None, FILTER).ok_or_else(missing)?;
        let (start, push, finish) = (
            export::<Start, Answer>(&component, &filter, "start")?,
            export::<Push, Answer>(&component, &filter, "push")?,
            export::<(), End>(&component, &filter, "finish")?,
        );
        Ok(Self { instance, start, push, finish })
    }

    /// Has an instance work on a message; it is gone when this ends.
    pub(super) async fn run(&self, wasm: &Wasm, message: &Message, pipe: &Arc<Pipe>) -> Result<Flow, Error> {
        let mut store = wasm.engine.store(Host::new(&wasm.spec, message, pipe));
        let outcome = self.talk(&mut store, wasm, message, pipe).await;
        store.data_mut().journal.finish();
        outcome
    }

    /// An instance, and what it exports.
    pub(super) async fn begin(&self, store: &mut Store<Host>) -> Result<Calls, Error> {
        let begin = async {
            let instance = self.instance.instantiate_async(&mut *store).await?;
            let start = instance.get_typed_func(&mut *store, self.start)?;
            let push = instance.get_typed_func(&mut *store, self.push)?;
            let finish = instance.get_typed_func(&mut *store, self.finish)?;
            Ok(Calls { start, push, finish })
        };
        begin.await.map_err(|error: wasmtime::Error| failure(&error, &store.data().pipe))
    }

    async fn talk(
        &self,
        store: &mut Store<Host>,
        wasm: &Wasm,
        message: &Message,
        pipe: &Pipe,
    ) -> Result<Flow, Error> {
        let Calls { start, push, finish } = self.begin(store).await?;
        let options = wasm.spec.options.clone();
        let answer = start.call_async(&mut *store, (guest_message(message), options)).await;
        let mut flow = self::flow(answer, pipe)?;
        let mut chunk = Arc::new(Vec::new());
        while flow == Flow::More {
            // No room, no push: what a guest reads it may have to write.
            pipe.room().await?;
            if !pipe.next(Arc::make_mut(&mut chunk)).await? {
                break;
            }
            flow = self::flow(push.call_async(&mut *store, (Arc::clone(&chunk),)).await, pipe)?;
        }
        let (end,) = finish.call_async(&mut *store, ()).await.map_err(|e| failure(&e, pipe))?;
        end.map_err(Error::from)?;
        Ok(flow)
    }
}

/// Gives a component what it may import.
fn link(engine: &WasmEngine, component: &Component) -> Result<InstancePre<Host>, String> {
    let mut linker = Linker::new(&engine.engine);
    let ty = component.component_type();
    for (name, _) in ty.imports(&engine.engine) {
        if !KNOWN.iter().any(|known| name.starts_with(known)) {
            return Err(format!("it imports {name}, which is not there"));
        }
        system::define(&mut linker, name).map_err(|error| sentence(&error))?;
    }
    let mut link = || -> wasmtime::Result<InstancePre<Host>> {
        let mut host = linker.instance(HOST)?;
        host.func_wrap_async("write", |store, (chunk,): (WasmList<u8>,)| Box::new(write(store, chunk)))?;
        host.func_wrap("log", log)?;
        linker.define_unknown_imports_as_traps(component)?;
        linker.instantiate_pre(component)
    };
    link().map_err(|error| format!("its imports do not fit: {}", sentence(&error)))
}

/// An export of the filter, of the right type.
fn export<Parameters, Results>(
    component: &Component,
    filter: &ComponentExportIndex,
    name: &str,
) -> Result<ComponentExportIndex, String>
where
    Parameters: wasmtime::component::ComponentNamedList + Lower,
    Results: wasmtime::component::ComponentNamedList + Lift,
{
    let missing = || format!("its {FILTER} has no function {name}");
    let (item, index) = component.get_export(Some(filter), name).ok_or_else(missing)?;
    let ComponentItem::ComponentFunc(function) = item else { return Err(missing()) };
    let ty = component.component_type();
    function
        .typecheck::<Parameters, Results>(&ty.instance_type())
        .map_err(|error| format!("its function {name} has another type: {}", sentence(&error)))?;
    Ok(index)
}

/// Appends to the output, as fast as that is taken.
async fn write(store: StoreContextMut<'_, Host>, chunk: WasmList<u8>) -> wasmtime::Result<()> {
    let pipe = Arc::clone(&store.data().pipe);
    let mut written = 0;
    loop {
        pipe.room().await.map_err(wasmtime::Error::new)?;
        let rest = chunk.as_le_slice(&store).get(written..).unwrap_or_default();
        let piece = &rest[..rest.len().min(PIECE)];
        pipe.append(piece).map_err(wasmtime::Error::new)?;
        written += piece.len();
        if piece.len() == rest.len() {
            return Ok(());
        }
    }
}

fn log(mut store: StoreContextMut<'_, Host>, (level, text): (Level, WasmStr)) -> wasmtime::Result<()> {
    if store.data().journal.has_room() {
        let text = text.to_str(&store)?.into_owned();
        let level = match level {
            Level::Error => log::Level::Error,
            Level::Warn => log::Level::Warn,
            Level::Info => log::Level::Info,
            Level::Debug => log::Level::Debug,
        };
        store.data_mut().journal.log(level, &text);
    }
    Ok(())
}

fn guest_message(message: &Message) -> GuestMessage {
    let (command, top_lines) = match message.command {
        transform::Command::Retr => (GuestCommand::Retr, 0),
        transform::Command::Top { lines } => (GuestCommand::Top, lines),
    };
    GuestMessage {
        user: message.user.clone(),
        number: message.number,
        size: message.octets,
        uid: message.uid.clone(),
        command,
        top_lines,
        remote: message.remote.to_string(),
    }
}

fn flow(answer: wasmtime::Result<Answer>, pipe: &Pipe) -> Result<Flow, Error> {
    let (answer,) = answer.map_err(|error| failure(&error, pipe))?;
    Ok(match answer? {
        GuestFlow::More => Flow::More,
        GuestFlow::Pass => Flow::Pass,
        GuestFlow::Stop => Flow::Stop,
    })
}

impl From<GuestError> for Error {
    fn from(error: GuestError) -> Self {
        let line = |reason: String| one_line(&reason[..reason.floor_char_boundary(LINE_MAX)]);
        match error {
            GuestError::Temporary(reason) => Self::Temporary(line(reason)),
            GuestError::Permanent(reason) => Self::Permanent(line(reason)),
        }
    }
}
