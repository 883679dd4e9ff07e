//! What a container left in its work folder, read by a host that trusts none of it.
//!
//! Names are walked one component at a time from the root's handle, and each is opened as what it is, never as what it
//! points to. A file is then looked at through its handle, so that nothing can be exchanged in between.

use crate::solver::Folder;
use cap_std::fs::{Dir, DirEntry, File, MetadataExt, OpenOptions, OpenOptionsExt};
use mecapy_model::ArtifactName;
use rustix::fs::OFlags;
use std::{
    fs,
    io::{self, Read},
    os::fd::OwnedFd,
};

/// How many of the files that can't be kept are named.
const REFUSED_MAX: usize = 16;
/// How much of a name that can't be kept is shown.
const SHOWN_CHARS_MAX: usize = 64;

/// The regular files of a work folder, folders within it included.
#[derive(Debug)]
pub struct WorkFolder {
    root: Dir,
    device: u64,
    files_max: usize,
    /// No file is longer than this, holes counted: a file of nothing may claim any length.
    file_bytes_max: u64,
}

/// Something that was left and can't be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedFile {
    /// Its name, printable and cut.
    pub name: String,
    pub reason: &'static str,
}

/// Everything of a folder.
#[derive(Debug, Default)]
struct Listed {
    files: Vec<(ArtifactName, u64)>,
    refused: Vec<RefusedFile>,
}

impl WorkFolder {
    pub(super) fn new(root: Dir, files_max: usize, file_bytes_max: u64) -> io::Result<Self> {
        let device = root.dir_metadata()?.dev();
        Ok(Self { root, device, files_max, file_bytes_max })
    }

    /// The first of what its list leaves out, and why.
    ///
    /// # Errors
    /// As where it is listed.
    pub fn refused(&self) -> io::Result<Vec<RefusedFile>> {
        self.walk().map(|listed| listed.refused)
    }

    /// Opens a file for reading: a regular one, which stands at its start.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for a name that no artifact may have; `InvalidData` where it is a link, no regular
    /// file, or longer than its folder.
    pub fn file(&self, name: &str) -> io::Result<fs::File> {
        let name = ArtifactName::parse(name)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
        let (folder, last) = match name.as_str().rsplit_once('/') {
            Some((folder, last)) => (self.folder(folder)?, last),
            None => (self.root.try_clone()?, name.as_str()),
        };
        // Without NONBLOCK, a pipe that nobody writes to would hold us for ever.
        let file = open_nofollow(&folder, last, OFlags::NONBLOCK).map_err(|error| link_or(error, name.as_str()))?;
        let metadata = file.metadata()?;
        match self.refusal(metadata.is_file(), &metadata) {
            Some(reason) => Err(invalid(name.as_str(), reason)),
            None => Ok(file.into_std()),
        }
    }

    fn walk(&self) -> io::Result<Listed> {
        let mut listed = Listed::default();
        let mut folders = vec![String::new()];
        while let Some(prefix) = folders.pop() {
            let folder = if prefix.is_empty() { self.root.try_clone()? } else { self.folder(&prefix)? };
            for entry in folder.entries()? {
                let entry = entry?;
                let Some(name) = self.named(&prefix, &entry, &mut listed) else { continue };
                let metadata = entry.metadata()?;
                if metadata.is_dir() && metadata.dev() == self.device {
                    folders.push(name.as_str().to_owned());
                } else if let Some(reason) = self.refusal(metadata.is_file(), &metadata) {
                    listed.refuse(name.as_str(), reason);
                } else if listed.files.len() >= self.files_max {
                    let told = format!("the run left more than {} files", self.files_max);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, told));
                } else {
                    listed.files.push((name, metadata.len()));
                }
            }
        }
        listed.files.sort();
        Ok(listed)
    }

    /// The entry's whole name, where an artifact may have it. A name's greatest length also bounds how deep we go.
    fn named(&self, prefix: &str, entry: &DirEntry, listed: &mut Listed) -> Option<ArtifactName> {
        let last = entry.file_name();
        let whole = |last: &str| if prefix.is_empty() { last.to_owned() } else { format!("{prefix}/{last}") };
        let Some(text) = last.to_str() else {
            listed.refuse(&whole(&last.to_string_lossy()), "its name is not UTF-8");
            return None;
        };
        match ArtifactName::parse(&whole(text)) {
            Ok(name) => Some(name),
            Err(error) => {
                listed.refuse(&whole(text), error.reason);
                None
            }
        }
    }

    /// A folder by its name from the root, none of its components a link or another filesystem.
    fn folder(&self, name: &str) -> io::Result<Dir> {
        let mut folder = self.root.try_clone()?;
        for part in name.split('/') {
            let handle = open_nofollow(&folder, part, OFlags::DIRECTORY).map_err(|error| link_or(error, name))?;
            folder = Dir::from(OwnedFd::from(handle));
            if folder.dir_metadata()?.dev() != self.device {
                return Err(invalid(name, "it is on another filesystem"));
            }
        }
        Ok(folder)
    }

    fn refusal(&self, is_file: bool, metadata: &impl MetadataExt) -> Option<&'static str> {
        if !is_file {
            Some("it is a link, a pipe, a socket or a device")
        } else if metadata.dev() != self.device {
            Some("it is on another filesystem")
        } else if metadata.nlink() != 1 {
            Some("it is a hard link")
        } else if metadata.size() > self.file_bytes_max {
            Some("it claims to be longer than the disk")
        } else {
            None
        }
    }
}

/// Names and lengths in bytes, holes counted, in the order of the names. Links, pipes, devices, sockets and names that no
/// artifact may have are left out: see [`WorkFolder::refused`]. `InvalidData` where there are more than the folder was
/// opened for.
impl Folder for WorkFolder {
    fn list(&self) -> io::Result<Vec<(ArtifactName, u64)>> {
        self.walk().map(|listed| listed.files)
    }

    /// To what is its end now: whoever still writes doesn't hold the reader.
    fn open(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        let file = self.file(name)?;
        let bytes = file.metadata()?.len();
        Ok(Box::new(file.take(bytes)))
    }
}

impl Listed {
    fn refuse(&mut self, name: &str, reason: &'static str) {
        if self.refused.len() < REFUSED_MAX {
            let name = name.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect();
            self.refused.push(RefusedFile { name, reason });
        }
    }
}

fn open_nofollow(folder: &Dir, name: &str, flags: OFlags) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::CLOEXEC | flags).bits();
    // The flags of open(2) are an int there, and bits here.
    let options = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).clone();
    folder.open_with(name, &options)
}

/// A link that is not followed is the container's doing, and is told as such.
fn link_or(error: io::Error, name: &str) -> io::Error {
    let is_link = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    let is_no_file = error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error());
    match error.kind() {
        _ if is_link || is_no_file => invalid(name, "it is a link, a pipe, a socket or a device"),
        io::ErrorKind::NotADirectory => invalid(name, "it is not in a folder"),
        _ => error,
    }
}

fn invalid(name: &str, reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{name:?} can't be kept: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cap_std::ambient_authority;
    use std::{os::unix::fs::symlink, path::Path};

    fn folder_at(path: &Path) -> WorkFolder {
        WorkFolder::new(Dir::open_ambient_dir(path, ambient_authority()).unwrap(), 5, 1 << 20).unwrap()
    }

    fn read(folder: &WorkFolder, name: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        folder.open(name)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn security_12_what_is_planted_as_an_output_is_named_and_never_read() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("canary"), "secret").unwrap();
        let inside = tempfile::tempdir().unwrap();
        let at = |name: &str| inside.path().join(name);
        fs::create_dir(at("deep")).unwrap();
        fs::write(at("deep/job.frd"), "9999").unwrap();
        fs::write(at("job.dat"), "1").unwrap();
        fs::write(at("first"), "2").unwrap();
        fs::hard_link(at("first"), at("second")).unwrap();
        fs::File::create(at("sparse")).unwrap().set_len(1 << 40).unwrap();
        symlink(outside.path().join("canary"), at("link")).unwrap();
        symlink(outside.path(), at("linked")).unwrap();
        symlink("/", at("deep/root")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let pipe = std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap();
        assert!(pipe.success());

        let folder = folder_at(inside.path());
        let names: Vec<_> =
            folder.list().unwrap().into_iter().map(|(name, bytes)| (name.as_str().to_owned(), bytes)).collect();
        assert_eq!(names, [("deep/job.frd".to_owned(), 4), ("job.dat".to_owned(), 1)]);
        let mut refused: Vec<_> = folder.refused().unwrap().into_iter().map(|refused| refused.name).collect();
        refused.sort();
        assert_eq!(refused, ["deep/root", "first", "link", "linked", "pipe", "second", "socket", "sparse"]);
        assert_eq!(read(&folder, "deep/job.frd").unwrap(), b"9999");
        for name in ["link", "linked/canary", "deep/root/etc/passwd", "pipe", "socket", "second", "sparse", "deep"] {
            let error = read(&folder, name).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{name}: {error}");
        }
        assert_eq!(read(&folder, "../canary").unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(read(&folder, "nothing").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn security_13_names_that_no_artifact_may_have_are_shown_harmless() {
        let inside = tempfile::tempdir().unwrap();
        for name in ["a\nb", "evil\u{202e}gnp.exe", "ok"] {
            fs::write(inside.path().join(name), "").unwrap();
        }
        fs::write(inside.path().join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff")), "")
            .unwrap();
        let folder = folder_at(inside.path());
        assert_eq!(folder.list().unwrap().len(), 1);
        let refused = folder.refused().unwrap();
        assert_eq!(refused.len(), 3);
        assert!(refused.iter().all(|refused| !refused.name.chars().any(char::is_control)), "{refused:?}");
    }

    #[test]
    fn security_11_many_files_and_deep_folders_end_the_walk() {
        let inside = tempfile::tempdir().unwrap();
        let mut deep = Dir::open_ambient_dir(inside.path(), ambient_authority()).unwrap();
        for _ in 0..1000 {
            deep.create_dir("d").unwrap();
            deep = deep.open_dir("d").unwrap();
        }
        let folder = folder_at(inside.path());
        assert!(folder.list().unwrap().is_empty());
        assert_eq!(folder.refused().unwrap().len(), 1);
        for index in 0..6 {
            fs::write(inside.path().join(index.to_string()), "").unwrap();
        }
        assert_eq!(folder.list().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
