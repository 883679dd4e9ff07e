//! What one container may use.

use super::EngineError;
use mecapy_model::Room;
use std::time::Duration;

/// The least that an engine takes for a container's memory.
const MEMORY_BYTES_MIN: u64 = 6 << 20;
/// The least that an ext4 volume with its tables makes sense for.
pub(super) const DISK_BYTES_MIN: u64 = 8 << 20;

/// The ceilings of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Cores; the time of more is not given, however many the machine has.
    pub cpus: u32,
    /// Memory, without swap; what is in `/tmp` counts.
    pub memory_bytes: u64,
    /// The work folder, tables of the filesystem included. No single file is longer, holes counted.
    pub disk_bytes: u64,
    /// Processes and threads together.
    pub pids: u32,
    /// `/tmp`, which is in memory.
    pub tmp_bytes: u64,
    /// Standard output and error together, with 80 bytes more for each line: that is about what the engine writes to
    /// the host's disk.
    pub output_bytes_max: u64,
    /// From the start to TERM.
    pub wall: Duration,
}

impl Sizes {
    /// What the run takes of its worker's room.
    pub const fn room(&self) -> Room {
        Room { cpus: self.cpus, memory_bytes: self.memory_bytes }
    }

    /// # Errors
    /// `Refused`, where a size is below what an engine or a filesystem can do, or beyond its numbers.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        let rows = [
            ("cpus", u64::from(self.cpus), 1),
            ("memory_bytes", self.memory_bytes, MEMORY_BYTES_MIN),
            ("disk_bytes", self.disk_bytes, DISK_BYTES_MIN),
            ("pids", u64::from(self.pids), 2),
            ("tmp_bytes", self.tmp_bytes, 4096),
            ("output_bytes_max", self.output_bytes_max, 1),
        ];
        match rows.into_iter().find(|(_, value, min)| value < min || i64::try_from(*value).is_err()) {
            Some((name, value, min)) => {
                Err(EngineError::Refused(format!("{name} is {value}, and at least {min} is needed")))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_no_engine_takes_are_refused_by_name() {
        let good = Sizes {
            cpus: 1,
            memory_bytes: 64 << 20,
            disk_bytes: 64 << 20,
            pids: 16,
            tmp_bytes: 1 << 20,
            output_bytes_max: 1 << 20,
            wall: Duration::from_secs(1),
        };
        good.check().unwrap();
        for (sizes, name) in [
            (Sizes { cpus: 0, ..good }, "cpus"),
            (Sizes { memory_bytes: 1, ..good }, "memory_bytes"),
            (Sizes { disk_bytes: u64::MAX, ..good }, "disk_bytes"),
            (Sizes { pids: 0, ..good }, "pids"),
        ] {
            assert!(sizes.check().unwrap_err().to_string().contains(name), "{sizes:?}");
        }
    }
}
