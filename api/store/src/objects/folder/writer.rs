//! Writing an object to a temporary file that gets its key at the end.

use super::Folder;
use crate::StoreError;
use crate::objects::{ObjectKey, blocking};
use cap_std::fs::{File, OpenOptions, OpenOptionsExt};
use mecapy_model::Digest;
use sha2::{Digest as _, Sha256};
use std::io::Write;

/// Collected before a step to the disk, in bytes.
const BUFFER_BYTES: usize = 256 << 10;
const FILE_MODE: u32 = 0o600;

#[derive(Debug)]
pub(in crate::objects) struct FolderWriter {
    growing: Option<Growing>,
    key: ObjectKey,
    buffer: Vec<u8>,
}

/// The temporary file behind a writer.
#[derive(Debug)]
struct Growing {
    folder: Folder,
    file: File,
    temporary: String,
    hash: Sha256,
}

impl Drop for Growing {
    fn drop(&mut self) {
        // After a publication there is nothing by this name; a leftover goes at the next start or sweep.
        let _ = self.folder.root.remove_file(&self.temporary);
    }
}

impl FolderWriter {
    pub(super) async fn create(folder: Folder, key: ObjectKey, temporary: String) -> Result<Self, StoreError> {
        let growing = blocking(move || {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(FILE_MODE);
            let failed = || StoreError::io("making a temporary object");
            let file = folder.root.open_with(&temporary, &options).map_err(failed())?;
            folder.give(&file).map_err(failed())?;
            Ok(Growing { folder, file, temporary, hash: Sha256::new() })
        })
        .await?;
        Ok(Self { growing: Some(growing), key, buffer: Vec::new() })
    }

    pub(in crate::objects) async fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES { self.flush().await } else { Ok(()) }
    }

    pub(in crate::objects) async fn finish(mut self) -> Result<Digest, StoreError> {
        self.flush().await?;
        let mut growing = self.growing.take().ok_or(StoreError::Closed)?;
        let key = self.key;
        blocking(move || {
            let failed = || StoreError::io(format!("storing object {key}"));
            growing.file.sync_all().map_err(failed())?;
            growing.folder.publish(&growing.temporary, &key).map_err(failed())?;
            Ok(Digest(growing.hash.finalize_reset().into()))
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let mut growing = self.growing.take().ok_or(StoreError::Closed)?;
        let buffer = std::mem::take(&mut self.buffer);
        let failed = StoreError::io(format!("writing object {}", self.key));
        let (growing, buffer) = blocking(move || {
            growing.hash.update(&buffer);
            growing.file.write_all(&buffer).map_err(failed)?;
            Ok((growing, buffer))
        })
        .await?;
        self.growing = Some(growing);
        self.buffer = buffer;
        self.buffer.clear();
        Ok(())
    }
}
