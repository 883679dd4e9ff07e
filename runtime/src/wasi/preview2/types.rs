//! The values of WASI 0.2's interfaces, each as its WIT declares it: names, cases and their order are the contract.

// What the macros make of these declarations is theirs; and it is guests that make some of the values.
#![allow(unreachable_pub, clippy::indexing_slicing, dead_code)]

use crate::tree::{Kind, Stat, TreeError};
use wasmtime::component::{ComponentType, Lift, Lower, Resource, flags};

/// What a stream's failure was. Guests hold it to ask what went wrong.
pub(super) struct IoError(pub(super) ErrorCode);

/// Happens at a monotonic time, in nanoseconds; 0 is always over.
pub(super) struct Pollable(pub(super) u64);

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
pub(super) enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

impl Datetime {
    const NANOS: u64 = 1_000_000_000;

    pub(super) fn of(unix_nanos: u64) -> Self {
        Self { seconds: unix_nanos / Self::NANOS, nanoseconds: (unix_nanos % Self::NANOS) as u32 }
    }

    pub(super) fn unix_nanos(self) -> u64 {
        self.seconds.saturating_mul(Self::NANOS).saturating_add(u64::from(self.nanoseconds))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum ErrorCode {
    #[component(name = "access")]
    Access,
    #[component(name = "would-block")]
    WouldBlock,
    #[component(name = "already")]
    Already,
    #[component(name = "bad-descriptor")]
    BadDescriptor,
    #[component(name = "busy")]
    Busy,
    #[component(name = "deadlock")]
    Deadlock,
    #[component(name = "quota")]
    Quota,
    #[component(name = "exist")]
    Exist,
    #[component(name = "file-too-large")]
    FileTooLarge,
    #[component(name = "illegal-byte-sequence")]
    IllegalByteSequence,
    #[component(name = "in-progress")]
    InProgress,
    #[component(name = "interrupted")]
    Interrupted,
    #[component(name = "invalid")]
    Invalid,
    #[component(name = "io")]
    Io,
    #[component(name = "is-directory")]
    IsDirectory,
    #[component(name = "loop")]
    Loop,
    #[component(name = "too-many-links")]
    TooManyLinks,
    #[component(name = "message-size")]
    MessageSize,
    #[component(name = "name-too-long")]
    NameTooLong,
    #[component(name = "no-device")]
    NoDevice,
    #[component(name = "no-entry")]
    NoEntry,
    #[component(name = "no-lock")]
    NoLock,
    #[component(name = "insufficient-memory")]
    InsufficientMemory,
    #[component(name = "insufficient-space")]
    InsufficientSpace,
    #[component(name = "not-directory")]
    NotDirectory,
    #[component(name = "not-empty")]
    NotEmpty,
    #[component(name = "not-recoverable")]
    NotRecoverable,
    #[component(name = "unsupported")]
    Unsupported,
    #[component(name = "no-tty")]
    NoTty,
    #[component(name = "no-such-device")]
    NoSuchDevice,
    #[component(name = "overflow")]
    Overflow,
    #[component(name = "not-permitted")]
    NotPermitted,
    #[component(name = "pipe")]
    Pipe,
    #[component(name = "read-only")]
    ReadOnly,
    #[component(name = "invalid-seek")]
    InvalidSeek,
    #[component(name = "text-file-busy")]
    TextFileBusy,
    #[component(name = "cross-device")]
    CrossDevice,
}

impl From<TreeError> for ErrorCode {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::NotFound => ErrorCode::NoEntry,
            TreeError::Exists => ErrorCode::Exist,
            TreeError::NotDirectory => ErrorCode::NotDirectory,
            TreeError::IsDirectory => ErrorCode::IsDirectory,
            TreeError::NotEmpty => ErrorCode::NotEmpty,
            TreeError::ReadOnly => ErrorCode::ReadOnly,
            TreeError::NotPermitted | TreeError::Escapes => ErrorCode::NotPermitted,
            TreeError::Loop => ErrorCode::Loop,
            TreeError::NameTooLong => ErrorCode::NameTooLong,
            TreeError::NoSpace | TreeError::NoInode | TreeError::TooDeep => ErrorCode::InsufficientSpace,
            TreeError::TooBig => ErrorCode::FileTooLarge,
            TreeError::Busy => ErrorCode::Busy,
            TreeError::Invalid => ErrorCode::Invalid,
            TreeError::Io => ErrorCode::Io,
        }
    }
}

#[derive(Debug, Clone, Copy, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum DescriptorType {
    #[component(name = "unknown")]
    Unknown,
    #[component(name = "block-device")]
    BlockDevice,
    #[component(name = "character-device")]
    CharacterDevice,
    #[component(name = "directory")]
    Directory,
    #[component(name = "fifo")]
    Fifo,
    #[component(name = "symbolic-link")]
    SymbolicLink,
    #[component(name = "regular-file")]
    RegularFile,
    #[component(name = "socket")]
    Socket,
}

impl From<Kind> for DescriptorType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Directory => DescriptorType::Directory,
            Kind::File => DescriptorType::RegularFile,
            Kind::Symlink => DescriptorType::SymbolicLink,
        }
    }
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct DescriptorStat {
    #[component(name = "type")]
    kind: DescriptorType,
    #[component(name = "link-count")]
    links: u64,
    size: u64,
    #[component(name = "data-access-timestamp")]
    accessed: Option<Datetime>,
    #[component(name = "data-modification-timestamp")]
    modified: Option<Datetime>,
    #[component(name = "status-change-timestamp")]
    changed: Option<Datetime>,
}

impl From<Stat> for DescriptorStat {
    fn from(stat: Stat) -> Self {
        let time = |nanos| Some(Datetime::of(nanos));
        Self {
            kind: stat.kind.into(),
            links: u64::from(stat.links),
            size: stat.bytes,
            accessed: time(stat.times.accessed),
            modified: time(stat.times.modified),
            changed: time(stat.times.changed),
        }
    }
}

/// Equal for equal content, as far as its time of change tells.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct MetadataHash {
    lower: u64,
    upper: u64,
}

impl From<Stat> for MetadataHash {
    fn from(stat: Stat) -> Self {
        Self { lower: stat.id.number(), upper: stat.times.modified }
    }
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct DirectoryEntry {
    #[component(name = "type")]
    pub(super) kind: DescriptorType,
    pub(super) name: String,
}

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
pub(super) enum NewTimestamp {
    #[component(name = "no-change")]
    NoChange,
    #[component(name = "now")]
    Now,
    #[component(name = "timestamp")]
    Timestamp(Datetime),
}

impl NewTimestamp {
    /// Unix nanoseconds, or nothing where it stays.
    pub(super) fn unix_nanos(&self, now: u64) -> Option<u64> {
        match self {
            NewTimestamp::NoChange => None,
            NewTimestamp::Now => Some(now),
            NewTimestamp::Timestamp(time) => Some(time.unix_nanos()),
        }
    }
}

#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum Advice {
    #[component(name = "normal")]
    Normal,
    #[component(name = "sequential")]
    Sequential,
    #[component(name = "random")]
    Random,
    #[component(name = "will-need")]
    WillNeed,
    #[component(name = "dont-need")]
    DontNeed,
    #[component(name = "no-reuse")]
    NoReuse,
}

flags! {
    PathFlags {
        #[component(name = "symlink-follow")]
        const SYMLINK_FOLLOW;
    }
}

flags! {
    OpenFlags {
        #[component(name = "create")]
        const CREATE;
        #[component(name = "directory")]
        const DIRECTORY;
        #[component(name = "exclusive")]
        const EXCLUSIVE;
        #[component(name = "truncate")]
        const TRUNCATE;
    }
}

flags! {
    DescriptorFlags {
        #[component(name = "read")]
        const READ;
        #[component(name = "write")]
        const WRITE;
        #[component(name = "file-integrity-sync")]
        const FILE_INTEGRITY_SYNC;
        #[component(name = "data-integrity-sync")]
        const DATA_INTEGRITY_SYNC;
        #[component(name = "requested-write-sync")]
        const REQUESTED_WRITE_SYNC;
        #[component(name = "mutate-directory")]
        const MUTATE_DIRECTORY;
    }
}
