//! Listing directories.

use super::{
    Errno, Get, Stop, WasiCtx,
    abi::{Guest, Record, file_type_of},
    functions,
};
use wasmtime::Linker;

pub(super) fn link<T: 'static>(linker: &mut Linker<T>, get: impl Get<T>) -> wasmtime::Result<()> {
    functions! { linker, get,
        fd_readdir(fd: u32, at: u32, bytes: u32, cookie: u64, out: u32) => |ctx, guest| {
            let used = ctx.list(guest.bytes_mut(at, bytes)?, fd, cookie)?;
            put_used(guest, out, used)
        };
    }
    Ok(())
}

fn put_used(guest: &mut Guest<'_>, out: u32, used: usize) -> Result<(), Stop> {
    Ok(guest.put_u32(out, u32::try_from(used).map_err(|_| Errno::Overflow)?)?)
}

impl WasiCtx {
    /// Fills the buffer with entries, the last one cut where it ends: a full buffer tells the guest to ask again from
    /// the last cookie that it has whole.
    fn list(&self, buffer: &mut [u8], fd: u32, cookie: u64) -> Result<usize, Stop> {
        let directory = self.table.directory(fd)?;
        let mut used = 0;
        for entry in self.tree.entries(directory, cookie)? {
            let name_bytes = u32::try_from(entry.name.len()).map_err(|_| Errno::Overflow)?;
            let header = Record::<24>::new()
                .set(0, &entry.next.to_le_bytes())
                .set(8, &entry.id.number().to_le_bytes())
                .set(16, &name_bytes.to_le_bytes())
                .set(20, &[file_type_of(entry.kind)]);
            used += fill(buffer.get_mut(used..).unwrap_or_default(), header.bytes());
            used += fill(buffer.get_mut(used..).unwrap_or_default(), entry.name.as_bytes());
            if used == buffer.len() {
                break;
            }
        }
        Ok(used)
    }
}

/// Copies as much as there is room for.
fn fill(room: &mut [u8], bytes: &[u8]) -> usize {
    let count = room.len().min(bytes.len());
    if let (Some(room), Some(bytes)) = (room.get_mut(..count), bytes.get(..count)) {
        room.copy_from_slice(bytes);
    }
    count
}
