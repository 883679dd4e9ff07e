//! URLs that let somebody without credentials get or put one object.

use super::{Inner, S3};
use crate::StoreError;
use crate::objects::{Download, ObjectKey};
use aws_sdk_s3::presigning::PresigningConfig;
use std::time::Duration;

impl S3 {
    /// A URL to read an object by, as a file to keep.
    pub(in crate::objects) async fn presign_get(
        &self,
        key: &ObjectKey,
        download: Download<'_>,
        lifetime: Duration,
    ) -> Result<String, StoreError> {
        let Inner { presigner, bucket, faults, .. } = &*self.inner;
        let get = presigner
            .get_object()
            .bucket(bucket)
            .key(self.full(key))
            .response_content_disposition(download.disposition())
            .response_content_type(download.safe_content_type())
            .response_cache_control("private, no-store");
        let signed = get.presigned(self.signing(lifetime)?).await.map_err(faults.of("signing a URL"))?;
        Ok(signed.uri().to_owned())
    }

    /// A URL to put an object of exactly this size by: the length is signed, so the store refuses another.
    pub(in crate::objects) async fn presign_put(
        &self,
        key: &ObjectKey,
        size_bytes: u64,
        lifetime: Duration,
    ) -> Result<String, StoreError> {
        let Inner { presigner, bucket, faults, .. } = &*self.inner;
        let length = i64::try_from(size_bytes).unwrap_or(i64::MAX);
        let put = presigner.put_object().bucket(bucket).key(self.full(key)).content_length(length);
        let signed = put.presigned(self.signing(lifetime)?).await.map_err(faults.of("signing a URL"))?;
        Ok(signed.uri().to_owned())
    }

    fn signing(&self, lifetime: Duration) -> Result<PresigningConfig, StoreError> {
        let from = PresigningConfig::builder().start_time(self.inner.clock.now().into());
        let unfit = |_| self.inner.faults.refused("signing a URL", "it would work for too long");
        from.expires_in(lifetime).build().map_err(unfit)
    }
}
