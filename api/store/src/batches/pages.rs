//! What readers of items need beside them: where a page ends, and which items run.

use crate::sql::query;
use crate::{Store, StoreError};
use mecapy_model::{BatchId, ItemRange, TenantId};

impl Store {
    /// What leads to the items of a batch from `next` on, or to those of them that failed. Nobody else can make it.
    pub fn items_cursor(&self, tenant: TenantId, batch: BatchId, only_failed: bool, next: u32) -> String {
        let position = u128::from(next).to_be_bytes();
        self.signer().cursor(&position, scope(tenant, batch, only_failed).as_bytes())
    }

    /// The item that a cursor of the same list leads to; `None` where it is no such cursor.
    pub fn read_items_cursor(&self, tenant: TenantId, batch: BatchId, only_failed: bool, cursor: &str) -> Option<u32> {
        let position = self.signer().read_cursor(cursor, scope(tenant, batch, only_failed).as_bytes())?;
        u32::try_from(u128::from_be_bytes(position)).ok()
    }

    /// The items of the chunks that run, those that have ended among them; none of a batch that isn't there.
    pub async fn running_items(&self, tenant: TenantId, batch: BatchId) -> Result<Vec<ItemRange>, StoreError> {
        let sql = "SELECT c.first, c.count FROM batches b JOIN batch_chunks c ON c.batch_no = b.no \
                   JOIN tasks t ON t.no = c.no WHERE b.tenant = ? AND b.id = ? AND t.state = 'running' ORDER BY c.first";
        let rows = query(sql).bind(tenant).bind(batch).fetch_all(&mut self.reader(tenant).await?).await?;
        let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        rows.iter().map(|row| Ok(ItemRange { first: count(row.count(0)?), count: count(row.count(1)?) })).collect()
    }
}

fn scope(tenant: TenantId, batch: BatchId, only_failed: bool) -> String {
    format!("items {tenant} {batch} {only_failed}")
}
