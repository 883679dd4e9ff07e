//! Our own WASI preview1 host: every function of `wasi_snapshot_preview1`, synchronous, over an in-memory tree.
//!
//! A guest reaches what its [`WasiCtx`] holds and nothing else: no host path, no socket, no clock or randomness but the
//! task's own. A refusal is an errno and never a trap, but for the three ends of a run that come back as errors:
//! [`Exit`], [`Interrupted`] or [`HostCallLimit`]. It knows nothing of Python, of images or of pools.
//!
//! What one call may cost is bounded: iovecs, paths, subscriptions and random bytes are capped, and copies are bounded
//! by the guest's memory and the tree's quota. Between calls the engine's own limits act.

mod abi;
mod cli;
mod clocks;
mod context;
mod errno;
mod fd;
mod fd_stat;
mod path;
mod poll;
pub(crate) mod preview2;
mod random;
mod read_directory;
mod sockets;
mod table;

pub(crate) use context::HANDLES_MAX;
pub use context::{BuildError, WasiCtx, WasiCtxBuilder, WasiParts};
pub use errno::Errno;
pub use poll::SUBSCRIPTIONS_MAX;
pub use preview2::Broken;
pub use random::RANDOM_CALL_BYTES_MAX;

use abi::Guest;
use wasmtime::{Caller, Extern, Linker};

/// The name that guests import the functions from.
pub const MODULE: &str = "wasi_snapshot_preview1";

/// The guest called `proc_exit` with this code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the guest ended with exit code {0}")]
pub struct Exit(pub i32);

/// The deadline passed, or the attempt was cancelled, while the guest was waiting in a host call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted at the deadline or by a cancellation")]
pub struct Interrupted;

/// The guest made more host calls than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the guest made more than {calls_max} host calls")]
pub struct HostCallLimit {
    pub calls_max: u64,
}

/// Defines every preview1 function in `linker`; `get` finds the context in the store's data.
///
/// A context serves one instance: it remembers that instance's exported `memory` after the first call. A guest that
/// exports no such memory gets `EFAULT` from every function.
pub fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut WasiCtx + Send + Sync + Copy + 'static,
) -> wasmtime::Result<()> {
    cli::link(linker, get)?;
    clocks::link(linker, get)?;
    random::link(linker, get)?;
    fd::link(linker, get)?;
    fd_stat::link(linker, get)?;
    read_directory::link(linker, get)?;
    path::link(linker, get)?;
    poll::link(linker, get)?;
    sockets::link(linker, get)
}

/// How the host finds a context in a store's data.
trait Get<T>: Fn(&mut T) -> &mut WasiCtx + Send + Sync + Copy + 'static {}
impl<T, F: Fn(&mut T) -> &mut WasiCtx + Send + Sync + Copy + 'static> Get<T> for F {}

/// Why a host call did not succeed.
enum Stop {
    /// The guest is told.
    Errno(Errno),
    /// The guest ends here.
    End(wasmtime::Error),
}

impl<E: Into<Errno>> From<E> for Stop {
    fn from(error: E) -> Self {
        Stop::Errno(error.into())
    }
}

impl Stop {
    fn end(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Stop::End(wasmtime::Error::new(error))
    }
}

/// One host call: counted, given the guest's memory, its answer turned into an errno or the end of the guest.
fn enter<T: 'static>(
    caller: &mut Caller<'_, T>,
    get: impl Get<T>,
    body: impl FnOnce(&mut WasiCtx, &mut Guest<'_>) -> Result<(), Stop>,
) -> wasmtime::Result<i32> {
    let ctx = get(caller.data_mut());
    ctx.count_call()?;
    let memory = match ctx.memory {
        Some(memory) => memory,
        None => {
            let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
                return Ok(Errno::Fault.code());
            };
            get(caller.data_mut()).memory = Some(memory);
            memory
        }
    };
    let (bytes, data) = memory.data_and_store_mut(&mut *caller);
    match body(get(data), &mut Guest::new(bytes)) {
        Ok(()) => Ok(Errno::Success.code()),
        Err(Stop::Errno(errno)) => Ok(errno.code()),
        Err(Stop::End(error)) => Err(error),
    }
}

/// Defines functions in a linker: each is a name, its WebAssembly parameters, and what it does with them.
macro_rules! functions {
    ($linker:ident, $get:ident, $($name:ident($($arg:ident: $ty:ty),*) => |$ctx:pat_param, $guest:pat_param| $body:expr;)*) => {
        $($linker.func_wrap(
            $crate::wasi::MODULE,
            stringify!($name),
            move |mut caller: wasmtime::Caller<'_, T>, $($arg: $ty),*| -> wasmtime::Result<i32> {
                $crate::wasi::enter(&mut caller, $get, |$ctx, $guest| $body)
            },
        )?;)*
    };
}
use functions;
