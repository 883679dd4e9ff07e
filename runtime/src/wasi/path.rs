//! Operations on paths. Each starts from a directory that the guest holds and stays in it.

use super::{
    Errno, Get, Stop, WasiCtx,
    abi::{Guest, Text},
    fd_stat::{parse_times, put_filestat},
    functions,
    table::{Body, Descriptor, OpenDirectory, OpenFile, fd_flags, rights},
};
use crate::tree::{At, Create, Kind, Last, OpenOptions};
use wasmtime::Linker;

pub(super) fn link<T: 'static>(linker: &mut Linker<T>, get: impl Get<T>) -> wasmtime::Result<()> {
    functions! { linker, get,
        path_open(fd: u32, lookup: u32, path: u32, path_bytes: u32, how: u32, base: u64, inheriting: u64, flags: u32, out: u32) =>
            |ctx, guest| {
                let request = Open { fd, lookup, path: Text { at: path, bytes: path_bytes }, how, base, inheriting, flags };
                guest.check(out, 4)?;
                let fd = ctx.open(guest, request)?;
                Ok(guest.put_u32(out, fd)?)
            };
        path_filestat_get(fd: u32, lookup: u32, path: u32, path_bytes: u32, out: u32) => |ctx, guest| {
            let at = ctx.at(guest, fd, Text { at: path, bytes: path_bytes })?;
            let stat = ctx.tree.stat(ctx.tree.resolve(at, last(lookup)?)?)?;
            put_filestat(guest, out, stat)
        };
        path_filestat_set_times(fd: u32, lookup: u32, path: u32, path_bytes: u32, accessed: u64, modified: u64, flags: u32) =>
            |ctx, guest| {
                let at = ctx.at(guest, fd, Text { at: path, bytes: path_bytes })?;
                let now = ctx.now();
                let times = parse_times(accessed, modified, flags, now)?;
                let node = ctx.tree.resolve(at, last(lookup)?)?;
                Ok(ctx.tree.set_times(node, times, now)?)
            };
        path_create_directory(fd: u32, path: u32, path_bytes: u32) => |ctx, guest| {
            let at = ctx.at(guest, fd, Text { at: path, bytes: path_bytes })?;
            let now = ctx.now();
            Ok(ctx.tree.create_directory(at, now)?)
        };
        path_remove_directory(fd: u32, path: u32, path_bytes: u32) => |ctx, guest| {
            let at = ctx.at(guest, fd, Text { at: path, bytes: path_bytes })?;
            let now = ctx.now();
            Ok(ctx.tree.remove_directory(at, now)?)
        };
        path_unlink_file(fd: u32, path: u32, path_bytes: u32) => |ctx, guest| {
            let at = ctx.at(guest, fd, Text { at: path, bytes: path_bytes })?;
            let now = ctx.now();
            Ok(ctx.tree.unlink(at, now)?)
        };
        path_rename(fd: u32, path: u32, path_bytes: u32, new_fd: u32, new_path: u32, new_bytes: u32) => |ctx, guest| {
            let old = ctx.at(guest, fd, Text { at: path, bytes: path_bytes })?;
            let new = ctx.at(guest, new_fd, Text { at: new_path, bytes: new_bytes })?;
            let now = ctx.now();
            Ok(ctx.tree.rename(old, new, now)?)
        };
        path_link(fd: u32, lookup: u32, path: u32, path_bytes: u32, new_fd: u32, new_path: u32, new_bytes: u32) =>
            |ctx, guest| {
                let old = ctx.at(guest, fd, Text { at: path, bytes: path_bytes })?;
                let new = ctx.at(guest, new_fd, Text { at: new_path, bytes: new_bytes })?;
                let now = ctx.now();
                Ok(ctx.tree.link(old, last(lookup)?, new, now)?)
            };
        path_symlink(target: u32, target_bytes: u32, fd: u32, path: u32, path_bytes: u32) => |ctx, guest| {
            let target = guest.text(Text { at: target, bytes: target_bytes })?;
            let at = ctx.at(guest, fd, Text { at: path, bytes: path_bytes })?;
            let now = ctx.now();
            Ok(ctx.tree.create_symlink(target, at, now)?)
        };
        path_readlink(fd: u32, path: u32, path_bytes: u32, buffer: u32, buffer_bytes: u32, out: u32) => |ctx, guest| {
            let at = ctx.at(guest, fd, Text { at: path, bytes: path_bytes })?;
            let target = ctx.tree.read_symlink(at)?.as_bytes();
            let target = target.get(..buffer_bytes as usize).unwrap_or(target);
            guest.put(buffer, target)?;
            Ok(guest.put_u32(out, u32::try_from(target.len()).map_err(|_| Errno::Overflow)?)?)
        };
    }
    Ok(())
}

/// The arguments of `path_open`.
struct Open {
    fd: u32,
    lookup: u32,
    path: Text,
    how: u32,
    base: u64,
    inheriting: u64,
    flags: u32,
}

impl WasiCtx {
    fn at<'g>(&self, guest: &'g Guest<'_>, fd: u32, path: Text) -> Result<At<'g>, Errno> {
        Ok(At { base: self.table.directory(fd)?, path: guest.text(path)? })
    }

    fn open(&mut self, guest: &Guest<'_>, request: Open) -> Result<u32, Stop> {
        let at = self.at(guest, request.fd, request.path)?;
        let granted = self.table.get(request.fd)?.inheriting;
        const ENFORCED: u64 = rights::FD_READ | rights::FD_WRITE;
        if request.base & ENFORCED & !granted != 0 {
            return Err(Errno::Notcapable.into());
        }
        let known = |flags: &u16| flags & !fd_flags::ALL == 0;
        let flags = u16::try_from(request.flags).ok().filter(known).ok_or(Errno::Inval)?;
        let options = open_options(&request)?;
        self.table.check_room()?;
        let now = self.now();
        let node = self.tree.open(at, options, now)?;
        let descriptor = match self.tree.kind(node)? {
            Kind::Directory => Descriptor {
                body: Body::Directory(OpenDirectory { node, preopen: None }),
                rights: request.base & granted & rights::DIRECTORY,
                inheriting: request.inheriting & granted,
            },
            Kind::File | Kind::Symlink => Descriptor {
                body: Body::File(OpenFile { node, offset: 0, flags }),
                rights: request.base & granted & rights::FILE,
                inheriting: 0,
            },
        };
        Ok(self.table.insert(descriptor)?)
    }
}

fn last(lookup: u32) -> Result<Last, Errno> {
    match lookup {
        0 => Ok(Last::FollowBeforeSlash),
        1 => Ok(Last::Follow),
        _ => Err(Errno::Inval),
    }
}

fn open_options(request: &Open) -> Result<OpenOptions, Errno> {
    const CREATE: u32 = 1;
    const DIRECTORY: u32 = 2;
    const EXCLUSIVE: u32 = 4;
    const TRUNCATE: u32 = 8;
    if request.how > (CREATE | DIRECTORY | EXCLUSIVE | TRUNCATE) {
        return Err(Errno::Inval);
    }
    let create = match (request.how & CREATE != 0, request.how & EXCLUSIVE != 0) {
        (true, true) => Create::New,
        (true, false) => Create::IfMissing,
        (false, _) => Create::Never,
    };
    Ok(OpenOptions {
        create,
        directory: request.how & DIRECTORY != 0,
        truncate: request.how & TRUNCATE != 0,
        write: request.base & rights::FD_WRITE != 0,
        last: last(request.lookup)?,
    })
}
