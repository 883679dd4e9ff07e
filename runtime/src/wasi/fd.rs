//! Reading, writing, seeking and closing descriptors.

use super::{
    Errno, Get, Stop, WasiCtx,
    abi::{Guest, Iovecs},
    functions,
    table::{Body, NotFile, fd_flags, rights},
};
use crate::tree::HOST_READ_BYTES_MAX;
use wasmtime::Linker;

/// The kinds of `fd_advise`.
const ADVICE_MAX: u32 = 5;

pub(super) fn link<T: 'static>(linker: &mut Linker<T>, get: impl Get<T>) -> wasmtime::Result<()> {
    functions! { linker, get,
        fd_read(fd: u32, iovecs: u32, count: u32, out: u32) => |ctx, guest| {
            let read = ctx.read(guest, fd, Iovecs { at: iovecs, count })?;
            Ok(guest.put_u32(out, read)?)
        };
        fd_pread(fd: u32, iovecs: u32, count: u32, offset: u64, out: u32) => |ctx, guest| {
            let read = ctx.read_from(guest, fd, Iovecs { at: iovecs, count }, offset)?;
            Ok(guest.put_u32(out, read)?)
        };
        fd_write(fd: u32, iovecs: u32, count: u32, out: u32) => |ctx, guest| {
            let written = ctx.write(guest, fd, Iovecs { at: iovecs, count })?;
            Ok(guest.put_u32(out, written)?)
        };
        fd_pwrite(fd: u32, iovecs: u32, count: u32, offset: u64, out: u32) => |ctx, guest| {
            let written = ctx.write_to(guest, fd, Iovecs { at: iovecs, count }, offset)?;
            Ok(guest.put_u32(out, written)?)
        };
        fd_seek(fd: u32, offset: i64, whence: u32, out: u32) => |ctx, guest| {
            let position = ctx.seek(fd, offset, whence)?;
            Ok(guest.put_u64(out, position)?)
        };
        fd_tell(fd: u32, out: u32) => |ctx, guest| {
            let position = ctx.table.file_mut(fd, NotFile::SEEKING)?.offset;
            Ok(guest.put_u64(out, position)?)
        };
        fd_close(fd: u32) => |ctx, _| {
            let node = ctx.table.remove(fd)?;
            ctx.release(node)
        };
        fd_renumber(from: u32, to: u32) => |ctx, _| {
            let node = ctx.table.renumber(from, to)?;
            ctx.release(node)
        };
        fd_sync(fd: u32) => |ctx, _| ctx.table.get(fd).map(|_| ()).map_err(Stop::from);
        fd_datasync(fd: u32) => |ctx, _| ctx.table.get(fd).map(|_| ()).map_err(Stop::from);
        fd_advise(fd: u32, _offset: u64, _bytes: u64, advice: u32) => |ctx, _| {
            ctx.table.file_mut(fd, NotFile::BAD)?;
            if advice > ADVICE_MAX { Err(Errno::Inval.into()) } else { Ok(()) }
        };
        fd_allocate(fd: u32, offset: u64, bytes: u64) => |ctx, _| {
            let node = ctx.table.file_mut(fd, NotFile::BAD)?.node;
            ctx.check_right(fd, rights::FD_WRITE)?;
            if bytes == 0 {
                return Err(Errno::Inval.into());
            }
            let now = ctx.now();
            Ok(ctx.tree.allocate(node, offset, bytes, now)?)
        };
    }
    Ok(())
}

impl WasiCtx {
    /// A descriptor that lacks the right to read or write is not open for it.
    pub(super) fn check_right(&self, fd: u32, right: u64) -> Result<(), Errno> {
        if self.table.get(fd)?.rights & right == 0 { Err(Errno::Badf) } else { Ok(()) }
    }

    fn release(&mut self, node: Option<crate::tree::NodeId>) -> Result<(), Stop> {
        match node {
            Some(node) => Ok(self.tree.release(node)?),
            None => Ok(()),
        }
    }

    fn read(&mut self, guest: &mut Guest<'_>, fd: u32, iovecs: Iovecs) -> Result<u32, Stop> {
        let file = match self.table.get(fd)?.body {
            Body::File(file) => file,
            Body::Stdin => return self.read_stdin(guest, fd, iovecs),
            Body::Directory(_) => return Err(Errno::Isdir.into()),
            Body::Stdout | Body::Stderr => return Err(Errno::Badf.into()),
        };
        let read = self.read_from(guest, fd, iovecs, file.offset)?;
        self.table.file_mut(fd, NotFile::BAD)?.offset = file.offset.saturating_add(u64::from(read));
        Ok(read)
    }

    fn read_stdin(&mut self, guest: &mut Guest<'_>, fd: u32, iovecs: Iovecs) -> Result<u32, Stop> {
        self.check_right(fd, rights::FD_READ)?;
        guest.check_iovecs(iovecs)?;
        let mut total = 0;
        for index in 0..iovecs.count {
            let (at, bytes) = guest.iovec(iovecs, index)?;
            let rest = self.stdin.bytes.get(self.stdin.position..).unwrap_or_default();
            let now = rest.get(..rest.len().min(bytes as usize)).unwrap_or_default();
            guest.put(at, now)?;
            self.stdin.position += now.len();
            total += now.len();
        }
        Ok(u32::try_from(total).map_err(|_| Errno::Overflow)?)
    }

    fn read_from(&mut self, guest: &mut Guest<'_>, fd: u32, iovecs: Iovecs, offset: u64) -> Result<u32, Stop> {
        let streams = NotFile { directory: Errno::Isdir, stream: Errno::Spipe };
        let node = self.table.file_mut(fd, streams)?.node;
        self.check_right(fd, rights::FD_READ)?;
        guest.check_iovecs(iovecs)?;
        let mut total = 0u32;
        for index in 0..iovecs.count {
            let (at, bytes) = guest.iovec(iovecs, index)?;
            let from = offset.saturating_add(u64::from(total));
            let read = self.tree.read_at(node, from, guest.bytes_mut(at, bytes)?)?;
            // No buffer is longer than a 32-bit number can say.
            let read = u32::try_from(read).map_err(|_| Errno::Overflow)?;
            total = total.checked_add(read).ok_or(Errno::Overflow)?;
            // A call that read so much from a host's disk comes back to the deadline first.
            if read < bytes || total as usize >= HOST_READ_BYTES_MAX {
                break;
            }
        }
        Ok(total)
    }

    fn write(&mut self, guest: &mut Guest<'_>, fd: u32, iovecs: Iovecs) -> Result<u32, Stop> {
        let descriptor = *self.table.get(fd)?;
        let sink = match descriptor.body {
            Body::Stdout => &mut self.stdout,
            Body::Stderr => &mut self.stderr,
            Body::File(file) => {
                let appends = file.flags & fd_flags::APPEND != 0;
                let offset = if appends { self.tree.stat(file.node)?.bytes } else { file.offset };
                let written = self.write_to(guest, fd, iovecs, offset)?;
                self.table.file_mut(fd, NotFile::BAD)?.offset = offset.saturating_add(u64::from(written));
                return Ok(written);
            }
            Body::Stdin | Body::Directory(_) => return Err(Errno::Badf.into()),
        };
        if descriptor.rights & rights::FD_WRITE == 0 {
            return Err(Errno::Badf.into());
        }
        let total = guest.check_iovecs(iovecs)?;
        for index in 0..iovecs.count {
            let (at, bytes) = guest.iovec(iovecs, index)?;
            sink.write(guest.bytes(at, bytes)?);
        }
        Ok(total)
    }

    fn write_to(&mut self, guest: &mut Guest<'_>, fd: u32, iovecs: Iovecs, offset: u64) -> Result<u32, Stop> {
        let node = self.table.file_mut(fd, NotFile::SEEKING)?.node;
        self.check_right(fd, rights::FD_WRITE)?;
        guest.check_iovecs(iovecs)?;
        let now = self.now();
        let mut total = 0u32;
        for index in 0..iovecs.count {
            let (at, bytes) = guest.iovec(iovecs, index)?;
            let to = offset.saturating_add(u64::from(total));
            let written = match self.tree.write_at(node, to, guest.bytes(at, bytes)?, now) {
                Ok(written) => u32::try_from(written).map_err(|_| Errno::Overflow)?,
                // What earlier buffers wrote is written: the next call meets the error.
                Err(_) if total > 0 => break,
                Err(error) => return Err(error.into()),
            };
            total = total.checked_add(written).ok_or(Errno::Overflow)?;
            if written < bytes {
                break;
            }
        }
        Ok(total)
    }

    fn seek(&mut self, fd: u32, offset: i64, whence: u32) -> Result<u64, Stop> {
        let file = *self.table.file_mut(fd, NotFile::SEEKING)?;
        let base = match whence {
            0 => 0,
            1 => file.offset,
            2 => self.tree.stat(file.node)?.bytes,
            _ => return Err(Errno::Inval.into()),
        };
        let position = base.checked_add_signed(offset).filter(|position| i64::try_from(*position).is_ok());
        let position = position.ok_or(Errno::Inval)?;
        self.table.file_mut(fd, NotFile::SEEKING)?.offset = position;
        Ok(position)
    }
}
