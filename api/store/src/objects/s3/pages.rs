//! Listing a bucket, page by page.

use super::{Inner, S3, time_of};
use crate::StoreError;
use crate::objects::{ObjectInfo, ObjectKey};
use std::collections::VecDeque;

/// Where a listing is.
#[derive(Debug)]
pub(in crate::objects) struct Pages {
    s3: S3,
    prefix: String,
    /// Listed and not asked for yet.
    waiting: VecDeque<ObjectInfo>,
    from: From,
}

#[derive(Debug)]
enum From {
    Start,
    /// After a page that ended with this token.
    Token(String),
    End,
}

impl Pages {
    /// Goes through the keys below `prefix`.
    pub(in crate::objects) fn under(s3: &S3, prefix: &ObjectKey) -> Self {
        let prefix = format!("{}/", s3.full(prefix));
        Self { s3: s3.clone(), prefix, waiting: VecDeque::new(), from: From::Start }
    }

    /// The next objects, `limit` at most; none at the end. Keys that are none of ours are left out.
    pub(in crate::objects) async fn next(&mut self, limit: u16) -> Result<Vec<ObjectInfo>, StoreError> {
        while self.waiting.is_empty() && !matches!(self.from, From::End) {
            self.fetch(limit).await?;
        }
        let count = self.waiting.len().min(usize::from(limit));
        Ok(self.waiting.drain(..count).collect())
    }

    async fn fetch(&mut self, limit: u16) -> Result<(), StoreError> {
        let Inner { client, bucket, faults, keys_at_once, .. } = &*self.s3.inner;
        let mut ask = client.list_objects_v2().bucket(bucket).prefix(&self.prefix);
        ask = ask.max_keys(i32::from(limit.min(*keys_at_once)));
        if let From::Token(token) = &self.from {
            ask = ask.continuation_token(token);
        }
        let page = ask.send().await.map_err(faults.of("listing objects"))?;
        for object in page.contents() {
            if let Some(key) = object.key().and_then(|full| self.s3.ours(full)) {
                let size_bytes = object.size().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
                self.waiting.push_back(ObjectInfo { key, size_bytes, modified_at: time_of(object.last_modified()) });
            }
        }
        self.from = match page.next_continuation_token {
            Some(token) if page.is_truncated == Some(true) => From::Token(token),
            _ => From::End,
        };
        Ok(())
    }
}
