//! Writing an object piece by piece, counted and hashed on the way.

use super::folder::FolderWriter;
use super::s3::S3Writer;
use crate::StoreError;
use mecapy_model::Digest;

/// An object that is being written. Dropped before [`finish`](Self::finish), it leaves nothing.
#[derive(Debug)]
pub struct ObjectWriter {
    growing: Option<Growing>,
    size_bytes: u64,
    bytes_max: u64,
}

#[derive(Debug)]
pub(super) enum Growing {
    Folder(FolderWriter),
    S3(S3Writer),
}

impl ObjectWriter {
    pub(super) fn new(growing: Growing, bytes_max: u64) -> Self {
        let bytes_max = match &growing {
            Growing::Folder(_) => bytes_max,
            Growing::S3(_) => bytes_max.min(S3Writer::BYTES_MAX),
        };
        Self { growing: Some(growing), size_bytes: 0, bytes_max }
    }

    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] once the object would pass its limit. After any error nothing more can be written, and
    /// what was is gone.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        // Taken out and put back: an error, or a caller that stops waiting, ends the object.
        let growing = self.growing.take().ok_or(StoreError::Closed)?;
        if bytes.len() as u64 > self.bytes_max - self.size_bytes {
            return Err(StoreError::TooLarge { what: "the object", bytes_max: self.bytes_max });
        }
        self.size_bytes += bytes.len() as u64;
        self.growing = Some(growing.write(bytes).await?);
        Ok(())
    }

    /// Makes the object visible under its key, durable when this returns; answers its size in bytes and its digest.
    pub async fn finish(mut self) -> Result<(u64, Digest), StoreError> {
        let digest = match self.growing.take().ok_or(StoreError::Closed)? {
            Growing::Folder(writer) => writer.finish().await?,
            Growing::S3(writer) => writer.finish(self.size_bytes).await?,
        };
        Ok((self.size_bytes, digest))
    }
}

impl Growing {
    async fn write(mut self, bytes: &[u8]) -> Result<Self, StoreError> {
        match &mut self {
            Growing::Folder(writer) => writer.write(bytes).await?,
            Growing::S3(writer) => writer.write(bytes).await?,
        }
        Ok(self)
    }
}
