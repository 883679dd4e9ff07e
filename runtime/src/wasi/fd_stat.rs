//! What descriptors and nodes are: kinds, rights, sizes, times, and the names of grants.

use super::{
    Errno, Get, Stop, WasiCtx,
    abi::{Guest, Record, file_type, file_type_of},
    functions,
    table::{Body, NotFile, fd_flags, rights},
};
use crate::tree::{SetTimes, Stat, Times};
use wasmtime::Linker;

/// The one kind of grant: a directory.
const PREOPEN_DIRECTORY: u32 = 0;
/// The number of the one device that all nodes are on.
const DEVICE: u64 = 1;

pub(super) fn link<T: 'static>(linker: &mut Linker<T>, get: impl Get<T>) -> wasmtime::Result<()> {
    functions! { linker, get,
        fd_fdstat_get(fd: u32, out: u32) => |ctx, guest| ctx.put_fdstat(guest, fd, out);
        fd_fdstat_set_flags(fd: u32, flags: u32) => |ctx, _| ctx.set_flags(fd, flags);
        fd_fdstat_set_rights(fd: u32, rights: u64, inheriting: u64) => |ctx, _| ctx.set_rights(fd, rights, inheriting);
        fd_filestat_get(fd: u32, out: u32) => |ctx, guest| ctx.put_filestat_of(guest, fd, out);
        fd_filestat_set_size(fd: u32, size: u64) => |ctx, _| {
            let node = ctx.table.file_mut(fd, NotFile::BAD)?.node;
            ctx.check_right(fd, rights::FD_WRITE)?;
            let now = ctx.now();
            Ok(ctx.tree.set_size(node, size, now)?)
        };
        fd_filestat_set_times(fd: u32, accessed: u64, modified: u64, flags: u32) => |ctx, _| {
            let node = match ctx.table.get(fd)?.body {
                Body::File(file) => file.node,
                Body::Directory(directory) => directory.node,
                Body::Stdin | Body::Stdout | Body::Stderr => return Err(Errno::Badf.into()),
            };
            let now = ctx.now();
            let times = parse_times(accessed, modified, flags, now)?;
            Ok(ctx.tree.set_times(node, times, now)?)
        };
        fd_prestat_get(fd: u32, out: u32) => |ctx, guest| {
            let bytes = u32::try_from(ctx.preopen(fd)?.len()).map_err(|_| Errno::Overflow)?;
            let record = Record::<8>::new().set(0, &PREOPEN_DIRECTORY.to_le_bytes()).set(4, &bytes.to_le_bytes());
            Ok(guest.put(out, record.bytes())?)
        };
        fd_prestat_dir_name(fd: u32, at: u32, bytes: u32) => |ctx, guest| {
            let path = ctx.preopen(fd)?;
            if path.len() > bytes as usize {
                return Err(Errno::Nametoolong.into());
            }
            Ok(guest.put(at, path.as_bytes())?)
        };
    }
    Ok(())
}

/// Writes what a guest may know of a node.
pub(super) fn put_filestat(guest: &mut Guest<'_>, out: u32, stat: Stat) -> Result<(), Stop> {
    let record = filestat(stat.id.number(), file_type_of(stat.kind), stat.bytes, stat.times);
    let record = record.set(24, &u64::from(stat.links).to_le_bytes());
    Ok(guest.put(out, record.bytes())?)
}

/// Which times are set, and to what, from the arguments of the two `set_times` functions.
pub(super) fn parse_times(accessed: u64, modified: u64, flags: u32, now: u64) -> Result<SetTimes, Errno> {
    const ACCESSED: u32 = 1;
    const ACCESSED_NOW: u32 = 2;
    const MODIFIED: u32 = 4;
    const MODIFIED_NOW: u32 = 8;
    let one = |given: u32, given_now: u32, value: u64| match (flags & given != 0, flags & given_now != 0) {
        (true, true) => Err(Errno::Inval),
        (true, false) => Ok(Some(value)),
        (false, true) => Ok(Some(now)),
        (false, false) => Ok(None),
    };
    if flags > (ACCESSED | ACCESSED_NOW | MODIFIED | MODIFIED_NOW) {
        return Err(Errno::Inval);
    }
    let accessed = one(ACCESSED, ACCESSED_NOW, accessed)?;
    Ok(SetTimes { accessed, modified: one(MODIFIED, MODIFIED_NOW, modified)? })
}

fn filestat(inode: u64, file_type: u8, bytes: u64, times: Times) -> Record<64> {
    Record::new()
        .set(0, &DEVICE.to_le_bytes())
        .set(8, &inode.to_le_bytes())
        .set(16, &[file_type])
        .set(32, &bytes.to_le_bytes())
        .set(40, &times.accessed.to_le_bytes())
        .set(48, &times.modified.to_le_bytes())
        .set(56, &times.changed.to_le_bytes())
}

impl WasiCtx {
    fn put_fdstat(&self, guest: &mut Guest<'_>, fd: u32, out: u32) -> Result<(), Stop> {
        let descriptor = self.table.get(fd)?;
        let (file_type, flags) = match descriptor.body {
            // Not a character device: that would be taken for a terminal.
            Body::Stdin | Body::Stdout | Body::Stderr => (file_type::UNKNOWN, 0),
            Body::Directory(_) => (file_type::DIRECTORY, 0),
            Body::File(file) => (file_type::REGULAR_FILE, file.flags),
        };
        let record = Record::<24>::new()
            .set(0, &[file_type])
            .set(2, &flags.to_le_bytes())
            .set(8, &descriptor.rights.to_le_bytes())
            .set(16, &descriptor.inheriting.to_le_bytes());
        Ok(guest.put(out, record.bytes())?)
    }

    /// Nothing here blocks, and everything is always in step with the tree: only appending makes a difference.
    fn set_flags(&mut self, fd: u32, flags: u32) -> Result<(), Stop> {
        let flags = u16::try_from(flags).ok().filter(|flags| flags & !fd_flags::ALL == 0).ok_or(Errno::Inval)?;
        if let Body::File(file) = &mut self.table.get_mut(fd)?.body {
            file.flags = flags;
        }
        Ok(())
    }

    /// Rights can be given up, never gained.
    fn set_rights(&mut self, fd: u32, base: u64, inheriting: u64) -> Result<(), Stop> {
        let descriptor = self.table.get_mut(fd)?;
        if base & !descriptor.rights != 0 || inheriting & !descriptor.inheriting != 0 {
            return Err(Errno::Notcapable.into());
        }
        descriptor.rights = base;
        descriptor.inheriting = inheriting;
        Ok(())
    }

    fn put_filestat_of(&self, guest: &mut Guest<'_>, fd: u32, out: u32) -> Result<(), Stop> {
        let node = match self.table.get(fd)?.body {
            Body::File(file) => file.node,
            Body::Directory(directory) => directory.node,
            Body::Stdin | Body::Stdout | Body::Stderr => {
                let record = filestat(0, file_type::UNKNOWN, 0, Times::default()).set(24, &1u64.to_le_bytes());
                return Ok(guest.put(out, record.bytes())?);
            }
        };
        put_filestat(guest, out, self.tree.stat(node)?)
    }

    /// The path of a grant; what is no grant is a bad descriptor, which ends a library's search for them.
    fn preopen(&self, fd: u32) -> Result<&str, Errno> {
        match self.table.get(fd)?.body {
            Body::Directory(directory) => {
                directory.preopen.and_then(|index| self.preopens.get(index)).map(AsRef::as_ref).ok_or(Errno::Badf)
            }
            _ => Err(Errno::Badf),
        }
    }
}
