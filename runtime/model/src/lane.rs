//! The three lanes and what each allows by default.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a task waits and with what default limits it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Up to 5 s; tenants in turns, each tenant's own in order.
    HighPriority,
    /// Up to 5 min; by priority, then fair between tenants, then FIFO.
    Default,
    /// Over 5 min, throttled.
    LongRunning,
}

impl Lane {
    pub const ALL: [Lane; 3] = [Lane::HighPriority, Lane::Default, Lane::LongRunning];

    /// The longest wall time a task of this lane may ask for, in milliseconds.
    pub const fn timeout_ms_max(self) -> u64 {
        match self {
            Lane::HighPriority => 5_000,
            Lane::Default => 300_000,
            Lane::LongRunning => 24 * 3_600_000,
        }
    }

    /// The linear memory a task of this lane gets when it asks for none, in bytes.
    pub const fn memory_bytes_default(self) -> u64 {
        match self {
            Lane::HighPriority => 512 << 20,
            Lane::Default | Lane::LongRunning => 1 << 30,
        }
    }

    /// The shortest lane whose ceiling covers `timeout_ms`; `default` when no timeout is given.
    pub const fn for_timeout(timeout_ms: Option<u64>) -> Lane {
        match timeout_ms {
            Some(ms) if ms > Lane::Default.timeout_ms_max() => Lane::LongRunning,
            _ => Lane::Default,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Lane::HighPriority => "high_priority",
            Lane::Default => "default",
            Lane::LongRunning => "long_running",
        }
    }
}

impl std::fmt::Display for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Lane {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Lane::ALL
            .into_iter()
            .find(|lane| lane.as_str() == text)
            .ok_or_else(|| format!("unknown lane {text:?}: use high_priority, default or long_running"))
    }
}
