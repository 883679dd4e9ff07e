//! Reading an object as the store sends it.

use super::S3;
use crate::StoreError;
use crate::objects::ObjectKey;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;

#[derive(Debug)]
pub(in crate::objects) struct S3Reader {
    s3: S3,
    key: ObjectKey,
    body: ByteStream,
    size_bytes: u64,
    read_bytes: u64,
}

impl S3Reader {
    pub(super) fn new(s3: S3, key: ObjectKey, found: GetObjectOutput) -> Self {
        let size_bytes = found.content_length().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
        Self { s3, key, body: found.body, size_bytes, read_bytes: 0 }
    }

    pub(in crate::objects) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(in crate::objects) async fn chunk(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let faults = &self.s3.inner.faults;
        let broken = || faults.unavailable(format!("reading object {}", self.key), "the answer broke off");
        match self.body.next().await {
            Some(Ok(bytes)) => {
                self.read_bytes += bytes.len() as u64;
                Ok(Some(bytes.into()))
            }
            Some(Err(_)) => Err(broken()),
            None if self.read_bytes != self.size_bytes => Err(broken()),
            None => Ok(None),
        }
    }
}
