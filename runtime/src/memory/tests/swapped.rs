//! A page that was swapped out is as dirty as one that is there. Needs a swap device, which `.ci/run` makes.

use super::*;
use std::{io::Write, os::unix::fs::FileExt};

/// Bit of an entry of `/proc/self/pagemap`.
const SWAPPED: u64 = 1 << 62;
const ATTEMPTS: u32 = 2_000;

#[test]
fn a_page_that_was_swapped_out_counts_as_dirty() {
    // The first line names the columns.
    if std::fs::read_to_string("/proc/swaps").unwrap_or_default().lines().count() < 2 {
        return not_checked("this machine has no swap device");
    }
    let image = image_with(Pagemap::open(), 2);
    let mut slot = image.take_slot(RESERVED_BYTES).unwrap();
    slot.grow_to(3 * WASM_PAGE_BYTES).unwrap();
    // One page over the image, and one beyond it.
    let pages = [3, 40];
    for page in pages {
        dirty(&mut slot, page, 1);
        assert!(swap_out(&slot, page), "there is swap, but this kernel swapped nothing out when asked: is it full?");
    }
    assert_eq!(private_pages(&slot), scans_pages().then_some(pages.len()));
    slot.reset(&image).unwrap();
    assert!(bytes(&slot) == image.contents());
    slot.grow_to(3 * WASM_PAGE_BYTES).unwrap();
    assert!(bytes(&slot)[image.bytes()..].iter().all(|byte| *byte == 0));
}

/// Past the test runner's capture: a test that checked nothing must not look like one that passed.
fn not_checked(why: &str) {
    let _ = writeln!(std::io::stderr(), "NOT CHECKED: a page that was swapped out counts as dirty ({why})");
}

/// Asks the kernel to swap a page out, until the page map says that it is.
fn swap_out(slot: &Slot, page: usize) -> bool {
    let pagemap = File::open("/proc/self/pagemap").unwrap();
    let address = slot.base() as usize + page * PAGE_BYTES;
    let mut entry = [0; 8];
    for _ in 0..ATTEMPTS {
        // SAFETY: advice for a page of our own slot; its contents stay.
        unsafe { libc::madvise(slot.base().add(page * PAGE_BYTES).cast(), PAGE_BYTES, libc::MADV_PAGEOUT) };
        pagemap.read_exact_at(&mut entry, (address / PAGE_BYTES * 8) as u64).unwrap();
        if u64::from_ne_bytes(entry) & SWAPPED != 0 {
            return true;
        }
        // The page may not have reached the kernel's list of pages yet.
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}
