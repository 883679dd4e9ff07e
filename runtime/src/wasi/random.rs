//! Randomness that follows from the task's seed alone.

use super::{Errno, Get, functions};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use wasmtime::Linker;

/// Random bytes in one call.
pub const RANDOM_CALL_BYTES_MAX: u32 = 16 << 20;

pub(super) struct Random {
    seed: u64,
    /// Made at the first use: most guests never ask.
    generator: Option<Box<ChaCha20Rng>>,
    bytes_left: u64,
}

impl Random {
    pub(super) fn new(seed: u64, bytes_max: u64) -> Self {
        Self { seed, generator: None, bytes_left: bytes_max }
    }

    pub(super) fn was_drawn(&self) -> bool {
        self.generator.is_some()
    }

    /// Fills `out`, or answers `EIO`, which a guest's library reports like any failing source of randomness.
    pub(super) fn fill(&mut self, out: &mut [u8]) -> Result<(), Errno> {
        self.bytes_left = self.bytes_left.checked_sub(out.len() as u64).ok_or(Errno::Io)?;
        let seed = self.seed;
        self.generator.get_or_insert_with(|| Box::new(ChaCha20Rng::seed_from_u64(seed))).fill_bytes(out);
        Ok(())
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Random").field("bytes_left", &self.bytes_left).finish_non_exhaustive()
    }
}

pub(super) fn link<T: 'static>(linker: &mut Linker<T>, get: impl Get<T>) -> wasmtime::Result<()> {
    functions! { linker, get,
        random_get(at: u32, bytes: u32) => |ctx, guest| {
            if bytes > RANDOM_CALL_BYTES_MAX {
                return Err(Errno::Io.into());
            }
            Ok(ctx.random.fill(guest.bytes_mut(at, bytes)?)?)
        };
    }
    Ok(())
}
