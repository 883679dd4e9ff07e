//! Objects in a bucket of any S3 store: AWS, Scaleway, Garage, MinIO.
//!
//! Only what all of them have is used: no conditional writes, no server-side copies, checksums that a store may ignore
//! (what matters is verified by us against the digest in the row).

mod client;
mod fault;
mod multipart;
mod pages;
mod presign;
mod reader;
mod writer;

pub(super) use client::Patience;
pub(super) use pages::Pages;
pub(super) use reader::S3Reader;
pub(super) use writer::S3Writer;

use super::{ObjectInfo, ObjectKey, S3Address, S3Credentials};
use crate::{Clock, StoreError};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fault::Faults;
use mecapy_model::Digest;
use std::sync::Arc;
use time::OffsetDateTime;

/// How many keys one listing or deletion names at most; the protocol's own limit.
const KEYS_AT_ONCE: u16 = 1_000;

/// A bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct S3 {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    /// Signs URLs for clients, who may know the store by another name.
    presigner: Client,
    bucket: String,
    /// Empty, or ends in a slash.
    prefix: String,
    faults: Faults,
    clock: Arc<dyn Clock>,
    keys_at_once: u16,
    patience: Patience,
}

impl S3 {
    /// Nothing is asked yet: see [`ping`](Self::ping).
    pub(super) fn new(
        address: &S3Address,
        credentials: &S3Credentials,
        patience: Patience,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let client = client::client(address, credentials, &patience, Arc::clone(&clock));
        let presigner = match &address.public_endpoint {
            None => client.clone(),
            public => {
                let address = S3Address { endpoint: public.clone(), ..address.clone() };
                client::client(&address, credentials, &patience, Arc::clone(&clock))
            }
        };
        let prefix = if address.prefix.is_empty() { String::new() } else { format!("{}/", address.prefix) };
        let bucket = address.bucket.clone();
        let faults = Faults::at(address.place());
        let keys_at_once = KEYS_AT_ONCE;
        Self { inner: Arc::new(Inner { client, presigner, bucket, prefix, faults, clock, keys_at_once, patience }) }
    }

    /// The same bucket, listed in smaller steps.
    #[cfg(test)]
    pub(super) fn with_keys_at_once(self, keys_at_once: u16) -> Self {
        Self { inner: Arc::new(Inner { keys_at_once, ..Arc::into_inner(self.inner).unwrap() }) }
    }

    /// Whether the bucket answers these credentials.
    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let Inner { client, bucket, prefix, faults, .. } = &*self.inner;
        let asked = client.list_objects_v2().bucket(bucket).prefix(prefix).max_keys(1).send().await;
        asked.map(drop).map_err(faults.of("reaching the object store"))
    }

    pub(super) fn create(&self, key: &ObjectKey) -> S3Writer {
        S3Writer::new(self.clone(), key.clone())
    }

    pub(super) async fn open_object(&self, key: &ObjectKey) -> Result<Option<S3Reader>, StoreError> {
        let Inner { client, bucket, faults, .. } = &*self.inner;
        match client.get_object().bucket(bucket).key(self.full(key)).send().await {
            Ok(found) => Ok(Some(S3Reader::new(self.clone(), key.clone(), found))),
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => Ok(None),
            Err(error) => Err(faults.of(format!("opening object {key}"))(error)),
        }
    }

    pub(super) async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectInfo>, StoreError> {
        let Inner { client, bucket, faults, .. } = &*self.inner;
        match client.head_object().bucket(bucket).key(self.full(key)).send().await {
            Ok(found) => Ok(Some(ObjectInfo {
                key: key.clone(),
                size_bytes: found.content_length().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
                modified_at: time_of(found.last_modified()),
            })),
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(None),
            Err(error) => Err(faults.of(format!("looking for object {key}"))(error)),
        }
    }

    /// Puts an object whole. The store refuses bytes that are not those of `digest`.
    pub(super) async fn put(&self, key: &ObjectKey, bytes: Vec<u8>, digest: Digest) -> Result<(), StoreError> {
        let Inner { client, bucket, faults, .. } = &*self.inner;
        let put = client
            .put_object()
            .bucket(bucket)
            .key(self.full(key))
            .checksum_sha256(checksum(digest))
            .body(ByteStream::from(bytes));
        put.send().await.map(drop).map_err(faults.of(format!("storing object {key}")))
    }

    pub(super) async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let Inner { client, bucket, faults, .. } = &*self.inner;
        let deleted = client.delete_object().bucket(bucket).key(self.full(key)).send().await;
        deleted.map(drop).map_err(faults.of(format!("deleting object {key}")))
    }

    pub(super) async fn delete_under(&self, prefix: &ObjectKey) -> Result<(), StoreError> {
        let mut pages = Pages::under(self, prefix);
        loop {
            let page = pages.next(KEYS_AT_ONCE).await?;
            if page.is_empty() {
                return Ok(());
            }
            self.delete_all(&page.into_iter().map(|object| object.key).collect::<Vec<_>>()).await?;
        }
    }

    pub(super) async fn delete_all(&self, keys: &[ObjectKey]) -> Result<(), StoreError> {
        for keys in keys.chunks(usize::from(KEYS_AT_ONCE)) {
            self.delete_together(keys).await?;
        }
        Ok(())
    }

    async fn delete_together(&self, keys: &[ObjectKey]) -> Result<(), StoreError> {
        let Inner { client, bucket, faults, .. } = &*self.inner;
        let doing = "deleting objects";
        let unfit = |_| faults.refused(doing, "a key was left out");
        let mut delete = Delete::builder().quiet(true);
        for key in keys {
            delete = delete.objects(ObjectIdentifier::builder().key(self.full(key)).build().map_err(unfit)?);
        }
        let asked = client.delete_objects().bucket(bucket).delete(delete.build().map_err(unfit)?);
        let deleted = asked.send().await.map_err(faults.of(doing))?;
        match deleted.errors().first() {
            None => Ok(()),
            Some(error) => Err(faults.coded(doing, error.code(), None)),
        }
    }

    /// The key as the bucket knows it.
    fn full(&self, key: &ObjectKey) -> String {
        format!("{}{key}", self.inner.prefix)
    }

    /// Our key of one in the bucket; `None` where it is none of ours.
    fn ours(&self, full: &str) -> Option<ObjectKey> {
        ObjectKey::parse(full.strip_prefix(&self.inner.prefix)?).ok()
    }
}

fn checksum(digest: Digest) -> String {
    STANDARD.encode(digest.0)
}

fn time_of(time: Option<&DateTime>) -> OffsetDateTime {
    let seconds = time.map_or(0, DateTime::secs);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The store's own word for what went wrong.
fn code_of<E: ProvideErrorMetadata>(error: &E) -> Option<&str> {
    error.code()
}
