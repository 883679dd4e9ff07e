//! The error numbers of preview1, and what each refusal of the tree is to a guest.

use crate::tree::TreeError;

/// The numbers that this host answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Errno {
    Success = 0,
    Badf = 8,
    Busy = 10,
    Exist = 20,
    Fault = 21,
    Fbig = 22,
    Ilseq = 25,
    Inval = 28,
    Io = 29,
    Isdir = 31,
    Loop = 32,
    Mfile = 33,
    Nametoolong = 37,
    Noent = 44,
    Nospc = 51,
    Notdir = 54,
    Notempty = 55,
    Notsock = 57,
    Notsup = 58,
    Overflow = 61,
    Perm = 63,
    Rofs = 69,
    Spipe = 70,
    Notcapable = 76,
}

impl Errno {
    /// The number as functions return it.
    pub fn code(self) -> i32 {
        i32::from(self as u16)
    }
}

impl From<TreeError> for Errno {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::NotFound => Errno::Noent,
            TreeError::Exists => Errno::Exist,
            TreeError::NotDirectory => Errno::Notdir,
            TreeError::IsDirectory => Errno::Isdir,
            TreeError::NotEmpty => Errno::Notempty,
            TreeError::ReadOnly => Errno::Rofs,
            TreeError::NotPermitted | TreeError::Escapes => Errno::Perm,
            TreeError::Loop => Errno::Loop,
            TreeError::NameTooLong => Errno::Nametoolong,
            TreeError::NoSpace | TreeError::NoInode | TreeError::TooDeep => Errno::Nospc,
            TreeError::TooBig => Errno::Fbig,
            TreeError::Busy => Errno::Busy,
            TreeError::Invalid => Errno::Inval,
            TreeError::Io => Errno::Io,
        }
    }
}
