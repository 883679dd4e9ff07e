//! Work folders of fixed size: an ext4 filesystem in a file, mounted from a loop device.
//!
//! The file's space is taken when it is made, so that a disk which is full says so before the run and not in its
//! middle. The filesystem holds no device and no program that could be started, and its limits on bytes and files are
//! the kernel's own.

use super::{folder::WorkFolder, launch::CONTAINER_UID, limits::DISK_BYTES_MIN};
use crate::attempt::{FileContent, InputFile};
use cap_std::{
    ambient_authority,
    fs::{Dir, OpenOptions, OpenOptionsExt},
};
use rustix::{
    fs::{AtFlags, FallocateFlags, Gid, Mode, Uid, chownat, fallocate, fchown, statvfs},
    io::Errno,
    process::geteuid,
};
use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{process::Command, time};

const FILE_SUFFIX: &str = ".ext4";
const PROGRAM_SECONDS_MAX: u64 = 120;
/// One inode for so many bytes, within bounds.
const BYTES_PER_INODE: u64 = 16 << 10;
const INODES_MIN: u64 = 1024;
const INODES_MAX: u64 = 65_536;
/// What the kernel takes of a filesystem at once: a large write fails as a whole where less is left.
const WRITE_BYTES_MAX: u64 = 2 << 20;
const COPY_BUFFER_BYTES: usize = 1 << 20;
/// A volume is busy for moments after its container's end.
const UNMOUNT_TRIES: u32 = 40;
const UNMOUNT_PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    #[error("work folders are mounted, which needs root: run this worker as root")]
    NotRoot,
    #[error("{program} is not installed: the packages e2fsprogs and mount have what is needed")]
    NoProgram { program: &'static str },
    #[error("{program} failed: {said}")]
    Program { program: &'static str, said: String },
    #[error("the disk of {folder} has no room for a work folder of {bytes} bytes")]
    HostFull { folder: PathBuf, bytes: u64 },
    #[error("the files don't fit into the work folder of {bytes} bytes")]
    Full { bytes: u64 },
    #[error("{name} can't be written into the work folder: another file is in its place, or is what it would be in")]
    Clash { name: String },
    #[error("the work folder {key} is not mounted: the machine was restarted since")]
    Gone { key: String },
    #[error("{what} failed")]
    Io {
        what: &'static str,
        #[source]
        source: io::Error,
    },
}

impl VolumeError {
    /// Whether it is the request's fault: its files, or how much room it asked for.
    pub fn is_of_the_request(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Clash { .. })
    }

    fn io(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

/// The folder of this machine that holds the work folders, one for each attempt.
#[derive(Debug, Clone)]
pub struct Volumes {
    folder: PathBuf,
}

impl Volumes {
    /// Makes `folder` where it does not exist, for root alone, and checks that work folders can be mounted there. It is
    /// to hold nothing else.
    ///
    /// # Errors
    /// `NotRoot` or `NoProgram`, which say what to do.
    pub async fn open(folder: &Path) -> Result<Self, VolumeError> {
        Self::possible().await?;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder).and_then(|()| folder.canonicalize());
        let folder = made.map_err(VolumeError::io("making the folder of the work folders"))?;
        Ok(Self { folder })
    }

    /// Whether work folders can be made and mounted by this process at all.
    ///
    /// # Errors
    /// `NotRoot` or `NoProgram`, which say what to do.
    pub async fn possible() -> Result<(), VolumeError> {
        if !geteuid().is_root() {
            return Err(VolumeError::NotRoot);
        }
        for program in ["mkfs.ext4", "mount", "umount"] {
            run(program, &["-V"]).await?;
        }
        Ok(())
    }

    /// A work folder of `bytes`, empty, owned by the container's user. `key` is one path component.
    ///
    /// # Errors
    /// `HostFull`, or what failed; nothing is left of it then.
    pub async fn create(&self, key: &str, bytes: u64) -> Result<Volume, VolumeError> {
        let volume = self.volume(key);
        let file = File::options().write(true).create_new(true).mode(0o600).open(&volume.file);
        let file = file.map_err(VolumeError::io("making a work folder's file"))?;
        match volume.make(&file, bytes.max(DISK_BYTES_MIN)).await {
            Ok(()) => Ok(volume),
            Err(error) => {
                if let Err(left) = volume.remove().await {
                    tracing::warn!(key, error = %left, "container.volume_left");
                }
                Err(error)
            }
        }
    }

    /// The work folder of a container that runs, or ran, since this machine's start.
    ///
    /// # Errors
    /// `Gone`, where it is not mounted.
    pub fn adopt(&self, key: &str) -> Result<Volume, VolumeError> {
        let volume = self.volume(key);
        if volume.is_mounted() { Ok(volume) } else { Err(VolumeError::Gone { key: key.to_owned() }) }
    }

    /// The keys of all that is there, whole or not.
    ///
    /// # Errors
    /// Where the folder can't be read.
    pub fn found(&self) -> Result<Vec<String>, VolumeError> {
        let entries = fs::read_dir(&self.folder).map_err(VolumeError::io("listing the work folders"))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let keys: BTreeSet<_> = names.map(|name| name.strip_suffix(FILE_SUFFIX).unwrap_or(&name).to_owned()).collect();
        Ok(keys.into_iter().collect())
    }

    /// Unmounts and removes what is there under `key`, whole or not.
    ///
    /// # Errors
    /// What could not be removed; asking again may help.
    pub async fn remove(&self, key: &str) -> Result<(), VolumeError> {
        self.volume(key).remove().await
    }

    fn volume(&self, key: &str) -> Volume {
        Volume { mount: self.folder.join(key), file: self.folder.join(format!("{key}{FILE_SUFFIX}")) }
    }
}

/// One attempt's work folder. It stays until it is removed: a worker may end while its containers go on.
#[derive(Debug)]
pub struct Volume {
    mount: PathBuf,
    file: PathBuf,
}

impl Volume {
    /// Where it is mounted, for [`super::Launch::work`].
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Writes files into it, owned by the container's user, folders as their names say.
    ///
    /// # Errors
    /// `Full` or `Clash`, which are the request's fault, or what failed.
    pub async fn fill(&self, files: Vec<InputFile>) -> Result<(), VolumeError> {
        let mount = self.mount.clone();
        let written = tokio::task::spawn_blocking(move || {
            let root = Dir::open_ambient_dir(&mount, ambient_authority())
                .map_err(VolumeError::io("opening the work folder"))?;
            files.iter().try_for_each(|file| write(&root, file).map_err(|error| explained(error, file, &mount)))
        });
        written.await.map_err(|error| VolumeError::Io { what: "filling the work folder", source: error.into() })?
    }

    /// Bytes that can still be written, whatever the size of a write: 0 says that writes may have failed.
    ///
    /// # Errors
    /// Where it is not mounted any more.
    pub fn free_bytes(&self) -> Result<u64, VolumeError> {
        self.space().map(|(free, _)| free.saturating_sub(WRITE_BYTES_MAX))
    }

    /// Free and whole.
    fn space(&self) -> Result<(u64, u64), VolumeError> {
        space(&self.mount).map_err(VolumeError::io("asking for the work folder's free space"))
    }

    /// What is in it, for reading: once its container has ended. `files_max` is how many files may be listed.
    ///
    /// # Errors
    /// Where it is not mounted any more.
    pub fn files(&self, files_max: usize) -> Result<WorkFolder, VolumeError> {
        let (_, bytes) = self.space()?;
        let root = Dir::open_ambient_dir(&self.mount, ambient_authority());
        root.and_then(|root| WorkFolder::new(root, files_max, bytes))
            .map_err(VolumeError::io("opening the work folder"))
    }

    /// Unmounts it and gives its space back.
    ///
    /// # Errors
    /// What could not be removed; asking again may help.
    pub async fn remove(&self) -> Result<(), VolumeError> {
        for attempt in 0.. {
            if !self.is_mounted() {
                break;
            }
            match run_on("umount", &[], &[&self.mount]).await {
                Ok(()) => {}
                Err(_) if attempt < UNMOUNT_TRIES => time::sleep(UNMOUNT_PAUSE).await,
                // Somebody looks into it: it goes when they leave.
                Err(_) if attempt == UNMOUNT_TRIES => run_on("umount", &["--lazy"], &[&self.mount]).await?,
                Err(error) => return Err(error),
            }
        }
        let gone = |result: io::Result<()>| match result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(VolumeError::io("removing a work folder")),
        };
        gone(fs::remove_dir(&self.mount))?;
        gone(fs::remove_file(&self.file))
    }

    async fn make(&self, file: &File, bytes: u64) -> Result<(), VolumeError> {
        self.reserve(file, bytes)?;
        let inodes = (bytes / BYTES_PER_INODE).clamp(INODES_MIN, INODES_MAX).to_string();
        let extended = format!("lazy_itable_init=1,nodiscard,root_owner={CONTAINER_UID}:{CONTAINER_UID}");
        let features = "^has_journal,^resize_inode";
        let options = ["-q", "-F", "-m", "0", "-O", features, "-N", &inodes, "-E", &extended];
        run_on("mkfs.ext4", &options, &[&self.file]).await?;
        // For root alone: should an engine not see the mount, a container must not write to what is underneath.
        let made = DirBuilder::new().mode(0o700).create(&self.mount);
        made.map_err(VolumeError::io("making a work folder"))?;
        let options = ["-t", "ext4", "-o", "loop,nosuid,nodev,noexec,noatime,noinit_itable"];
        run_on("mount", &options, &[&self.file, &self.mount]).await?;
        fs::remove_dir(self.mount.join("lost+found")).map_err(VolumeError::io("emptying a work folder"))
    }

    /// Takes the file's space.
    fn reserve(&self, file: &File, bytes: u64) -> Result<(), VolumeError> {
        let failed = VolumeError::io("taking a work folder's space");
        let folder = || self.file.parent().unwrap_or(&self.file).to_owned();
        let full = || VolumeError::HostFull { folder: folder(), bytes };
        match fallocate(file, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => Ok(()),
            Err(Errno::NOSPC | Errno::FBIG | Errno::DQUOT) => Err(full()),
            // Not every filesystem can reserve: then the space must at least be there now.
            Err(Errno::OPNOTSUPP) => match space(&folder()) {
                Ok((free, _)) if free < bytes => Err(full()),
                Ok(_) => file.set_len(bytes).map_err(failed),
                Err(error) => Err(failed(error)),
            },
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Whether another filesystem begins there.
    fn is_mounted(&self) -> bool {
        let device = |path: &Path| fs::symlink_metadata(path).map(|metadata| metadata.dev()).ok();
        let Some(above) = self.mount.parent().and_then(device) else { return false };
        device(&self.mount).is_some_and(|inside| inside != above)
    }
}

/// Free and whole bytes of the filesystem at `path`.
fn space(path: &Path) -> io::Result<(u64, u64)> {
    let space = statvfs(path)?;
    Ok((space.f_bavail.saturating_mul(space.f_frsize), space.f_blocks.saturating_mul(space.f_frsize)))
}

fn write(root: &Dir, file: &InputFile) -> io::Result<()> {
    let (owner, group) = (Some(Uid::from_raw(CONTAINER_UID)), Some(Gid::from_raw(CONTAINER_UID)));
    let mut folder = root.try_clone()?;
    let mut parts = file.name.as_str().split('/').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_some() {
            let made = match folder.create_dir(part) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
                result => result.map(|()| true)?,
            };
            if made {
                chownat(&folder, part, owner, group, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            folder = folder.open_dir(part)?;
        } else {
            let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
            let options = OpenOptions::new().write(true).create_new(true).mode(mode.bits()).clone();
            let mut target = folder.open_with(part, &options)?.into_std();
            copy(&file.content, &mut target)?;
            fchown(&target, owner, group)?;
        }
    }
    Ok(())
}

/// Reads a host file by position: others may be reading the same handle.
fn copy(content: &FileContent, target: &mut File) -> io::Result<()> {
    let (file, bytes) = match content {
        FileContent::Bytes(bytes) => return target.write_all(bytes),
        FileContent::File { file, bytes } => (file, *bytes),
    };
    let mut buffer = vec![0; COPY_BUFFER_BYTES];
    let mut position = 0;
    while position < bytes {
        let wanted = usize::try_from(bytes - position).unwrap_or(usize::MAX).min(COPY_BUFFER_BYTES);
        let read = file.read_at(buffer.get_mut(..wanted).unwrap_or_default(), position)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        target.write_all(buffer.get(..read).unwrap_or_default())?;
        position += read as u64;
    }
    Ok(())
}

fn explained(error: io::Error, file: &InputFile, mount: &Path) -> VolumeError {
    use io::ErrorKind::{AlreadyExists, IsADirectory, NotADirectory, StorageFull};
    match error.kind() {
        StorageFull => VolumeError::Full { bytes: space(mount).map(|(_, whole)| whole).unwrap_or_default() },
        AlreadyExists | IsADirectory | NotADirectory => VolumeError::Clash { name: file.name.as_str().to_owned() },
        _ => VolumeError::Io { what: "writing a file into the work folder", source: error },
    }
}

async fn run_on(program: &'static str, options: &[&str], paths: &[&Path]) -> Result<(), VolumeError> {
    let paths = paths.iter().map(|path| path.as_os_str());
    start(program, Command::new(program).args(options).arg("--").args(paths)).await
}

async fn run(program: &'static str, options: &[&str]) -> Result<(), VolumeError> {
    start(program, Command::new(program).args(options)).await
}

async fn start(program: &'static str, command: &mut Command) -> Result<(), VolumeError> {
    let command = command.env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    let limit = Duration::from_secs(PROGRAM_SECONDS_MAX);
    let output = match time::timeout(limit, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => return Err(VolumeError::NoProgram { program }),
        Ok(Err(source)) => return Err(VolumeError::Io { what: "starting a program", source }),
        Err(_) => return Err(VolumeError::Program { program, said: format!("nothing for {limit:?}") }),
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().chars().take(500).collect();
    Err(VolumeError::Program { program, said })
}
