//! Reading an object piece by piece.

use super::folder::FolderReader;
use super::s3::S3Reader;
use crate::StoreError;

/// An object that is open for reading; a deletion meanwhile does not disturb it.
#[derive(Debug)]
pub struct ObjectReader(pub(super) Open);

#[derive(Debug)]
pub(super) enum Open {
    Folder(FolderReader),
    S3(Box<S3Reader>),
}

impl ObjectReader {
    pub fn size_bytes(&self) -> u64 {
        match &self.0 {
            Open::Folder(reader) => reader.size_bytes(),
            Open::S3(reader) => reader.size_bytes(),
        }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// An object that ends before its size is one: whoever was told the size would wait for the rest.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match &mut self.0 {
            Open::Folder(reader) => reader.chunk().await,
            Open::S3(reader) => reader.chunk().await,
        }
    }
}
