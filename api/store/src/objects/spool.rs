//! Local copies of objects that live elsewhere, for those who need an open file. A copy has no name: it is gone with its
//! last handle, however the process ends.

use super::{ObjectKey, ObjectReader, blocking};
use crate::StoreError;
use mecapy_model::Digest;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What room is counted in, in bytes.
const UNIT_BYTES: u64 = 64 << 10;

/// A folder for copies, and how much of it may be taken at a time.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    bytes_max: u64,
    room: Arc<Semaphore>,
}

/// Room that copies take. To be held for as long as they are open; where objects are local files it is none.
#[derive(Debug, Default)]
pub struct SpoolRoom {
    bytes: u64,
    _units: Option<OwnedSemaphorePermit>,
}

impl Spool {
    /// `folder` must be there.
    pub(super) fn new(folder: PathBuf, bytes_max: u64) -> Self {
        let units = usize::try_from(bytes_max / UNIT_BYTES).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { folder, bytes_max, room: Arc::new(Semaphore::new(units)) }
    }

    /// Waits for room for so many bytes, all at once: two who each had half of what they need would wait for ever.
    pub(super) async fn enter(&self, bytes: u64) -> Result<SpoolRoom, StoreError> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES))
            .ok()
            .filter(|_| bytes <= self.bytes_max / UNIT_BYTES * UNIT_BYTES);
        let Some(units) = units else {
            return Err(StoreError::TooLarge { what: "what one task reads", bytes_max: self.bytes_max });
        };
        let permit = Arc::clone(&self.room).acquire_many_owned(units).await.map_err(|_| StoreError::Closed)?;
        Ok(SpoolRoom { bytes, _units: Some(permit) })
    }

    /// Copies an object whose bytes must be those of `digest`, into room that was taken for it.
    pub(super) async fn copy(
        &self,
        key: &ObjectKey,
        mut reader: ObjectReader,
        digest: Digest,
        room: &mut SpoolRoom,
    ) -> Result<(File, u64), StoreError> {
        let bytes = reader.size_bytes();
        // It is larger than its row says, by which the room was taken.
        room.bytes = room.bytes.checked_sub(bytes).ok_or_else(|| changed(key))?;
        let doing = || StoreError::io("copying an object to the spool folder");
        let folder = self.folder.clone();
        let mut file = blocking(move || tempfile::tempfile_in(folder).map_err(doing())).await?;
        let mut hash = Sha256::new();
        while let Some(chunk) = reader.chunk().await? {
            (file, hash) = blocking(move || {
                hash.update(&chunk);
                file.write_all(&chunk).map_err(doing())?;
                Ok((file, hash))
            })
            .await?;
        }
        if Digest(hash.finalize().into()) != digest {
            return Err(changed(key));
        }
        file.rewind().map_err(doing())?;
        Ok((file, bytes))
    }
}

fn changed(key: &ObjectKey) -> StoreError {
    StoreError::corrupt(format!("object {key} is not what was stored"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn room_is_waited_for_and_more_than_there_is_is_refused() {
        let spool = Spool::new(PathBuf::new(), 10 * UNIT_BYTES);
        let held = spool.enter(6 * UNIT_BYTES + 1).await.unwrap();
        let soon = Duration::from_millis(20);
        assert!(timeout(soon, spool.enter(4 * UNIT_BYTES)).await.is_err());
        let _small = timeout(soon, spool.enter(3 * UNIT_BYTES)).await.unwrap().unwrap();
        drop(held);
        assert!(timeout(soon, spool.enter(7 * UNIT_BYTES)).await.is_ok());
        assert!(matches!(spool.enter(10 * UNIT_BYTES + 1).await, Err(StoreError::TooLarge { .. })));
    }
}
