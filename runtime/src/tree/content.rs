//! The bytes of files: growing, reading and writing under the byte quota.

use super::{NodeId, Tree, TreeError, node::Body};
use crate::FileContent;
use std::os::unix::fs::FileExt;

/// A file never has more bytes than a guest's address space could hold twice over.
const FILE_BYTES_MAX: u64 = 1 << 33;
/// Spare room below this is not given back when a file shrinks.
const SPARE_BYTES_MAX: usize = 512;
/// One read of a file that the host holds gives no more than this: it may wait for a disk, and nobody can interrupt it.
pub const HOST_READ_BYTES_MAX: usize = 4 << 20;

#[derive(Debug, Clone)]
pub(super) enum Content {
    Owned(Vec<u8>),
    Constant(FileContent),
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        match self {
            Content::Owned(bytes) => bytes.len() as u64,
            Content::Constant(FileContent::Bytes(bytes)) => bytes.len() as u64,
            Content::Constant(FileContent::File { bytes, .. }) => *bytes,
        }
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize, TreeError> {
        let held: &[u8] = match self {
            Content::Owned(bytes) => bytes,
            Content::Constant(FileContent::Bytes(bytes)) => bytes,
            Content::Constant(FileContent::File { file, bytes }) => return read_host(file, *bytes, offset, out),
        };
        let rest = usize::try_from(offset).ok().and_then(|offset| held.get(offset..)).unwrap_or_default();
        let count = rest.len().min(out.len());
        if let (Some(out), Some(rest)) = (out.get_mut(..count), rest.get(..count)) {
            out.copy_from_slice(rest);
        }
        Ok(count)
    }
}

impl Tree {
    /// Copies from a file's offset into `out`; says how many bytes, 0 at the end of the file. Of a file that the host
    /// holds it is at most [`HOST_READ_BYTES_MAX`].
    pub fn read_at(&self, id: NodeId, offset: u64, out: &mut [u8]) -> Result<usize, TreeError> {
        match &self.node(id)?.body {
            Body::File(content) => content.read_at(offset, out),
            Body::Directory(_) => Err(TreeError::IsDirectory),
            Body::Symlink(_) => Err(TreeError::Invalid),
        }
    }

    /// Writes at an offset, filling a hole before it with zeroes. Says how many bytes were written: fewer than asked
    /// where the quota ends within them, an error where not one fits.
    pub fn write_at(&mut self, id: NodeId, offset: u64, bytes: &[u8], now: u64) -> Result<usize, TreeError> {
        let room = self.room();
        let held = self.owned_mut(id)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let before = held.len() as u64;
        let end = offset.checked_add(bytes.len() as u64).ok_or(TreeError::TooBig)?;
        if offset >= FILE_BYTES_MAX {
            return Err(TreeError::TooBig);
        }
        let end = end.min(before.saturating_add(room)).min(FILE_BYTES_MAX);
        let fitting = usize::try_from(end.saturating_sub(offset)).unwrap_or(0);
        let (Some(bytes @ [_, ..]), Ok(start)) = (bytes.get(..fitting), usize::try_from(offset)) else {
            return Err(TreeError::NoSpace);
        };
        reserve(held, end, room)?;
        if start > held.len() {
            held.resize(start, 0);
        }
        let over = bytes.len().min(held.len() - start);
        let (over, rest) = bytes.split_at_checked(over).unwrap_or((bytes, &[]));
        if let Some(old) = held.get_mut(start..start + over.len()) {
            old.copy_from_slice(over);
        }
        held.extend_from_slice(rest);
        let grown = (held.len() as u64).saturating_sub(before);
        let written = bytes.len();
        self.bytes_used += grown;
        self.touch(id, now)?;
        Ok(written)
    }

    /// Cuts a file, or extends it with zeroes that are charged like any other bytes.
    pub fn set_size(&mut self, id: NodeId, size: u64, now: u64) -> Result<(), TreeError> {
        let room = self.room();
        let held = self.owned_mut(id)?;
        let before = held.len() as u64;
        if size > before {
            if size > FILE_BYTES_MAX {
                return Err(TreeError::TooBig);
            }
            if size - before > room {
                return Err(TreeError::NoSpace);
            }
            reserve(held, size, room)?;
        }
        held.resize(usize::try_from(size).map_err(|_| TreeError::TooBig)?, 0);
        // Cutting gives the room back: else files that were large once would hold memory that nobody is charged for.
        if held.capacity() / 2 > held.len() + SPARE_BYTES_MAX {
            held.shrink_to_fit();
        }
        self.bytes_used = self.bytes_used - before + size;
        self.touch(id, now)
    }

    /// Makes a file at least `offset + bytes` long.
    pub fn allocate(&mut self, id: NodeId, offset: u64, bytes: u64, now: u64) -> Result<(), TreeError> {
        let end = offset.checked_add(bytes).ok_or(TreeError::TooBig)?;
        let before = self.owned_mut(id)?.len() as u64;
        if end > before { self.set_size(id, end, now) } else { Ok(()) }
    }

    /// The bytes of a file that guests can write.
    pub(super) fn owned(&self, id: NodeId) -> Option<&[u8]> {
        match &self.node(id).ok()?.body {
            Body::File(Content::Owned(bytes)) => Some(bytes),
            _ => None,
        }
    }

    pub(super) fn room(&self) -> u64 {
        self.limits.bytes_max.saturating_sub(self.bytes_used)
    }

    fn owned_mut(&mut self, id: NodeId) -> Result<&mut Vec<u8>, TreeError> {
        let node = self.node_mut(id)?;
        node.check_writable()?;
        match &mut node.body {
            Body::File(Content::Owned(bytes)) => Ok(bytes),
            Body::File(Content::Constant(_)) => Err(TreeError::ReadOnly),
            Body::Directory(_) => Err(TreeError::IsDirectory),
            Body::Symlink(_) => Err(TreeError::Invalid),
        }
    }

    fn touch(&mut self, id: NodeId, now: u64) -> Result<(), TreeError> {
        let times = &mut self.node_mut(id)?.times;
        times.modified = now;
        times.changed = now;
        Ok(())
    }
}

/// Makes room for `end` bytes, with half as much again to spare where the quota has it, so that a file that grows byte
/// by byte is seldom moved.
fn reserve(held: &mut Vec<u8>, end: u64, room: u64) -> Result<(), TreeError> {
    let end = usize::try_from(end).map_err(|_| TreeError::TooBig)?;
    if end <= held.capacity() {
        return Ok(());
    }
    let room_after = usize::try_from(room).unwrap_or(usize::MAX).saturating_sub(end - held.len());
    let spare = (end / 2).min(room_after);
    held.try_reserve_exact(end.saturating_add(spare) - held.len()).map_err(|_| TreeError::NoSpace)
}

/// Reads what a host's file has, up to the length that it had when it was opened. A file that lost bytes since is an
/// error: a guest must not take a part for the whole.
fn read_host(file: &std::fs::File, length: u64, offset: u64, out: &mut [u8]) -> Result<usize, TreeError> {
    let rest = usize::try_from(length.saturating_sub(offset)).unwrap_or(usize::MAX);
    let count = rest.min(out.len()).min(HOST_READ_BYTES_MAX);
    let out = out.get_mut(..count).unwrap_or_default();
    let mut done = 0;
    while let Some(left @ [_, ..]) = out.get_mut(done..) {
        match file.read_at(left, offset + done as u64) {
            Ok(0) => return Err(TreeError::Io),
            Ok(more) => done += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return Err(TreeError::Io),
        }
    }
    Ok(count)
}
