//! Results and logs that are too large for their rows: objects, with their digest in the row.

use super::{ObjectKey, Objects};
use crate::{ClaimRef, StoreError};
use mecapy_model::Digest;
use sha2::{Digest as _, Sha256};

/// The longest result that its row holds itself, in bytes; a longer one is an object.
pub const RESULT_INLINE_BYTES_MAX: usize = 256 << 10;
/// The longest piece of a log that its row holds itself, in bytes.
pub const LOG_INLINE_BYTES_MAX: usize = 256 << 10;

/// A text as a row keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredText {
    Inline(String),
    Object { key: ObjectKey, size_bytes: u64, sha256: Digest },
}

impl Objects {
    /// Keeps a result's JSON text; what is an object is durable when this returns, under the claim's fence.
    pub async fn store_result(&self, claim: &ClaimRef, text: String) -> Result<StoredText, StoreError> {
        if text.len() <= RESULT_INLINE_BYTES_MAX {
            return Ok(StoredText::Inline(text));
        }
        self.store_text(ObjectKey::text_of_attempt(claim.tenant, claim.task, claim.fence, "result.json"), text).await
    }

    /// Keeps a piece of an attempt's log. `name` tells it from the attempt's others.
    pub async fn store_log(&self, claim: &ClaimRef, name: &str, text: String) -> Result<StoredText, StoreError> {
        if text.len() <= LOG_INLINE_BYTES_MAX {
            return Ok(StoredText::Inline(text));
        }
        self.store_text(ObjectKey::log_of_attempt(claim.tenant, claim.task, claim.fence, name), text).await
    }

    /// Keeps the result of a batch's item.
    pub(crate) async fn store_item(
        &self,
        claim: &ClaimRef,
        index: u32,
        text: String,
    ) -> Result<StoredText, StoreError> {
        self.store_text(ObjectKey::item_of_attempt(claim.tenant, claim.task, claim.fence, index), text).await
    }

    /// A kept text, byte for byte.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where the object is gone or not what was stored.
    pub async fn load_text(&self, text: &StoredText) -> Result<String, StoreError> {
        let (key, size_bytes, sha256) = match text {
            StoredText::Inline(text) => return Ok(text.clone()),
            StoredText::Object { key, size_bytes, sha256 } => (key, *size_bytes, *sha256),
        };
        let wrong = || StoreError::corrupt(format!("object {key} is not what was stored"));
        let bytes = self.read(key).await?.ok_or_else(wrong)?;
        if bytes.len() as u64 != size_bytes || Digest(Sha256::digest(&bytes).into()) != sha256 {
            return Err(wrong());
        }
        String::from_utf8(bytes).map_err(|_| wrong())
    }

    async fn store_text(&self, key: ObjectKey, text: String) -> Result<StoredText, StoreError> {
        let (size_bytes, sha256) = self.put(&key, text.into_bytes()).await?;
        Ok(StoredText::Object { key, size_bytes, sha256 })
    }
}
