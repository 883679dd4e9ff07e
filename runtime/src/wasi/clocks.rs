//! The task's own clocks: a wall clock that starts where the task says, and a monotonic one that starts at 0.

use super::{Errno, Get, functions};
use std::time::{Duration, Instant};
use wasmtime::Linker;

/// What the clocks can tell apart, in nanoseconds.
pub(super) const RESOLUTION_NANOS: u64 = 1;

#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    wall_start_nanos: u64,
    started: Instant,
}

/// A clock by its number. The two processor-time clocks count as monotonic ones: a guest has one thread, and what the
/// host does meanwhile is not its business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClockId {
    Wall,
    Monotonic,
}

impl ClockId {
    pub(super) fn parse(id: u32) -> Result<Self, Errno> {
        match id {
            0 => Ok(ClockId::Wall),
            1..=3 => Ok(ClockId::Monotonic),
            _ => Err(Errno::Inval),
        }
    }
}

impl Clocks {
    pub(super) fn new(wall_start_nanos: u64, started: Instant) -> Self {
        Self { wall_start_nanos, started }
    }

    /// Since the guest's start. It lasts 584 years.
    pub(super) fn monotonic_nanos(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn wall_nanos(&self) -> u64 {
        self.wall_start_nanos.saturating_add(self.monotonic_nanos())
    }

    pub(super) fn read(&self, id: ClockId) -> u64 {
        match id {
            ClockId::Wall => self.wall_nanos(),
            ClockId::Monotonic => self.monotonic_nanos(),
        }
    }

    /// The monotonic time at which a clock shows `nanos`.
    pub(super) fn when(&self, id: ClockId, nanos: u64) -> u64 {
        match id {
            ClockId::Wall => nanos.saturating_sub(self.wall_start_nanos),
            ClockId::Monotonic => nanos,
        }
    }

    /// The host's instant of a monotonic time, where the host can express it.
    pub(super) fn instant(&self, monotonic_nanos: u64) -> Option<Instant> {
        self.started.checked_add(Duration::from_nanos(monotonic_nanos))
    }
}

pub(super) fn link<T: 'static>(linker: &mut Linker<T>, get: impl Get<T>) -> wasmtime::Result<()> {
    functions! { linker, get,
        clock_time_get(id: u32, _precision: u64, out: u32) => |ctx, guest| {
            let clock = ClockId::parse(id)?;
            ctx.wall_clock_read |= clock == ClockId::Wall;
            let now = ctx.clocks.read(clock);
            Ok(guest.put_u64(out, now)?)
        };
        clock_res_get(id: u32, out: u32) => |_, guest| {
            ClockId::parse(id)?;
            Ok(guest.put_u64(out, RESOLUTION_NANOS)?)
        };
    }
    Ok(())
}
