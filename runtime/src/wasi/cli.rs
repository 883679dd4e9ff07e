//! Arguments, environment, and the end of the program.

use super::{Errno, Exit, Get, Stop, WasiCtx, abi::Guest, functions};
use wasmtime::Linker;

pub(super) fn link<T: 'static>(linker: &mut Linker<T>, get: impl Get<T>) -> wasmtime::Result<()> {
    functions! { linker, get,
        args_sizes_get(count: u32, bytes: u32) => |ctx, guest| put_sizes(&ctx.args, guest, count, bytes);
        args_get(pointers: u32, strings: u32) => |ctx, guest| put_strings(&ctx.args, guest, pointers, strings);
        environ_sizes_get(count: u32, bytes: u32) => |ctx, guest| put_sizes(&ctx.env, guest, count, bytes);
        environ_get(pointers: u32, strings: u32) => |ctx, guest| put_strings(&ctx.env, guest, pointers, strings);
        proc_raise(_signal: u32) => |_, _| Err(Errno::Notsup.into());
        sched_yield() => |_, _| Ok(());
    }
    linker.func_wrap(super::MODULE, "proc_exit", move |mut caller: wasmtime::Caller<'_, T>, code: u32| {
        let ctx: &mut WasiCtx = get(caller.data_mut());
        ctx.count_call()?;
        Err::<(), _>(wasmtime::Error::new(Exit(code.cast_signed())))
    })?;
    Ok(())
}

fn put_sizes(texts: &[Box<str>], guest: &mut Guest<'_>, count: u32, bytes: u32) -> Result<(), Stop> {
    let total: usize = texts.iter().map(|text| text.len() + 1).sum();
    guest.put_u32(count, u32::try_from(texts.len()).map_err(|_| Errno::Overflow)?)?;
    guest.put_u32(bytes, u32::try_from(total).map_err(|_| Errno::Overflow)?)?;
    Ok(())
}

/// Strings one after the other, each ended by a NUL, and a pointer to each.
fn put_strings(texts: &[Box<str>], guest: &mut Guest<'_>, pointers: u32, strings: u32) -> Result<(), Stop> {
    let (mut pointer, mut at) = (pointers, strings);
    for text in texts {
        guest.put_u32(pointer, at)?;
        guest.put(at, text.as_bytes())?;
        let end = u32::try_from(text.len()).ok().and_then(|bytes| at.checked_add(bytes)).ok_or(Errno::Fault)?;
        guest.put(end, &[0])?;
        at = end.checked_add(1).ok_or(Errno::Fault)?;
        pointer = pointer.checked_add(4).ok_or(Errno::Fault)?;
    }
    Ok(())
}
