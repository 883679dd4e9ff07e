//! Writing an object: in one request where it is small, else in parts. Nothing shows before the end.

use super::S3;
use super::multipart::Multipart;
use crate::StoreError;
use crate::objects::{ObjectKey, blocking};
use mecapy_model::Digest;
use sha2::{Digest as _, Sha256};

/// The size of every part but the last, in bytes; what is not larger goes in one request. Kept in memory meanwhile.
const PART_BYTES: usize = 8 << 20;
/// The protocol's own limit.
const PARTS_MAX: u64 = 10_000;

#[derive(Debug)]
pub(in crate::objects) struct S3Writer {
    s3: S3,
    key: ObjectKey,
    buffer: Vec<u8>,
    hash: Sha256,
    /// There once the first part was sent.
    parts: Option<Multipart>,
}

impl S3Writer {
    /// The largest object, in bytes.
    pub(in crate::objects) const BYTES_MAX: u64 = PARTS_MAX * PART_BYTES as u64;

    pub(super) fn new(s3: S3, key: ObjectKey) -> Self {
        Self { s3, key, buffer: Vec::new(), hash: Sha256::new(), parts: None }
    }

    /// Appends bytes. After an error the writer is of no use any more.
    pub(in crate::objects) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), StoreError> {
        loop {
            // A part is sent only where something follows it, so the last one is never empty.
            let room = PART_BYTES.saturating_sub(self.buffer.len());
            let Some((now, later)) = bytes.split_at_checked(room).filter(|(_, later)| !later.is_empty()) else {
                self.buffer.extend_from_slice(bytes);
                return Ok(());
            };
            self.buffer.extend_from_slice(now);
            bytes = later;
            self.send_part().await?;
        }
    }

    /// Sends what is left and makes the object visible.
    pub(in crate::objects) async fn finish(mut self, size_bytes: u64) -> Result<Digest, StoreError> {
        if self.parts.is_some() {
            self.send_part().await?;
        }
        match self.parts {
            Some(parts) => {
                parts.complete(size_bytes).await?;
                Ok(Digest(self.hash.finalize().into()))
            }
            None => {
                let (bytes, digest) = hashed(self.buffer, |bytes| Digest(Sha256::digest(bytes).into())).await?;
                self.s3.put(&self.key, bytes, digest).await?;
                Ok(digest)
            }
        }
    }

    async fn send_part(&mut self) -> Result<(), StoreError> {
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => none.insert(Multipart::begin(&self.s3, &self.key).await?),
        };
        let mut hash = std::mem::take(&mut self.hash);
        let (bytes, (hash, digest)) = hashed(std::mem::take(&mut self.buffer), move |bytes| {
            hash.update(bytes);
            (hash, Digest(Sha256::digest(bytes).into()))
        })
        .await?;
        self.hash = hash;
        parts.send(bytes, digest).await
    }
}

/// What `hash` makes of the bytes, and the bytes again. Milliseconds of work, so not on a thread that serves others.
async fn hashed<T: Send + 'static>(
    bytes: Vec<u8>,
    hash: impl FnOnce(&[u8]) -> T + Send + 'static,
) -> Result<(Vec<u8>, T), StoreError> {
    blocking(move || {
        let hashed = hash(&bytes);
        Ok((bytes, hashed))
    })
    .await
}
