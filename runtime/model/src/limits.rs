//! Ceilings for one task: what a request may ask for and what is enforced.

use crate::Lane;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Fuel that a second of wall time is worth by default: about twice what a core burns, so the deadline is the usual limit.
pub const FUEL_PER_SECOND: u64 = 20_000_000_000;
/// The least linear memory a task may ask for, in bytes.
pub const MEMORY_BYTES_MIN: u64 = 1 << 20;
/// The shortest wall time a task may ask for, in milliseconds.
pub const TIMEOUT_MS_MIN: u64 = 1;
/// The most cores that a task may ask for: an upper bound, of which a sandboxed computation uses one.
pub const CPUS_MAX: u32 = 64;
/// Linear memory is 32-bit: no task can use more than this many bytes.
const MEMORY_BYTES_MAX: u64 = 4 << 30;

/// The `limits` object of a request; what is left out takes the lane's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsRequest {
    /// Wall time, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Linear memory, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Deterministic instruction budget, about one unit for a WebAssembly instruction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// Cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
}

/// The ceilings that are enforced for one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub timeout_ms: u64,
    pub memory_bytes: u64,
    pub fuel: u64,
}

/// A limit outside its range; `field` is its name in the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be between {min} and {max} in the {lane} lane")]
pub struct LimitsError {
    pub field: &'static str,
    pub min: u64,
    pub max: u64,
    pub lane: Lane,
}

impl LimitsRequest {
    /// The enforced limits in `lane`, or the first field out of range.
    pub fn resolve(&self, lane: Lane) -> Result<Limits, LimitsError> {
        let within = |field, value: u64, min, max| {
            if (min..=max).contains(&value) { Ok(value) } else { Err(LimitsError { field, min, max, lane }) }
        };
        let timeout_max = lane.timeout_ms_max();
        let timeout_ms = within("timeout_ms", self.timeout_ms.unwrap_or(timeout_max), TIMEOUT_MS_MIN, timeout_max)?;
        let memory = self.memory_bytes.unwrap_or(lane.memory_bytes_default());
        let memory_bytes = within("memory_bytes", memory, MEMORY_BYTES_MIN, MEMORY_BYTES_MAX)?;
        let fuel_default = timeout_ms.saturating_mul(FUEL_PER_SECOND / 1000);
        let fuel = within("fuel", self.fuel.unwrap_or(fuel_default), 1, i64::MAX as u64)?;
        within("cpus", u64::from(self.cpus.unwrap_or(1)), 1, u64::from(CPUS_MAX))?;
        Ok(Limits { timeout_ms, memory_bytes, fuel })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_says_nothing_gets_the_lanes_defaults() {
        let limits = LimitsRequest::default().resolve(Lane::HighPriority).unwrap();
        assert_eq!(limits, Limits { timeout_ms: 5_000, memory_bytes: 512 << 20, fuel: 100_000_000_000 });
    }

    #[test]
    fn each_field_is_refused_by_name_outside_its_range() {
        let base = LimitsRequest::default();
        let rows = [
            (LimitsRequest { timeout_ms: Some(5_001), ..base }, "timeout_ms"),
            (LimitsRequest { timeout_ms: Some(0), ..base }, "timeout_ms"),
            (LimitsRequest { memory_bytes: Some(5 << 30), ..base }, "memory_bytes"),
            (LimitsRequest { memory_bytes: Some(1), ..base }, "memory_bytes"),
            (LimitsRequest { fuel: Some(0), ..base }, "fuel"),
            (LimitsRequest { fuel: Some(u64::MAX), ..base }, "fuel"),
            (LimitsRequest { cpus: Some(0), ..base }, "cpus"),
            (LimitsRequest { cpus: Some(65), ..base }, "cpus"),
        ];
        for (request, field) in rows {
            assert_eq!(request.resolve(Lane::HighPriority).unwrap_err().field, field);
        }
    }
}
