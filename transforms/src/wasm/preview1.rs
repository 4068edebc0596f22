//! What a WASI command may call (`wasi_snapshot_preview1`): three descriptors, its environment, time and chance.
//!
//! A guest's addresses may be anything: each access is checked, and a wrong one is the error `FAULT`.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use pop3d_core::transform::Message;
use wasmtime::{Caller, Extern, Linker, Memory};

use super::WasmSpec;
use super::host::{Bounded, Host, PIECE, RANDOM_MAX};
use crate::environment::{PATH, environment};
use crate::pool_stream::Pipe;

/// Error numbers of WASI.
const SUCCESS: i32 = 0;
const BADF: i32 = 8;
const FAULT: i32 = 21;
const INVAL: i32 = 28;
const NOSYS: i32 = 52;
const SPIPE: i32 = 70;

/// Standard input, output and error.
const STANDARD_INPUT: i32 = 0;
const STANDARD_OUTPUT: i32 = 1;
const STANDARD_ERROR: i32 = 2;

/// Parts of one read or write.
const PARTS_MAX: u32 = 1024;

/// Rights of a descriptor that may be read, or written.
const RIGHT_TO_READ: u64 = 1 << 1;
const RIGHT_TO_WRITE: u64 = 1 << 6;

/// How a program says that it has ended.
#[derive(Debug)]
pub(super) struct Exit(pub(super) u32);

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "exit status {}", self.0)
    }
}

impl std::error::Error for Exit {}

/// A program at work.
pub(super) struct Program {
    pub(super) host: Host,
    /// What was taken from the pipe.
    input: Vec<u8>,
    /// How much of that was read.
    read: usize,
    /// Its only one is its name. As all of these, with the NUL at its end.
    arguments: Vec<Vec<u8>>,
    environment: Vec<Vec<u8>>,
}

impl Program {
    pub(super) fn new(spec: &WasmSpec, message: &Message, pipe: &Arc<Pipe>) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let variables = environment(&spec.name, version, PATH, message, &spec.env, &spec.options);
        let variables = variables.iter().map(|(key, value)| format!("{key}={value}\0").into_bytes());
        Self {
            host: Host::new(spec, message, pipe),
            input: Vec::new(),
            read: 0,
            arguments: vec![format!("{}\0", spec.name).into_bytes()],
            environment: variables.collect(),
        }
    }
}

impl Bounded for Program {
    fn memory(&mut self) -> &mut super::host::Memory {
        self.host.memory()
    }
}

type Guest<'a> = Caller<'a, Program>;

/// Defines all that there is.
pub(super) fn define(linker: &mut Linker<Program>, system: &str) -> wasmtime::Result<()> {
    linker.func_wrap_async(system, "fd_read", |guest: Guest<'_>, (fd, parts, count, result)| {
        Box::new(read(guest, fd, parts, count, result))
    })?;
    linker.func_wrap_async(system, "fd_write", |guest: Guest<'_>, (fd, parts, count, result)| {
        Box::new(write(guest, fd, parts, count, result))
    })?;
    linker.func_wrap(system, "fd_close", |fd: i32| if is_standard(fd) { SUCCESS } else { BADF })?;
    linker.func_wrap(
        system,
        "fd_seek",
        |fd: i32, _: i64, _: i32, _: i32| {
            if is_standard(fd) { SPIPE } else { BADF }
        },
    )?;
    linker.func_wrap(system, "fd_fdstat_get", describe)?;
    linker.func_wrap(system, "fd_prestat_get", |_: i32, _: i32| BADF)?;
    linker.func_wrap(system, "fd_prestat_dir_name", |_: i32, _: i32, _: i32| BADF)?;
    linker.func_wrap(system, "proc_exit", |status: i32| -> wasmtime::Result<()> {
        Err(wasmtime::Error::new(Exit(status.cast_unsigned())))
    })?;
    linker.func_wrap(system, "args_sizes_get", |mut guest: Guest<'_>, count: i32, octets: i32| {
        let sizes = sizes(&guest.data().arguments);
        put_sizes(&mut guest, sizes, count, octets)
    })?;
    linker.func_wrap(system, "args_get", |mut guest: Guest<'_>, places: i32, texts: i32| {
        let arguments = guest.data().arguments.clone();
        put_texts(&mut guest, &arguments, places, texts)
    })?;
    linker.func_wrap(system, "environ_sizes_get", |mut guest: Guest<'_>, count: i32, octets: i32| {
        let sizes = sizes(&guest.data().environment);
        put_sizes(&mut guest, sizes, count, octets)
    })?;
    linker.func_wrap(system, "environ_get", |mut guest: Guest<'_>, places: i32, texts: i32| {
        let environment = guest.data().environment.clone();
        put_texts(&mut guest, &environment, places, texts)
    })?;
    linker.func_wrap(system, "random_get", random)?;
    linker.func_wrap(system, "clock_time_get", time)?;
    linker.func_wrap(
        system,
        "clock_res_get",
        |mut guest: Guest<'_>, clock: i32, result: i32| match clock {
            0 | 1 => put(&mut guest, result, &1_u64.to_le_bytes()),
            _ => INVAL,
        },
    )?;
    linker.func_wrap(system, "sched_yield", || SUCCESS)?;
    linker.func_wrap(system, "poll_oneoff", |_: i32, _: i32, _: i32, _: i32| NOSYS)?;
    Ok(())
}

fn is_standard(fd: i32) -> bool {
    (STANDARD_INPUT..=STANDARD_ERROR).contains(&fd)
}

/// Reads what is there of the message, once something is.
async fn read(mut guest: Guest<'_>, fd: i32, parts: i32, count: i32, result: i32) -> wasmtime::Result<i32> {
    if fd != STANDARD_INPUT {
        return Ok(BADF);
    }
    let Some(memory) = memory(&mut guest) else { return Ok(FAULT) };
    let parts = match self::parts(memory.data(&guest), parts, count) {
        Ok(parts) => parts,
        Err(error) => return Ok(error),
    };
    if guest.data().read == guest.data().input.len() {
        let pipe = Arc::clone(&guest.data().host.pipe);
        let mut input = std::mem::take(&mut guest.data_mut().input);
        let taken = pipe.next(&mut input).await;
        let program = guest.data_mut();
        (program.input, program.read) = (input, 0);
        taken.map_err(wasmtime::Error::new)?;
    }
    let (octets, program) = memory.data_and_store_mut(&mut guest);
    let begun = program.read;
    for (address, length) in parts {
        let rest = program.input.get(program.read..).unwrap_or_default();
        let piece = &rest[..rest.len().min(length)];
        let Some(room) = octets.get_mut(address..).and_then(|room| room.get_mut(..piece.len())) else {
            return Ok(FAULT);
        };
        room.copy_from_slice(piece);
        program.read += piece.len();
    }
    let taken = program.read - begun;
    Ok(put(&mut guest, result, &length(taken)))
}

/// Writes to the output as fast as that is taken, or to the log.
async fn write(mut guest: Guest<'_>, fd: i32, parts: i32, count: i32, result: i32) -> wasmtime::Result<i32> {
    if fd != STANDARD_OUTPUT && fd != STANDARD_ERROR {
        return Ok(BADF);
    }
    let Some(memory) = memory(&mut guest) else { return Ok(FAULT) };
    let parts = match self::parts(memory.data(&guest), parts, count) {
        Ok(parts) => parts,
        Err(error) => return Ok(error),
    };
    let pipe = Arc::clone(&guest.data().host.pipe);
    let mut written = 0_usize;
    'parts: for (address, mut length) in parts {
        let mut address = address;
        while length > 0 {
            let count = length.min(PIECE);
            if fd == STANDARD_ERROR && written + count > PIECE {
                // So much at once: a program that writes all its memory, again and again, has its slice as well.
                break 'parts;
            }
            if fd == STANDARD_OUTPUT {
                pipe.room().await.map_err(wasmtime::Error::new)?;
            }
            let (octets, program) = memory.data_and_store_mut(&mut guest);
            let Some(piece) = octets.get(address..).and_then(|rest| rest.get(..count)) else {
                return Ok(FAULT);
            };
            if fd == STANDARD_OUTPUT {
                pipe.append(piece).map_err(wasmtime::Error::new)?;
            } else {
                program.host.journal.complain(piece);
            }
            (address, length, written) = (address + count, length - count, written + count);
        }
    }
    Ok(put(&mut guest, result, &length(written)))
}

/// What a descriptor is: no terminal, and nothing that can be sought in.
fn describe(mut guest: Guest<'_>, fd: i32, result: i32) -> i32 {
    let rights = match fd {
        STANDARD_INPUT => RIGHT_TO_READ,
        STANDARD_OUTPUT | STANDARD_ERROR => RIGHT_TO_WRITE,
        _ => return BADF,
    };
    let mut description = [0; 24];
    description[8..16].copy_from_slice(&rights.to_le_bytes());
    put(&mut guest, result, &description)
}

fn random(mut guest: Guest<'_>, address: i32, count: i32) -> i32 {
    let Some(memory) = memory(&mut guest) else { return FAULT };
    let (address, count) = (place(address), place(count));
    if count > RANDOM_MAX {
        return INVAL;
    }
    let octets = memory.data_mut(&mut guest);
    let Some(room) = octets.get_mut(address..).and_then(|room| room.get_mut(..count)) else { return FAULT };
    if getrandom::fill(room).is_ok() { SUCCESS } else { NOSYS }
}

fn time(mut guest: Guest<'_>, clock: i32, _precision: i64, result: i32) -> i32 {
    let time = match clock {
        0 => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        1 => guest.data().host.begun.elapsed(),
        _ => return INVAL,
    };
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    put(&mut guest, result, &nanoseconds.to_le_bytes())
}

/// How many texts there are, and how long they are together.
fn sizes(texts: &[Vec<u8>]) -> (usize, usize) {
    (texts.len(), texts.iter().map(Vec::len).sum())
}

fn put_sizes(guest: &mut Guest<'_>, sizes: (usize, usize), count: i32, octets: i32) -> i32 {
    match put(guest, count, &length(sizes.0)) {
        SUCCESS => put(guest, octets, &length(sizes.1)),
        error => error,
    }
}

/// Puts texts one behind another, and where each begins.
fn put_texts(guest: &mut Guest<'_>, list: &[Vec<u8>], mut places: i32, mut texts: i32) -> i32 {
    for text in list {
        for (address, octets) in [(places, &texts.to_le_bytes()[..]), (texts, text)] {
            let error = put(guest, address, octets);
            if error != SUCCESS {
                return error;
            }
        }
        places = places.wrapping_add(4);
        texts = texts.wrapping_add(i32::try_from(text.len()).unwrap_or(i32::MAX));
    }
    SUCCESS
}

fn memory(guest: &mut Guest<'_>) -> Option<Memory> {
    guest.get_export("memory").and_then(Extern::into_memory)
}

fn put(guest: &mut Guest<'_>, address: i32, octets: &[u8]) -> i32 {
    let Some(memory) = memory(guest) else { return FAULT };
    memory.write(guest, place(address), octets).map_or(FAULT, |()| SUCCESS)
}

/// The parts of a read or a write: where each is, and how long.
fn parts(octets: &[u8], address: i32, count: i32) -> Result<Vec<(usize, usize)>, i32> {
    let count = count.cast_unsigned();
    if count > PARTS_MAX {
        return Err(INVAL);
    }
    let list = octets.get(place(address)..).and_then(|rest| rest.get(..count as usize * 8)).ok_or(FAULT)?;
    let (pairs, _) = list.as_chunks::<8>();
    let number = |octets: [u8; 4]| u32::from_le_bytes(octets) as usize;
    Ok(pairs.iter().map(|&[a, b, c, d, e, f, g, h]| (number([a, b, c, d]), number([e, f, g, h]))).collect())
}

/// An address or a length, which has no sign.
fn place(number: i32) -> usize {
    number.cast_unsigned() as usize
}

/// A length as the guest wants it. It is less than its memory.
fn length(count: usize) -> [u8; 4] {
    u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes()
}
