//! Reading an object piece by piece.

use super::{ObjectKey, Objects, blocking};
use crate::StoreError;
use cap_std::fs::File;
use std::io::{ErrorKind, Read};

/// How much of an object one step reads, in bytes.
const CHUNK_BYTES_MAX: u64 = 256 << 10;

/// An object that is open for reading; a deletion meanwhile does not disturb it.
#[derive(Debug)]
pub struct ObjectReader {
    file: Option<File>,
    key: ObjectKey,
    size_bytes: u64,
}

impl ObjectReader {
    pub(super) async fn open(objects: Objects, key: ObjectKey) -> Result<Option<Self>, StoreError> {
        blocking(move || {
            let failed = || StoreError::io(format!("opening object {key}"));
            let file = match objects.inner.folder.open(key.as_str()) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(failed()(error)),
            };
            let metadata = file.metadata().map_err(failed())?;
            if !metadata.is_file() {
                return Ok(None);
            }
            Ok(Some(Self { file: Some(file), key, size_bytes: metadata.len() }))
        })
        .await
    }

    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The open file itself, at its start.
    pub fn into_std(self) -> Option<std::fs::File> {
        self.file.map(File::into_std)
    }

    /// The next piece (256 KiB at most); `None` at the end.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(mut file) = self.file.take() else { return Ok(None) };
        let failed = StoreError::io(format!("reading object {}", self.key));
        let (file, chunk) = blocking(move || {
            let mut chunk = Vec::new();
            let outcome = file.by_ref().take(CHUNK_BYTES_MAX).read_to_end(&mut chunk);
            outcome.map_err(failed).map(|_| (file, chunk))
        })
        .await?;
        if chunk.is_empty() {
            return Ok(None);
        }
        self.file = Some(file);
        Ok(Some(chunk))
    }
}
