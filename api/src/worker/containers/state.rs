//! What a worker with containers keeps in its state folder: its name, and the claims under which containers run, so that
//! the process which follows it goes on with them.

use mecapy_store::{ClaimRef, KeptClaim};
use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

const LOCK: &str = "lock";
const OWNER: &str = "owner";
const CLAIMS: &str = "claims";
const VOLUMES: &str = "volumes";
/// Ends the name of a file that is being written.
const UNFINISHED: &str = ".unfinished";

/// The state folder, which is this process's alone.
#[derive(Debug)]
pub(super) struct State {
    folder: PathBuf,
    owner: String,
    /// Locked for as long as it is open.
    _lock: File,
}

impl State {
    /// Opens or makes the folder. `new_owner` is what this worker calls its containers where it has no name yet: letters,
    /// digits, `-` and `_`.
    ///
    /// # Errors
    /// `WouldBlock` where another process has it.
    pub(super) fn open(folder: &Path, new_owner: &str) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder.join(CLAIMS))?;
        let folder = folder.canonicalize()?;
        let lock = File::options().write(true).create(true).truncate(false).mode(0o600).open(folder.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
        })?;
        let owner = match fs::read_to_string(folder.join(OWNER)) {
            Ok(owner) => owner,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write_private(&folder, OWNER, new_owner.as_bytes())?;
                new_owner.to_owned()
            }
            Err(error) => return Err(error),
        };
        Ok(Self { folder, owner, _lock: lock })
    }

    /// Whose containers these are.
    pub(super) fn owner(&self) -> &str {
        &self.owner
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the work folders go.
    pub(super) fn volumes(&self) -> PathBuf {
        self.folder.join(VOLUMES)
    }

    /// Keeps a claim under its attempt's key. Whoever reads the file could report on the task, so that its owner alone may.
    pub(super) fn keep(&self, key: &str, claim: &ClaimRef) -> io::Result<()> {
        let text = serde_json::to_vec(&KeptClaim::from(claim)).map_err(io::Error::other)?;
        write_private(&self.folder.join(CLAIMS), key, &text)
    }

    /// Forgets a claim, kept or not.
    pub(super) fn forget(&self, key: &str) -> io::Result<()> {
        match fs::remove_file(self.folder.join(CLAIMS).join(key)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// All claims that are kept, by their keys. What is no claim is left out, and logged; what was not written to its end
    /// is removed.
    pub(super) fn kept(&self) -> io::Result<Vec<(String, KeptClaim)>> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(self.folder.join(CLAIMS))? {
            let entry = entry?;
            let Ok(key) = entry.file_name().into_string() else { continue };
            if key.ends_with(UNFINISHED) {
                fs::remove_file(entry.path())?;
                continue;
            }
            match serde_json::from_slice(&fs::read(entry.path())?) {
                Ok(claim) => kept.push((key, claim)),
                Err(error) => tracing::error!(key, %error, "worker.containers: a kept claim can't be read"),
            }
        }
        Ok(kept)
    }
}

/// Writes a file that its owner alone reads, whole or not at all.
fn write_private(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(format!("{name}{UNFINISHED}"));
    let opened = File::options().write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
    let written = opened.and_then(|mut file| file.write_all(bytes));
    let kept = written.and_then(|()| fs::rename(&unfinished, folder.join(name)));
    if kept.is_err() {
        // What is told is why it can't be kept.
        let _ = fs::remove_file(&unfinished);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn claim(fence: u64) -> String {
        let (tenant, task) = ("00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002");
        let lease = "000000000000000000000000000000ab";
        format!(r#"{{"tenant":"{tenant}","task":"{task}","fence":{fence},"lease":"{lease}"}}"#)
    }

    #[test]
    fn a_worker_keeps_its_name_and_its_claims_and_shares_them_with_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("state");
        let state = State::open(&at, "first").unwrap();
        assert_eq!(State::open(&at, "second").unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let claims = state.folder.join(CLAIMS);
        write_private(&claims, "a-1-7", claim(7).as_bytes()).unwrap();
        fs::write(claims.join("b-1-8"), "{").unwrap();
        fs::write(claims.join(format!("c-1-9{UNFINISHED}")), "{").unwrap();
        fs::create_dir(claims.join("d-1-10")).unwrap();
        assert!(write_private(&claims, "d-1-10", b"in its way").is_err());
        fs::remove_dir(claims.join("d-1-10")).unwrap();
        drop(state);

        let state = State::open(&at, "second").unwrap();
        assert_eq!(state.owner(), "first");
        let kept = state.kept().unwrap();
        assert_eq!(kept.iter().map(|(key, claim)| (key.as_str(), claim.fence)).collect::<Vec<_>>(), [("a-1-7", 7)]);
        assert_eq!(fs::metadata(claims.join("a-1-7")).unwrap().permissions().mode() & 0o777, 0o600);
        state.forget("a-1-7").unwrap();
        state.forget("a-1-7").unwrap();
        assert!(state.kept().unwrap().is_empty());
        assert_eq!(fs::read_dir(&claims).unwrap().count(), 1, "only what somebody should look at is left");
    }
}
