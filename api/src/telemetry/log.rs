//! The log, on standard error.

use crate::config::LogFormat;
use std::io::IsTerminal as _;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Starts the log; `filter` is written as tracing's filters are.
///
/// # Errors
/// The filter can't be read, or a log was started before.
pub fn start_log(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)?;
    let ansi = std::io::stderr().is_terminal();
    let base = fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(ansi);
    match format {
        LogFormat::Text => tracing_subscriber::registry().with(filter).with(base).try_init()?,
        LogFormat::Json => {
            tracing_subscriber::registry().with(filter).with(base.json().flatten_event(true)).try_init()?
        }
    }
    Ok(())
}
