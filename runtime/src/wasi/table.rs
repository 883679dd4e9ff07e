//! The descriptors of one guest.

use super::Errno;
use crate::tree::NodeId;

/// Rights of preview1, by the numbers of their bits. Reading and writing are enforced; the rest is reported, as guests'
/// libraries expect.
pub(super) mod rights {
    pub(in crate::wasi) const FD_READ: u64 = 1 << 1;
    pub(in crate::wasi) const FD_WRITE: u64 = 1 << 6;
    /// `fd_datasync` (0) to `fd_allocate` (8), `fd_filestat_get` (21) and its two setters, and polling (27).
    pub(in crate::wasi) const FILE: u64 = 0x1ff | (0b111 << 21) | (1 << 27);
    /// `path_create_directory` (9) to `path_unlink_file` (26) but for a file's size (22), syncing (0, 4) and flags (3).
    pub(in crate::wasi) const DIRECTORY: u64 = (0x07ff_fe00 & !(1 << 22)) | 0b1_1001;
    pub(in crate::wasi) const ALL: u64 = FILE | DIRECTORY;
    /// Flags (3), `fd_filestat_get` (21) and polling (27), without seeking.
    pub(in crate::wasi) const STREAM: u64 = (1 << 3) | (1 << 21) | (1 << 27);
}

/// Flags of an open file.
pub(super) mod fd_flags {
    pub(in crate::wasi) const APPEND: u16 = 1;
    pub(in crate::wasi) const ALL: u16 = 0b1_1111;
}

/// One open descriptor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Descriptor {
    pub(super) body: Body,
    pub(super) rights: u64,
    pub(super) inheriting: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    Stdin,
    Stdout,
    Stderr,
    File(OpenFile),
    Directory(OpenDirectory),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct OpenFile {
    pub(super) node: NodeId,
    pub(super) offset: u64,
    pub(super) flags: u16,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct OpenDirectory {
    pub(super) node: NodeId,
    /// Which grant it is, counted from 0.
    pub(super) preopen: Option<usize>,
}

impl Descriptor {
    pub(super) fn stdin() -> Self {
        Self { body: Body::Stdin, rights: rights::STREAM | rights::FD_READ, inheriting: 0 }
    }

    pub(super) fn stdout() -> Self {
        Self { body: Body::Stdout, rights: rights::STREAM | rights::FD_WRITE, inheriting: 0 }
    }

    pub(super) fn stderr() -> Self {
        Self { body: Body::Stderr, ..Self::stdout() }
    }

    pub(super) fn preopen(node: NodeId, index: usize) -> Self {
        let body = Body::Directory(OpenDirectory { node, preopen: Some(index) });
        Self { body, rights: rights::DIRECTORY, inheriting: rights::ALL }
    }

    fn node(&self) -> Option<NodeId> {
        match self.body {
            Body::File(file) => Some(file.node),
            Body::Directory(directory) => Some(directory.node),
            Body::Stdin | Body::Stdout | Body::Stderr => None,
        }
    }
}

/// Descriptors by number; the lowest free number is given out next.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Option<Descriptor>>,
    max: usize,
    /// No lower number is free.
    free_from: usize,
}

impl Table {
    pub(super) fn new(max: u32) -> Self {
        Self { slots: Vec::with_capacity(8), max: max as usize, free_from: 0 }
    }

    pub(super) fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.slots.get(fd as usize).and_then(Option::as_ref).ok_or(Errno::Badf)
    }

    pub(super) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.slots.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Errno::Badf)
    }

    /// The directory that a path starts from, and what opening from it may grant.
    pub(super) fn directory(&self, fd: u32) -> Result<NodeId, Errno> {
        match self.get(fd)?.body {
            Body::Directory(directory) => Ok(directory.node),
            Body::File(_) => Err(Errno::Notdir),
            Body::Stdin | Body::Stdout | Body::Stderr => Err(Errno::Badf),
        }
    }

    /// An open file; streams and directories answer `otherwise`.
    pub(super) fn file_mut(&mut self, fd: u32, otherwise: NotFile) -> Result<&mut OpenFile, Errno> {
        match &mut self.get_mut(fd)?.body {
            Body::File(file) => Ok(file),
            Body::Directory(_) => Err(otherwise.directory),
            Body::Stdin | Body::Stdout | Body::Stderr => Err(otherwise.stream),
        }
    }

    /// Refuses where no number is left.
    pub(super) fn check_room(&mut self) -> Result<(), Errno> {
        while self.slots.get(self.free_from).is_some_and(Option::is_some) {
            self.free_from += 1;
        }
        if self.free_from < self.max { Ok(()) } else { Err(Errno::Mfile) }
    }

    pub(super) fn insert(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        self.check_room()?;
        let fd = self.free_from;
        match self.slots.get_mut(fd) {
            Some(slot) => *slot = Some(descriptor),
            None => self.slots.push(Some(descriptor)),
        }
        self.free_from += 1;
        u32::try_from(fd).map_err(|_| Errno::Mfile)
    }

    /// Closes a number; answers the node that it held.
    pub(super) fn remove(&mut self, fd: u32) -> Result<Option<NodeId>, Errno> {
        let descriptor = self.slots.get_mut(fd as usize).and_then(Option::take).ok_or(Errno::Badf)?;
        self.free_from = self.free_from.min(fd as usize);
        Ok(descriptor.node())
    }

    /// Moves an open descriptor to the number of another, which is closed; answers the node that the other held.
    pub(super) fn renumber(&mut self, from: u32, to: u32) -> Result<Option<NodeId>, Errno> {
        self.get(to)?;
        let moved = *self.get(from)?;
        if from == to {
            return Ok(None);
        }
        self.remove(from)?;
        let replaced = std::mem::replace(self.get_mut(to)?, moved);
        Ok(replaced.node())
    }

    /// Whether all that is open are the streams and so many grants, each at its own number.
    pub(super) fn is_as_granted(&self, grants: usize) -> bool {
        let as_granted = |(fd, slot): (usize, &Option<Descriptor>)| match slot.map(|descriptor| descriptor.body) {
            Some(Body::Stdin) => fd == 0,
            Some(Body::Stdout) => fd == 1,
            Some(Body::Stderr) => fd == 2,
            Some(Body::Directory(directory)) => directory.preopen.is_some_and(|grant| fd == 3 + grant),
            Some(Body::File(_)) => false,
            None => fd >= 3 + grants,
        };
        self.slots.len() >= 3 + grants && self.slots.iter().enumerate().all(as_granted)
    }

    /// Closes everything; answers the nodes that were held.
    pub(super) fn close_all(&mut self) -> Vec<NodeId> {
        self.free_from = 0;
        self.slots.drain(..).flatten().filter_map(|descriptor| descriptor.node()).collect()
    }
}

/// What descriptors that are no files answer.
#[derive(Clone, Copy)]
pub(super) struct NotFile {
    pub(super) directory: Errno,
    pub(super) stream: Errno,
}

impl NotFile {
    pub(super) const BAD: NotFile = NotFile { directory: Errno::Badf, stream: Errno::Badf };
    /// Streams have no position.
    pub(super) const SEEKING: NotFile = NotFile { directory: Errno::Badf, stream: Errno::Spipe };
}
