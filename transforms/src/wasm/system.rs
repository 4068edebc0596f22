//! What a component may have of WASI 0.2: time, chance, an empty environment, no folders, and standard error into the
//! log. All else of it is there, and traps.

use std::time::{SystemTime, UNIX_EPOCH};

use pop3d_core::transform::Error;
use wasmtime::component::{ComponentType, Linker, LinkerInstance, Lower, Resource, WasmList};
use wasmtime::{Result, StoreContextMut};

use super::host::{Host, PIECE, RANDOM_MAX};

/// The version that is served; its revisions only add to it.
const VERSION: &str = "0.2.";

/// Octets that standard error takes at once.
const ERROR_OUTPUT: u64 = 4096;

#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

/// Handles of what traps are of this type, and so are those of the only stream there is.
type Handle = Resource<()>;

#[derive(ComponentType, Lower)]
#[component(variant)]
#[expect(dead_code, reason = "standard error takes everything")]
enum StreamError {
    #[component(name = "last-operation-failed")]
    Failed(Handle),
    #[component(name = "closed")]
    Closed,
}

type Streamed<T> = (std::result::Result<T, StreamError>,);

type Store<'a> = StoreContextMut<'a, Host>;

/// Defines what there is of an import; the rest will trap.
pub(super) fn define(linker: &mut Linker<Host>, name: &str) -> Result<()> {
    let Some((interface, version)) = name.split_once('@') else { return Ok(()) };
    if !version.starts_with(VERSION) || version.contains('-') {
        return Ok(());
    }
    match interface {
        "wasi:random/random" => {
            define_random(&mut linker.instance(name)?, "get-random-bytes", "get-random-u64")
        }
        "wasi:random/insecure" => {
            define_random(&mut linker.instance(name)?, "get-insecure-random-bytes", "get-insecure-random-u64")
        }
        "wasi:random/insecure-seed" => linker
            .instance(name)?
            .func_wrap("insecure-seed", |_: Store<'_>, (): ()| Ok(((random_number()?, random_number()?),))),
        "wasi:clocks/wall-clock" | "wasi:clocks/monotonic-clock" => {
            define_clock(&mut linker.instance(name)?, interface.ends_with("wall-clock"))
        }
        "wasi:cli/environment" => define_environment(&mut linker.instance(name)?),
        "wasi:cli/exit" => {
            let exit = || Err::<(), _>(wasmtime::Error::new(Error::Crashed("exit".to_owned())));
            let mut instance = linker.instance(name)?;
            instance.func_wrap("exit", move |_: Store<'_>, (_,): (std::result::Result<(), ()>,)| exit())?;
            instance.func_wrap("exit-with-code", move |_: Store<'_>, (_,): (u8,)| exit())
        }
        "wasi:cli/stderr" => {
            linker.instance(name)?.func_wrap("get-stderr", |_: Store<'_>, (): ()| Ok((Handle::new_own(0),)))
        }
        "wasi:io/streams" => define_streams(&mut linker.instance(name)?),
        "wasi:filesystem/preopens" => linker
            .instance(name)?
            .func_wrap("get-directories", |_: Store<'_>, (): ()| Ok((Vec::<(Handle, String)>::new(),))),
        _ => Ok(()),
    }
}

fn define_random(instance: &mut LinkerInstance<'_, Host>, octets: &str, number: &str) -> Result<()> {
    instance.func_wrap(octets, |_: Store<'_>, (count,): (u64,)| {
        let count = usize::try_from(count).ok().filter(|count| *count <= RANDOM_MAX);
        let too_many = || Error::Crashed(format!("it asked for more than {RANDOM_MAX} octets of chance"));
        let mut octets = vec![0; count.ok_or_else(|| wasmtime::Error::new(too_many()))?];
        getrandom::fill(&mut octets).map_err(no_chance)?;
        Ok((octets,))
    })?;
    instance.func_wrap(number, |_: Store<'_>, (): ()| Ok((random_number()?,)))
}

fn random_number() -> Result<u64> {
    let mut octets = [0; 8];
    getrandom::fill(&mut octets).map_err(no_chance)?;
    Ok(u64::from_le_bytes(octets))
}

fn no_chance(error: getrandom::Error) -> wasmtime::Error {
    wasmtime::Error::new(Error::Temporary(format!("no random octets: {error}")))
}

fn define_clock(instance: &mut LinkerInstance<'_, Host>, is_of_the_wall: bool) -> Result<()> {
    if is_of_the_wall {
        instance.func_wrap("now", |_: Store<'_>, (): ()| {
            let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Ok((Datetime { seconds: time.as_secs(), nanoseconds: time.subsec_nanos() },))
        })?;
        instance
            .func_wrap("resolution", |_: Store<'_>, (): ()| Ok((Datetime { seconds: 0, nanoseconds: 1 },)))
    } else {
        instance.func_wrap("now", |store: Store<'_>, (): ()| {
            let time = store.data().begun.elapsed().as_nanos();
            Ok((u64::try_from(time).unwrap_or(u64::MAX),))
        })?;
        instance.func_wrap("resolution", |_: Store<'_>, (): ()| Ok((1_u64,)))
    }
}

fn define_environment(instance: &mut LinkerInstance<'_, Host>) -> Result<()> {
    instance.func_wrap("get-environment", |_: Store<'_>, (): ()| Ok((Vec::<(String, String)>::new(),)))?;
    instance.func_wrap("get-arguments", |_: Store<'_>, (): ()| Ok((Vec::<String>::new(),)))?;
    instance.func_wrap("initial-cwd", |_: Store<'_>, (): ()| Ok((None::<String>,)))
}

fn define_streams(instance: &mut LinkerInstance<'_, Host>) -> Result<()> {
    instance.func_wrap("[method]output-stream.check-write", |_: Store<'_>, (_,): (Handle,)| {
        Ok::<Streamed<u64>, _>((Ok(ERROR_OUTPUT),))
    })?;
    for name in ["write", "blocking-write-and-flush"] {
        instance.func_wrap(&format!("[method]output-stream.{name}"), complain)?;
    }
    for name in ["flush", "blocking-flush"] {
        let name = format!("[method]output-stream.{name}");
        instance.func_wrap(&name, |_: Store<'_>, (_,): (Handle,)| Ok::<Streamed<()>, _>((Ok(()),)))?;
    }
    Ok(())
}

/// Takes what a guest writes on standard error. More at once than it may is not for the log either.
fn complain(mut store: Store<'_>, (_, octets): (Handle, WasmList<u8>)) -> Result<Streamed<()>> {
    let octets = octets.as_le_slice(&store);
    let octets = octets[..octets.len().min(PIECE)].to_vec();
    store.data_mut().journal.complain(&octets);
    Ok((Ok(()),))
}
