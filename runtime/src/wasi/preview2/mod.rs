//! WASI 0.2 for components, over the same grants as preview 1: the interfaces that standard libraries import.
//!
//! What preview 1 has no function for is not here either: no socket, no HTTP, no process. Streams, files and timers are
//! handles of the guest; they are counted, and one that is lost costs the guest its own limit.
//!
//! A guest that breaks a rule of the interfaces (it writes more than a stream has room for) ends with [`Broken`].

mod cli;
mod clocks;
mod descriptor;
mod filesystem;
mod io;
mod types;

use super::{Get, WasiCtx};
use types::ErrorCode;
use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType, WasmList};
use wasmtime::{StoreContext, StoreContextMut};

/// The interfaces, without their version.
pub(crate) const INTERFACES: [&str; 20] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// What they are linked as. Names of other releases of 0.2 find them too.
pub(crate) const VERSION: &str = "0.2.0";

/// Bytes that one read or write of a stream moves, at most.
const STREAM_BYTES_MAX: usize = 64 << 10;

/// The guest did what the interface that it called forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the guest broke a rule of WASI: {0}")]
pub struct Broken(pub &'static str);

/// Defines every interface in `linker`; `get` finds the context in the store's data.
pub(crate) fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut WasiCtx + Send + Sync + Copy + 'static,
) -> wasmtime::Result<()> {
    io::link(linker, get)?;
    cli::link(linker, get)?;
    clocks::link(linker, get)?;
    filesystem::link(linker, get)
}

fn interface<'l, T: 'static>(linker: &'l mut Linker<T>, name: &str) -> wasmtime::Result<LinkerInstance<'l, T>> {
    linker.instance(&format!("{name}@{VERSION}"))
}

/// Defines a resource whose handles stand for values of type `E`, which are dropped with them.
fn resource<T: 'static, E: Send + 'static>(
    interface: &mut LinkerInstance<'_, T>,
    name: &str,
    get: impl Get<T>,
    drop: fn(&mut WasiCtx, E),
) -> wasmtime::Result<()> {
    interface.resource(name, ResourceType::host::<E>(), move |mut store, rep| {
        let ctx = get(store.data_mut());
        let dropped = ctx.resources.delete(Resource::<E>::new_own(rep))?;
        drop(ctx, dropped);
        Ok(())
    })
}

impl WasiCtx {
    /// A new handle, of which a guest has a bounded number.
    fn handle<E: Send + 'static>(&mut self, entry: E) -> wasmtime::Result<Resource<E>> {
        self.resources.push(entry).map_err(|_| Broken("it holds more handles than it may").into())
    }

    fn failed(&mut self, code: impl Into<ErrorCode>) -> wasmtime::Result<types::StreamError> {
        Ok(types::StreamError::LastOperationFailed(self.handle(types::IoError(code.into()))?))
    }
}

/// The bytes of a list that a guest wants written. They are copied: the guest's memory and the context are both the
/// store's.
fn bounded<T: 'static>(store: &StoreContextMut<'_, T>, list: &WasmList<u8>) -> wasmtime::Result<Vec<u8>> {
    if list.len() > STREAM_BYTES_MAX {
        return Err(Broken("it wrote more at once than the stream has room for").into());
    }
    Ok(list.as_le_slice(StoreContext::from(store)).to_vec())
}

/// Defines functions of an interface: each is a name, its parameters, its result, and what it does with them.
macro_rules! functions {
    ($interface:ident, $get:ident, $($name:literal ($($arg:ident: $ty:ty),*) -> $out:ty => |$ctx:pat_param| $body:expr;)*) => {
        $($interface.func_wrap(
            $name,
            move |mut store: wasmtime::StoreContextMut<'_, T>, ($($arg,)*): ($($ty,)*)| -> wasmtime::Result<($out,)> {
                let ctx = $get(store.data_mut());
                ctx.count_call()?;
                let call = |$ctx: &mut $crate::wasi::WasiCtx| -> wasmtime::Result<$out> { $body };
                Ok((call(ctx)?,))
            },
        )?;)*
    };
}
use functions;
