//! The usage of previews, many at a time.

use super::ending::bind_usage;
use super::state::Writer;
use crate::sql::{Rows, pieces, query};
use crate::{PreviewUsage, StoreError};

const USAGE: Rows = Rows {
    head: "INSERT INTO preview_usage (tenant, at_ms, error_kind, fuel, memory_peak_bytes, cpu_ms, queued_ms, startup_ms, \
           execute_ms, kernel_instructions, kernel_calls, kernel_flops, kernel_price_version)",
    width: 13,
    tail: "",
};

impl Writer {
    pub(super) async fn record_preview_usage(&mut self, usage: &[PreviewUsage]) -> Result<(), StoreError> {
        for piece in pieces(usage) {
            let mut query = query(USAGE.sql(piece.len()));
            for preview in piece {
                query = query.bind(preview.tenant).bind(self.now_ms);
                query = bind_usage(query, preview.error_kind, &preview.usage);
            }
            self.run(query).await?;
        }
        Ok(())
    }
}
