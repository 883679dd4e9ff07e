//! What operators see: the log and the metrics.

mod log;
mod metrics;

pub use log::start_log;
pub use metrics::{Metrics, Snapshot};
