//! The binary interface: reading and writing a guest's memory, every range computed in 64 bits and checked.

use super::Errno;
use crate::tree::PATH_BYTES_MAX;
use std::ops::Range;

/// Buffers in one scattered read or gathered write.
pub(super) const IOVECS_MAX: u32 = 1_024;

const IOVEC_BYTES: u64 = 8;

/// A guest's memory during one host call.
pub(super) struct Guest<'m> {
    bytes: &'m mut [u8],
}

/// A string argument.
#[derive(Clone, Copy)]
pub(super) struct Text {
    pub(super) at: u32,
    pub(super) bytes: u32,
}

/// An array of buffers.
#[derive(Clone, Copy)]
pub(super) struct Iovecs {
    pub(super) at: u32,
    pub(super) count: u32,
}

impl<'m> Guest<'m> {
    pub(super) fn new(bytes: &'m mut [u8]) -> Self {
        Self { bytes }
    }

    /// Refuses a range that is not all in memory.
    pub(super) fn check(&self, at: u32, bytes: u64) -> Result<(), Errno> {
        self.range(at, bytes).map(|_| ())
    }

    pub(super) fn bytes(&self, at: u32, bytes: u32) -> Result<&[u8], Errno> {
        let range = self.range(at, u64::from(bytes))?;
        self.bytes.get(range).ok_or(Errno::Fault)
    }

    pub(super) fn bytes_mut(&mut self, at: u32, bytes: u32) -> Result<&mut [u8], Errno> {
        let range = self.range(at, u64::from(bytes))?;
        self.bytes.get_mut(range).ok_or(Errno::Fault)
    }

    pub(super) fn array<const N: usize>(&self, at: u64) -> Result<[u8; N], Errno> {
        let at = usize::try_from(at).map_err(|_| Errno::Fault)?;
        self.bytes.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().ok_or(Errno::Fault)
    }

    pub(super) fn put(&mut self, at: u32, bytes: &[u8]) -> Result<(), Errno> {
        let range = self.range(at, bytes.len() as u64)?;
        self.bytes.get_mut(range).ok_or(Errno::Fault)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(super) fn put_u32(&mut self, at: u32, value: u32) -> Result<(), Errno> {
        self.put(at, &value.to_le_bytes())
    }

    pub(super) fn put_u64(&mut self, at: u32, value: u64) -> Result<(), Errno> {
        self.put(at, &value.to_le_bytes())
    }

    /// A path or a link's target: UTF-8 of a bounded length.
    pub(super) fn text(&self, text: Text) -> Result<&str, Errno> {
        let bytes = self.bytes(text.at, text.bytes)?;
        if bytes.len() > PATH_BYTES_MAX {
            return Err(Errno::Nametoolong);
        }
        std::str::from_utf8(bytes).map_err(|_| Errno::Ilseq)
    }

    /// Checks an array of buffers, every one of them, before anything is read or written; says their bytes in all.
    pub(super) fn check_iovecs(&self, iovecs: Iovecs) -> Result<u32, Errno> {
        if iovecs.count > IOVECS_MAX {
            return Err(Errno::Inval);
        }
        let mut total = 0u32;
        for index in 0..iovecs.count {
            let (at, bytes) = self.iovec(iovecs, index)?;
            self.check(at, u64::from(bytes))?;
            total = total.checked_add(bytes).ok_or(Errno::Inval)?;
        }
        Ok(total)
    }

    /// Where one buffer of an array is and how many bytes it has.
    pub(super) fn iovec(&self, iovecs: Iovecs, index: u32) -> Result<(u32, u32), Errno> {
        let at = u64::from(iovecs.at) + u64::from(index) * IOVEC_BYTES;
        let [a, b, c, d, e, f, g, h] = self.array(at)?;
        Ok((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])))
    }

    fn range(&self, at: u32, bytes: u64) -> Result<Range<usize>, Errno> {
        let end = u64::from(at) + bytes;
        if end > self.bytes.len() as u64 {
            return Err(Errno::Fault);
        }
        let end = usize::try_from(end).map_err(|_| Errno::Fault)?;
        Ok(at as usize..end)
    }
}

/// A record of fixed size that is put together field by field.
pub(super) struct Record<const N: usize>([u8; N]);

impl<const N: usize> Record<N> {
    pub(super) fn new() -> Self {
        Self([0; N])
    }

    /// Sets a field; one that would not fit the record is a mistake of ours and leaves it as it is.
    pub(super) fn set(mut self, offset: usize, field: &[u8]) -> Self {
        if let Some(place) = self.0.get_mut(offset..offset + field.len()) {
            place.copy_from_slice(field);
        }
        self
    }

    pub(super) fn bytes(&self) -> &[u8; N] {
        &self.0
    }
}

/// The kinds of files, as guests see them.
pub(super) mod file_type {
    pub(in crate::wasi) const UNKNOWN: u8 = 0;
    pub(in crate::wasi) const DIRECTORY: u8 = 3;
    pub(in crate::wasi) const REGULAR_FILE: u8 = 4;
    pub(in crate::wasi) const SYMBOLIC_LINK: u8 = 7;
}

/// What a guest sees of a node's kind.
pub(super) fn file_type_of(kind: crate::tree::Kind) -> u8 {
    match kind {
        crate::tree::Kind::Directory => file_type::DIRECTORY,
        crate::tree::Kind::File => file_type::REGULAR_FILE,
        crate::tree::Kind::Symlink => file_type::SYMBOLIC_LINK,
    }
}
