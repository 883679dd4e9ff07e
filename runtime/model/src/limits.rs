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
/// The memory of a container whose task asks for none, and whose solver has no default of its own, in bytes.
pub const CONTAINER_MEMORY_BYTES_DEFAULT: u64 = 2 << 30;
/// The least memory of a container, in bytes: an engine takes no less than 6 MiB, and no solver starts in that.
pub const CONTAINER_MEMORY_BYTES_MIN: u64 = 32 << 20;
/// The most memory that a container may ask for, in bytes: what its worker has is less, and counts.
pub const CONTAINER_MEMORY_BYTES_MAX: u64 = 1 << 40;

/// The `limits` object of a request; what is left out takes the lane's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsRequest {
    /// Wall time, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Memory, bytes: a sandbox's linear memory, or all of a container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Deterministic instruction budget, about one unit for a WebAssembly instruction. Not for solvers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// Cores: a container's, or those on which a sandbox's native kernels may work. A preview computes on one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
}

/// The ceilings that are enforced for one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub timeout_ms: u64,
    pub memory_bytes: u64,
    /// 0 where nothing counts it: in a container.
    pub fuel: u64,
    /// Cores. A sandbox uses more than one for native kernels alone.
    #[serde(default = "one_core")]
    pub cpus: u32,
}

/// Cores and memory: what a worker has for containers, or what one of them needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Room {
    /// Cores.
    pub cpus: u32,
    /// Memory, bytes.
    pub memory_bytes: u64,
}

impl Room {
    /// Whether `needed` fits in.
    pub const fn holds(self, needed: Room) -> bool {
        needed.cpus <= self.cpus && needed.memory_bytes <= self.memory_bytes
    }

    /// This and `more` together.
    #[must_use]
    pub const fn with(self, more: Room) -> Room {
        Room {
            cpus: self.cpus.saturating_add(more.cpus),
            memory_bytes: self.memory_bytes.saturating_add(more.memory_bytes),
        }
    }

    /// What is left when `taken` is; never less than nothing.
    #[must_use]
    pub const fn without(self, taken: Room) -> Room {
        Room {
            cpus: self.cpus.saturating_sub(taken.cpus),
            memory_bytes: self.memory_bytes.saturating_sub(taken.memory_bytes),
        }
    }
}

const fn one_core() -> u32 {
    1
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

impl Limits {
    /// What a worker must have free to start this.
    pub const fn room(&self) -> Room {
        Room { cpus: self.cpus, memory_bytes: self.memory_bytes }
    }
}

impl LimitsRequest {
    /// The enforced limits of a sandbox in `lane`, or the first field out of range. In `high_priority` more cores than one
    /// may be asked for, and one is used.
    pub fn resolve(&self, lane: Lane) -> Result<Limits, LimitsError> {
        let timeout_ms = self.timeout_ms(lane)?;
        let memory = self.memory_bytes.unwrap_or(lane.memory_bytes_default());
        let memory_bytes = within(lane, "memory_bytes", memory, (MEMORY_BYTES_MIN, MEMORY_BYTES_MAX))?;
        let fuel_default = timeout_ms.saturating_mul(FUEL_PER_SECOND / 1000);
        let fuel = within(lane, "fuel", self.fuel.unwrap_or(fuel_default), (1, i64::MAX as u64))?;
        let cpus = self.cpus(lane)?;
        let cpus = if lane == Lane::HighPriority { one_core() } else { cpus };
        Ok(Limits { timeout_ms, memory_bytes, fuel, cpus })
    }

    /// The enforced limits of a container in `lane`, or the first field out of range; `memory_bytes` is what it gets
    /// where none is asked for. Nothing counts fuel there: a request that names it is the caller's to refuse.
    pub fn resolve_container(&self, lane: Lane, memory_bytes: u64) -> Result<Limits, LimitsError> {
        let timeout_ms = self.timeout_ms(lane)?;
        let bounds = (CONTAINER_MEMORY_BYTES_MIN, CONTAINER_MEMORY_BYTES_MAX);
        let memory_bytes = within(lane, "memory_bytes", self.memory_bytes.unwrap_or(memory_bytes), bounds)?;
        Ok(Limits { timeout_ms, memory_bytes, fuel: 0, cpus: self.cpus(lane)? })
    }

    fn timeout_ms(&self, lane: Lane) -> Result<u64, LimitsError> {
        let max = lane.timeout_ms_max();
        within(lane, "timeout_ms", self.timeout_ms.unwrap_or(max), (TIMEOUT_MS_MIN, max))
    }

    fn cpus(&self, lane: Lane) -> Result<u32, LimitsError> {
        let cpus = self.cpus.unwrap_or(one_core());
        within(lane, "cpus", u64::from(cpus), (1, u64::from(CPUS_MAX))).map(|_| cpus)
    }
}

fn within(lane: Lane, field: &'static str, value: u64, (min, max): (u64, u64)) -> Result<u64, LimitsError> {
    if (min..=max).contains(&value) { Ok(value) } else { Err(LimitsError { field, min, max, lane }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_says_nothing_gets_the_lanes_defaults() {
        let limits = LimitsRequest::default().resolve(Lane::HighPriority).unwrap();
        let expected = Limits { timeout_ms: 5_000, memory_bytes: 512 << 20, fuel: 100_000_000_000, cpus: 1 };
        assert_eq!(limits, expected);
        let limits = LimitsRequest::default().resolve_container(Lane::LongRunning, 3 << 30).unwrap();
        assert_eq!(limits, Limits { timeout_ms: 86_400_000, memory_bytes: 3 << 30, fuel: 0, cpus: 1 });
    }

    #[test]
    fn a_container_may_have_what_a_sandbox_may_not() {
        let asked = LimitsRequest { memory_bytes: Some(1 << 40), cpus: Some(64), ..LimitsRequest::default() };
        let limits = asked.resolve_container(Lane::Default, CONTAINER_MEMORY_BYTES_DEFAULT).unwrap();
        assert_eq!(limits.room(), Room { cpus: 64, memory_bytes: 1 << 40 });
        let base = LimitsRequest::default();
        let rows = [
            (LimitsRequest { timeout_ms: Some(300_001), ..base }, "timeout_ms"),
            (LimitsRequest { memory_bytes: Some((1 << 40) + 1), ..base }, "memory_bytes"),
            (LimitsRequest { memory_bytes: Some(1 << 20), ..base }, "memory_bytes"),
            (LimitsRequest { cpus: Some(0), ..base }, "cpus"),
            (LimitsRequest { cpus: Some(65), ..base }, "cpus"),
        ];
        for (request, field) in rows {
            let error = request.resolve_container(Lane::Default, CONTAINER_MEMORY_BYTES_DEFAULT).unwrap_err();
            assert_eq!(error.field, field);
        }
    }

    #[test]
    fn a_sandbox_may_have_several_cores_but_for_a_preview() {
        let asked = LimitsRequest { cpus: Some(4), ..LimitsRequest::default() };
        let cpus = |lane| asked.resolve(lane).unwrap().cpus;
        assert_eq!([Lane::HighPriority, Lane::Default, Lane::LongRunning].map(cpus), [1, 4, 4]);
    }

    #[test]
    fn limits_that_were_stored_before_there_were_cores_mean_one() {
        let limits: Limits = serde_json::from_str(r#"{"timeout_ms":1,"memory_bytes":2,"fuel":3}"#).unwrap();
        assert_eq!(limits, Limits { timeout_ms: 1, memory_bytes: 2, fuel: 3, cpus: 1 });
    }

    #[test]
    fn room_holds_what_fits_in_cores_and_in_memory() {
        let room = |cpus, memory_bytes| Room { cpus, memory_bytes };
        assert!(room(2, 8).holds(room(2, 8)));
        assert!(!room(2, 8).holds(room(3, 1)) && !room(2, 8).holds(room(1, 9)));
        assert_eq!(room(2, 8).without(room(1, 9)), room(1, 0));
        assert_eq!(room(2, 8).with(room(1, 9)).without(room(2, 8)), room(1, 9));
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
