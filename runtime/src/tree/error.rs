//! Why an operation on the tree was refused.

/// A refusal. It changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    #[error("no such file or directory")]
    NotFound,
    #[error("it exists already")]
    Exists,
    #[error("not a directory")]
    NotDirectory,
    #[error("a directory")]
    IsDirectory,
    #[error("the directory is not empty")]
    NotEmpty,
    #[error("read-only")]
    ReadOnly,
    #[error("not permitted")]
    NotPermitted,
    #[error("the path leads out of the directory that was granted")]
    Escapes,
    #[error("too many symbolic links")]
    Loop,
    #[error("a name or path is too long")]
    NameTooLong,
    #[error("directories are nested too deeply")]
    TooDeep,
    #[error("the byte quota is used up")]
    NoSpace,
    #[error("the inode quota is used up")]
    NoInode,
    #[error("the offset or size is out of range")]
    TooBig,
    #[error("the directory is in use")]
    Busy,
    #[error("invalid argument")]
    Invalid,
    #[error("the host could not read the file behind it")]
    Io,
}
