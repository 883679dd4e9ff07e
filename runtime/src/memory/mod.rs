//! Memory slots of our own: linear memories that stay mapped between runs and are reset page by page.
//!
//! A [`MemoryImage`] is what a memory holds before a run: an interpreter's warmed-up memory, or nothing. It owns
//! its slots, so a slot's image is fixed for its life and slots of different images can't mix. Knows nothing of
//! what the bytes mean.
//!
//! Everything `unsafe` about linear memory is in this folder; the rules that make it sound:
//! - a slot is one address range, reserved whole (`reservation + guard`), inaccessible beyond its current size;
//! - it is handed to one store at a time and comes back when that store is dropped;
//! - coming back, each private page is overwritten from the image, or zeroed beyond it, or given back to the
//!   kernel; a reset that can't be proved complete unmaps the slot.

mod creator;
mod image;
mod pagemap;
mod slot;

pub(crate) use creator::SlotCreator;
pub use image::{ImageError, MemoryImage};

/// Granularity of protection and of the reset, bytes.
const PAGE_BYTES: usize = 4096;
/// Private pages that an idle slot keeps resident, so that its next run doesn't fault them in again.
const RESIDENT_PAGES_MAX: usize = 640;
/// Idle slots that an image keeps; further ones are unmapped.
const IDLE_SLOTS_MAX: usize = 64;

/// Whether this kernel can say which pages a run has changed; without it every reset drops all of them.
pub fn scans_pages() -> bool {
    pagemap::Pagemap::open().is_some()
}
