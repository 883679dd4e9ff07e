//! Pages of rows, newest first, with cursors that hold for one question alone.

use crate::list::{LIST_LIMIT_MAX, ListError};
use crate::{Store, StoreError};
use mecapy_model::TenantId;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Which part of a list is asked for.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// 1 to [`LIST_LIMIT_MAX`].
    pub limit: u32,
    /// `next_cursor` of the page before, asked with the same filters.
    pub cursor: Option<String>,
}

impl Default for PageRequest {
    /// The first 50.
    fn default() -> Self {
        Self { limit: 50, cursor: None }
    }
}

/// Some rows, newest first.
#[derive(Debug, Clone)]
pub struct PageOf<T> {
    pub items: Vec<T>,
    /// For the page after this one.
    pub next_cursor: Option<String>,
}

/// A page that is being read.
pub(crate) struct OpenPage {
    scope: Vec<u8>,
    /// Only rows with smaller ids.
    pub(crate) before: Uuid,
    limit: usize,
    /// How many rows to ask for: one more says whether there is another page.
    pub(crate) rows: u32,
}

impl Store {
    /// Begins a page; `filters` is what its cursors are bound to, beside the tenant.
    pub(crate) fn open_page(
        &self,
        tenant: TenantId,
        filters: impl std::fmt::Debug,
        request: &PageRequest,
    ) -> Result<OpenPage, ListError> {
        if !(1..=LIST_LIMIT_MAX).contains(&request.limit) {
            return Err(ListError::BadLimit { max: LIST_LIMIT_MAX });
        }
        let scope = Sha256::digest(format!("{:?}", (tenant, filters))).to_vec();
        let before = match &request.cursor {
            Some(cursor) => Uuid::from_bytes(self.signer().read_cursor(cursor, &scope).ok_or(ListError::BadCursor)?),
            None => Uuid::max(),
        };
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        Ok(OpenPage { scope, before, limit, rows: request.limit + 1 })
    }

    /// Ends it with the rows that were found.
    pub(crate) fn close_page<T>(
        &self,
        page: &OpenPage,
        found: Result<Vec<T>, StoreError>,
        id: impl Fn(&T) -> Uuid,
    ) -> Result<PageOf<T>, ListError> {
        let mut items = found?;
        let more = items.len() > page.limit;
        items.truncate(page.limit);
        let last = items.last().filter(|_| more);
        let next_cursor = last.map(|last| self.signer().cursor(id(last).as_bytes(), &page.scope));
        Ok(PageOf { items, next_cursor })
    }
}
