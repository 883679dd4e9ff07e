//! An object in parts: begun, sent, and completed or aborted. What a crash leaves begun is aborted by a sweep.

use super::client::assembling;
use super::{Inner, S3, checksum, code_of, time_of};
use crate::StoreError;
use crate::objects::ObjectKey;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use mecapy_model::Digest;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How long an abort may take that nobody waits for.
const ABORT_TIMEOUT: Duration = Duration::from_secs(60);

/// An object whose parts are being sent. Dropped before [`complete`](Self::complete), it is aborted in the background.
#[derive(Debug)]
pub(super) struct Multipart {
    s3: S3,
    key: ObjectKey,
    /// Taken when nothing is left to abort.
    upload: Option<String>,
    parts: Vec<CompletedPart>,
}

impl Multipart {
    pub(super) async fn begin(s3: &S3, key: &ObjectKey) -> Result<Self, StoreError> {
        let Inner { client, bucket, faults, .. } = &*s3.inner;
        let doing = format!("storing object {key}");
        let begin = client.create_multipart_upload().bucket(bucket).key(s3.full(key));
        let begun =
            begin.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.map_err(faults.of(doing.clone()))?;
        let upload = begun.upload_id.ok_or_else(|| faults.unavailable(doing, "the answer can't be read"))?;
        Ok(Self { s3: s3.clone(), key: key.clone(), upload: Some(upload), parts: Vec::new() })
    }

    /// Sends the next part. The store refuses bytes that are not those of `digest`.
    pub(super) async fn send(&mut self, bytes: Vec<u8>, digest: Digest) -> Result<(), StoreError> {
        let Inner { client, bucket, faults, .. } = &*self.s3.inner;
        let number = i32::try_from(self.parts.len() + 1).unwrap_or(i32::MAX);
        let send = client
            .upload_part()
            .bucket(bucket)
            .key(self.s3.full(&self.key))
            .set_upload_id(self.upload.clone())
            .part_number(number)
            .checksum_sha256(checksum(digest))
            .body(ByteStream::from(bytes));
        let sent = send.send().await.map_err(faults.of(format!("storing object {}", self.key)))?;
        let part = CompletedPart::builder().part_number(number).checksum_sha256(checksum(digest));
        self.parts.push(part.set_e_tag(sent.e_tag).build());
        Ok(())
    }

    /// Makes the object of `size_bytes` visible.
    pub(super) async fn complete(mut self, size_bytes: u64) -> Result<(), StoreError> {
        let Inner { client, bucket, faults, patience, .. } = &*self.s3.inner;
        let parts = CompletedMultipartUpload::builder().set_parts(Some(std::mem::take(&mut self.parts)));
        let complete = client
            .complete_multipart_upload()
            .bucket(bucket)
            .key(self.s3.full(&self.key))
            .set_upload_id(self.upload.clone())
            .multipart_upload(parts.build());
        match complete.customize().config_override(assembling(patience)).send().await {
            Ok(_) => {}
            // A first try whose answer was lost has completed it: keys are one attempt's own, so this is the object.
            Err(error) if code_of(&error) == Some("NoSuchUpload") => {
                let found = self.s3.head(&self.key).await?;
                if found.is_none_or(|found| found.size_bytes != size_bytes) {
                    return Err(faults.of(format!("storing object {}", self.key))(error));
                }
            }
            Err(error) => return Err(faults.of(format!("storing object {}", self.key))(error)),
        }
        self.upload = None;
        Ok(())
    }
}

impl Drop for Multipart {
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else { return };
        let (s3, key) = (self.s3.clone(), self.s3.full(&self.key));
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            let aborted = timeout(ABORT_TIMEOUT, s3.abort(&key, &upload)).await;
            if !matches!(aborted, Ok(Ok(()))) {
                tracing::warn!(object.key = key, "parts of an object that was given up stay until the next sweep");
            }
        });
    }
}

impl S3 {
    /// Aborts what was begun before `before` under `prefix` and never completed; answers how many. A store that does not
    /// tell what was begun has to clean up by a rule of its own.
    pub(in crate::objects) async fn abort_stale(
        &self,
        prefix: &ObjectKey,
        before: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        let Inner { client, bucket, faults, .. } = &*self.inner;
        let (mut aborted, mut key_marker, mut id_marker) = (0, None, None);
        loop {
            let ask = client.list_multipart_uploads().bucket(bucket).prefix(format!("{}/", self.full(prefix)));
            let page = match ask.set_key_marker(key_marker).set_upload_id_marker(id_marker).send().await {
                Ok(page) => page,
                Err(error) if code_of(&error) == Some("NotImplemented") => return Ok(aborted),
                Err(error) => return Err(faults.of("listing unfinished objects")(error)),
            };
            for begun in page.uploads() {
                if let (Some(key), Some(upload)) = (begun.key(), begun.upload_id())
                    && begun.initiated().is_some_and(|at| time_of(Some(at)) < before)
                {
                    self.abort(key, upload).await?;
                    aborted += 1;
                }
            }
            if page.is_truncated() != Some(true) {
                return Ok(aborted);
            }
            (key_marker, id_marker) = (page.next_key_marker, page.next_upload_id_marker);
        }
    }

    async fn abort(&self, full_key: &str, upload: &str) -> Result<(), StoreError> {
        let Inner { client, bucket, faults, .. } = &*self.inner;
        match client.abort_multipart_upload().bucket(bucket).key(full_key).upload_id(upload).send().await {
            Ok(_) => Ok(()),
            Err(error) if code_of(&error) == Some("NoSuchUpload") => Ok(()),
            Err(error) => Err(faults.of("giving up an object")(error)),
        }
    }
}
