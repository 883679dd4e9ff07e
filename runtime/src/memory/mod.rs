//! Memory slots of our own: linear memories that stay mapped between runs and are reset page by page.
//!
//! A [`MemoryImage`] is what a memory holds before a run: an interpreter's warmed-up memory, or nothing. It owns
//! its slots, so a slot's image is fixed for its life and slots of different images can't mix. An image may be another
//! one with a [`Delta`] put over it: the two share the file of what didn't change. Knows nothing of what the bytes mean.
//!
//! Everything `unsafe` about linear memory is in this folder; the rules that make it sound:
//! - a slot is one address range, reserved whole (`reservation + guard`), inaccessible beyond its current size;
//! - it is handed to one store at a time and comes back when that store is dropped;
//! - coming back, each private page is overwritten from the image, or zeroed beyond it, or given back to the
//!   kernel; a reset that can't be proved complete unmaps the slot;
//! - a slot whose image had to be copied in, because the process has no mappings left, is unmapped after one run.

mod contents;
mod creator;
mod delta;
mod image;
mod pagemap;
mod slot;

pub(crate) use creator::SlotCreator;
pub use delta::{DELTA_BYTES_MAX, Delta, DeltaError, GROWTH_BYTES_MAX};
pub use image::{ImageError, MemoryImage};

use std::time::Duration;

/// Granularity of protection and of the reset, bytes.
const PAGE_BYTES: usize = 4096;
/// A run whose memory grows by so much at once works on large arrays: from there on its memory may have huge pages, which
/// are mapped by fewer faults and found by fewer steps.
const HUGE_GROWTH_BYTES: usize = 4 << 20;
/// Private pages that an idle slot keeps resident, so that its next run doesn't fault them in again.
const RESIDENT_PAGES_MAX: usize = 640;
/// Regions that one reset gives back one by one, a system call each; beyond them everything that follows goes in one
/// call, clean pages too: a guest that dirties every second page must not buy a call for each.
const DISCARDED_REGIONS_MAX: usize = 256;
/// Idle slots that an image keeps; further ones are unmapped.
///
/// An image has no more slots than it had sandboxes at once, so a cap below that would unmap and map a slot per run. 24 preview threads and 3 others per core make 864 on 32 cores.
///
/// What an idle slot holds: at most 2.5 MiB of private pages (`RESIDENT_PAGES_MAX`), and 0.2 MiB of page tables for an
/// image of 80 MiB. While it was in use the memory budget was charged with all of its 80 MiB: so an image's idle slots
/// hold about a thirtieth of what its sandboxes once used together, 2.7 GiB at this cap, where they used 80 GiB. Slots
/// beyond `IDLE_SLOTS_KEPT` go while the image is used less than it was. Images are the few of the recipe and one of
/// zeroes, and each has its own peak: together they hold at most the sum. Address space: 4 GiB each, 4 TiB of
/// 128 TiB; mappings: 4 each at most, of the 65 530 that a Linux process has.
const IDLE_SLOTS_MAX: usize = 1_024;
/// Idle slots that an image keeps however long they are not needed.
const IDLE_SLOTS_KEPT: usize = 64;
/// How long a slot beyond `IDLE_SLOTS_KEPT` stays idle before it is unmapped.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Idle slots that an image put together from several files keeps, each of some 60 mappings: as many as one function's
/// calls that run at once on a few cores.
const COMPOSED_IDLE_SLOTS_MAX: usize = 8;
const COMPOSED_IDLE_SLOTS_KEPT: usize = 2;

/// How many slots an image keeps for runs to come.
#[derive(Debug, Clone, Copy)]
struct IdleSlots {
    max: usize,
    /// However long they are not needed.
    kept: usize,
}

impl IdleSlots {
    const PLAIN: Self = Self { max: IDLE_SLOTS_MAX, kept: IDLE_SLOTS_KEPT };
    const COMPOSED: Self = Self { max: COMPOSED_IDLE_SLOTS_MAX, kept: COMPOSED_IDLE_SLOTS_KEPT };
}

/// Whether this kernel can say which pages a run has changed; without it every reset drops all of them.
pub fn scans_pages() -> bool {
    pagemap::Pagemap::open().is_some()
}

#[cfg(test)]
mod tests;
