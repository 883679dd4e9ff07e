//! Reading a file of an object piece by piece.

use super::Folder;
use crate::StoreError;
use crate::objects::{ObjectKey, blocking};
use cap_std::fs::File;
use std::io::{ErrorKind, Read};

/// How much of an object one step reads, in bytes.
const CHUNK_BYTES_MAX: u64 = 256 << 10;

#[derive(Debug)]
pub(in crate::objects) struct FolderReader {
    file: Option<File>,
    key: ObjectKey,
    size_bytes: u64,
}

impl FolderReader {
    pub(super) async fn open(folder: Folder, key: ObjectKey) -> Result<Option<Self>, StoreError> {
        blocking(move || {
            let failed = || StoreError::io(format!("opening object {key}"));
            let file = match folder.root.open(key.as_str()) {
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

    pub(in crate::objects) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The open file itself, at its start.
    pub(in crate::objects) fn into_std(self) -> Option<std::fs::File> {
        self.file.map(File::into_std)
    }

    pub(in crate::objects) async fn chunk(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
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
