//! Time and randomness as parameters. Knows no row and no file.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use time::OffsetDateTime;

/// Where times and random bytes come from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The wall clock, UTC. It may jump, also backwards.
    fn now(&self) -> OffsetDateTime;
    /// Time since some fixed point in this process; never runs backwards.
    fn monotonic(&self) -> Duration;
    /// Fills `bytes` with random bytes fit for secrets.
    fn fill_random(&self, bytes: &mut [u8]);
    /// Whether this clock rules even where a database server has one that all its clients share.
    fn rules(&self) -> bool {
        false
    }
}

/// The operating system had no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct RandomError(#[source] getrandom::Error);

/// The real clock, and a ChaCha20 generator that the operating system seeded once.
pub struct SystemClock {
    started: Instant,
    random: Mutex<ChaCha20Rng>,
}

impl std::fmt::Debug for SystemClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SystemClock")
    }
}

impl SystemClock {
    /// Asks the operating system for a seed; that is the only step that can fail.
    pub fn new() -> Result<Self, RandomError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(RandomError)?;
        Ok(Self { started: Instant::now(), random: Mutex::new(ChaCha20Rng::from_seed(seed)) })
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is handed")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }
}

/// A clock that stands still until it is told to move, with repeatable randomness: for tests.
#[derive(Debug)]
pub struct ManualClock {
    hands: Mutex<Hands>,
}

#[derive(Debug)]
struct Hands {
    now: OffsetDateTime,
    monotonic: Duration,
    random: ChaCha20Rng,
}

impl ManualClock {
    pub fn at(now: OffsetDateTime, seed: u64) -> Self {
        let hands = Hands { now, monotonic: Duration::ZERO, random: ChaCha20Rng::seed_from_u64(seed) };
        Self { hands: Mutex::new(hands) }
    }

    /// Moves the wall and the monotonic clock on.
    pub fn advance(&self, by: Duration) {
        let mut hands = self.hands();
        hands.now += by;
        hands.monotonic += by;
    }

    /// Lets the wall clock jump; the monotonic clock doesn't notice.
    pub fn set(&self, now: OffsetDateTime) {
        self.hands().now = now;
    }

    fn hands(&self) -> std::sync::MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> OffsetDateTime {
        self.hands().now
    }

    fn monotonic(&self) -> Duration {
        self.hands().monotonic
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.hands().random.fill_bytes(bytes);
    }

    fn rules(&self) -> bool {
        true
    }
}

/// Unix milliseconds of a time; what lies outside 64 bits is clamped.
pub(crate) fn unix_ms(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).unwrap_or(i64::MAX)
}

/// The time of some Unix milliseconds; the epoch where they are out of range.
pub(crate) fn from_unix_ms(ms: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A duration in whole milliseconds, rounded down.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
