//! Where a test's rows are: a SQLite file in its own folder.

use mecapy_store::StoreOptions;
use std::path::Path;

pub(crate) struct TestDatabase;

impl TestDatabase {
    pub(crate) async fn new() -> Self {
        Self
    }

    pub(crate) fn options(&self, data: &Path) -> StoreOptions {
        StoreOptions::new(data)
    }

    pub(crate) fn is_shared(&self) -> bool {
        false
    }

    pub(crate) fn owner_url(&self) -> Option<&str> {
        None
    }
}
