//! Writing an object piece by piece, counted and hashed on the way.

use super::{ObjectKey, Objects, blocking};
use crate::StoreError;
use cap_std::fs::{File, OpenOptions, OpenOptionsExt};
use mecapy_model::Digest;
use sha2::{Digest as _, Sha256};
use std::io::Write;

/// Collected before a step to the disk, in bytes.
const BUFFER_BYTES: usize = 256 << 10;
const FILE_MODE: u32 = 0o600;

/// An object that is being written. Dropped before [`finish`](Self::finish), it leaves nothing.
#[derive(Debug)]
pub struct ObjectWriter {
    growing: Option<Growing>,
    key: ObjectKey,
    buffer: Vec<u8>,
    size_bytes: u64,
    bytes_max: u64,
}

/// The temporary file behind a writer.
#[derive(Debug)]
struct Growing {
    objects: Objects,
    file: File,
    temporary: String,
    hash: Sha256,
}

impl Drop for Growing {
    fn drop(&mut self) {
        // After a publication there is nothing by this name; a leftover goes at the next start.
        let _ = self.objects.inner.folder.remove_file(&self.temporary);
    }
}

impl ObjectWriter {
    pub(super) async fn create(
        objects: Objects,
        key: ObjectKey,
        temporary: String,
        bytes_max: u64,
    ) -> Result<Self, StoreError> {
        let growing = blocking(move || {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(FILE_MODE);
            let file = objects.inner.folder.open_with(&temporary, &options);
            let file = file.map_err(StoreError::io("making a temporary object"))?;
            Ok(Growing { objects, file, temporary, hash: Sha256::new() })
        })
        .await?;
        Ok(Self { growing: Some(growing), key, buffer: Vec::new(), size_bytes: 0, bytes_max })
    }

    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] once the object would pass its limit; nothing more can be written then.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if bytes.len() as u64 > self.bytes_max - self.size_bytes {
            self.growing = None;
            return Err(StoreError::TooLarge { what: "the object", bytes_max: self.bytes_max });
        }
        self.size_bytes += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Puts what was written on the disk, so that [`finish`](Self::finish) is quick.
    pub async fn sync(&mut self) -> Result<(), StoreError> {
        self.flush().await?;
        let growing = self.growing.take().ok_or(StoreError::Closed)?;
        let failed = StoreError::io(format!("storing object {}", self.key));
        let synced = blocking(move || growing.file.sync_all().map_err(failed).map(|()| growing)).await?;
        self.growing = Some(synced);
        Ok(())
    }

    /// Makes the object visible under its key, durable when this returns; answers its size in bytes and its digest.
    pub async fn finish(mut self) -> Result<(u64, Digest), StoreError> {
        self.sync().await?;
        let mut growing = self.growing.take().ok_or(StoreError::Closed)?;
        let key = self.key;
        let digest = blocking(move || {
            let failed = || StoreError::io(format!("storing object {key}"));
            growing.objects.publish(&growing.temporary, &key).map_err(failed())?;
            Ok(Digest(growing.hash.finalize_reset().into()))
        })
        .await?;
        Ok((self.size_bytes, digest))
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
