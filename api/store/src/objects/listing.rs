//! Listing objects page by page, in the order of their keys.

use super::folder::Walk;
use super::s3::Pages;
use super::{ObjectKey, blocking};
use crate::StoreError;
use time::OffsetDateTime;

/// What a listing says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    pub key: ObjectKey,
    pub size_bytes: u64,
    /// When its bytes became visible, by the clock of whoever keeps them.
    pub modified_at: OffsetDateTime,
}

/// The objects under a prefix. Those that come and go meanwhile may show or not.
#[derive(Debug)]
pub struct Listing(Source);

#[derive(Debug)]
enum Source {
    Folder(Option<Box<Walk>>),
    S3(Box<Pages>),
}

impl Listing {
    pub(super) fn of_folder(walk: Walk) -> Self {
        Self(Source::Folder(Some(Box::new(walk))))
    }

    pub(super) fn of_s3(pages: Pages) -> Self {
        Self(Source::S3(Box::new(pages)))
    }

    /// The next objects, `limit` at most; none at the end.
    pub async fn next(&mut self, limit: u16) -> Result<Vec<ObjectInfo>, StoreError> {
        match &mut self.0 {
            Source::S3(pages) => pages.next(limit).await,
            Source::Folder(source) => {
                let Some(mut walk) = source.take() else { return Ok(Vec::new()) };
                let (walk, page) = blocking(move || {
                    let page = walk.next(usize::from(limit))?;
                    Ok((walk, page))
                })
                .await?;
                *source = (!page.is_empty()).then_some(walk);
                Ok(page)
            }
        }
    }
}
