//! New identifiers: UUIDv7 that rise within a process, also within one millisecond and when the wall clock jumps back.

use crate::clock::{Clock, unix_ms};
use std::sync::{Arc, Mutex, PoisonError};

/// The largest value of the 12 bits that count within a millisecond.
const COUNTER_MAX: u16 = 0x0fff;
/// A millisecond's first counter is drawn below this, so that most of the range is left to count in.
const COUNTER_START_MAX: u16 = 0x03ff;

/// Hands out the parts of UUIDv7s in rising order.
#[derive(Debug)]
pub(crate) struct IdSource {
    clock: Arc<dyn Clock>,
    last: Mutex<(u64, u16)>,
}

impl IdSource {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, last: Mutex::new((0, 0)) }
    }

    /// Unix milliseconds and ten random bytes, the first twelve payload bits of which count upwards.
    pub(crate) fn next(&self) -> (u64, [u8; 10]) {
        let mut random = [0; 10];
        self.clock.fill_random(&mut random);
        let [high, low, ..] = random;
        let drawn = u16::from_be_bytes([high, low]);
        let now = u64::try_from(unix_ms(self.clock.now())).unwrap_or(0);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = match *last {
            (ms, _) if now > ms => (now, drawn & COUNTER_START_MAX),
            (ms, COUNTER_MAX) => (ms + 1, drawn & COUNTER_START_MAX),
            (ms, counter) => (ms, counter + 1),
        };
        let (ms, counter) = *last;
        let [first, second, ..] = &mut random;
        [*first, *second] = counter.to_be_bytes();
        (ms, random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;
    use mecapy_model::TaskId;
    use std::time::Duration;
    use time::OffsetDateTime;

    #[test]
    fn ids_rise_within_a_millisecond_and_across_a_jump_back() {
        let clock = Arc::new(ManualClock::at(OffsetDateTime::UNIX_EPOCH + Duration::from_secs(1_000), 1));
        let ids = IdSource::new(clock.clone());
        let mut last = None;
        for round in 0..10_000_u32 {
            if round == 7_000 {
                clock.set(OffsetDateTime::UNIX_EPOCH);
            }
            let (ms, random) = ids.next();
            let id = TaskId::from_parts(ms, &random);
            assert!(Some(id) > last, "id {round} does not rise");
            assert_eq!(id.0.get_version_num(), 7);
            last = Some(id);
        }
    }
}
