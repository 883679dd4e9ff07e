//! Sockets: there are none.

use super::{Errno, Get, Stop, WasiCtx, functions};
use wasmtime::Linker;

pub(super) fn link<T: 'static>(linker: &mut Linker<T>, get: impl Get<T>) -> wasmtime::Result<()> {
    functions! { linker, get,
        sock_accept(fd: u32, _flags: u32, _out: u32) => |ctx, _| no_socket(ctx, fd);
        sock_recv(fd: u32, _iovecs: u32, _count: u32, _flags: u32, _bytes: u32, _out: u32) => |ctx, _| no_socket(ctx, fd);
        sock_send(fd: u32, _iovecs: u32, _count: u32, _flags: u32, _bytes: u32) => |ctx, _| no_socket(ctx, fd);
        sock_shutdown(fd: u32, _how: u32) => |ctx, _| no_socket(ctx, fd);
    }
    Ok(())
}

/// An open descriptor is never a socket.
fn no_socket(ctx: &WasiCtx, fd: u32) -> Result<(), Stop> {
    ctx.table.get(fd)?;
    Err(Errno::Notsock.into())
}
