//! Usage of previews, written behind: a preview never waits for the disk.

use crate::Store;
use mecapy_model::{ErrorKind, TenantId, Usage};
use std::sync::atomic::Ordering;

/// What one preview used.
#[derive(Debug, Clone, PartialEq)]
pub struct PreviewUsage {
    pub tenant: TenantId,
    /// Why it failed, if it did.
    pub error_kind: Option<ErrorKind>,
    pub usage: Usage,
}

impl Store {
    /// Notes a preview's usage, to be written within a second or so. Never waits: where the disk can't keep up the row
    /// is dropped and counted. A crash loses what was not written yet.
    pub fn record_preview_usage(&self, usage: PreviewUsage) {
        if self.preview_usage().try_send(usage).is_err() {
            let dropped = self.preview_usage_drops().fetch_add(1, Ordering::Relaxed) + 1;
            if dropped.is_power_of_two() {
                tracing::warn!(
                    usage.dropped_total = dropped,
                    "usage of previews is dropped: the database can't keep up"
                );
            }
        }
    }

    /// How many previews' usage was dropped since the start.
    pub fn preview_usage_dropped(&self) -> u64 {
        self.preview_usage_drops().load(Ordering::Relaxed)
    }
}
