//! Tests of the slots: a reset leaves nothing of a run behind, or the slot is not used again.

mod canary;
mod composed;
mod huge;
mod module;
mod swapped;

use super::{
    DISCARDED_REGIONS_MAX, IDLE_MAX, IDLE_SLOTS_KEPT, IDLE_SLOTS_MAX, MemoryImage, PAGE_BYTES, RESIDENT_PAGES_MAX,
    SlotCreator,
    pagemap::{Pagemap, Scan},
    scans_pages,
    slot::Slot,
};
use std::{
    fs::File,
    os::fd::AsRawFd,
    sync::Arc,
    time::{Duration, Instant},
};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

const WASM_PAGE_BYTES: usize = 65_536;
/// Address space of a test's slot, bytes.
const RESERVED_BYTES: usize = 1 << 24;
const CANARY: u8 = 0xA7;

/// Contents that differ from page to page and with `seed`, without zeroes or canaries.
fn contents(seed: usize, wasm_pages: usize) -> Vec<u8> {
    (0..wasm_pages * WASM_PAGE_BYTES).map(|at| 1 + ((seed * 31 + at / PAGE_BYTES + at) % 100) as u8).collect()
}

fn image(seed: usize, wasm_pages: usize) -> Arc<MemoryImage> {
    MemoryImage::from_bytes(&contents(seed, wasm_pages)).unwrap()
}

/// An image whose slots are reset through this page map.
fn image_with(pagemap: Option<Pagemap>, wasm_pages: usize) -> Arc<MemoryImage> {
    let mut image = Arc::into_inner(image(1, wasm_pages)).unwrap();
    image.pagemap = pagemap;
    Arc::new(image)
}

fn idle_slots(image: &MemoryImage) -> usize {
    image.idle.lock().unwrap().len()
}

fn bytes(slot: &Slot) -> &[u8] {
    // SAFETY: so many bytes are readable, and nobody writes to them while the slot is borrowed.
    unsafe { std::slice::from_raw_parts(slot.base(), slot.accessible_bytes()) }
}

fn bytes_mut(slot: &mut Slot) -> &mut [u8] {
    // SAFETY: so many bytes are writable, and the slot is borrowed exclusively.
    unsafe { std::slice::from_raw_parts_mut(slot.base(), slot.accessible_bytes()) }
}

/// Writes canaries over a page and `pages - 1` more.
fn dirty(slot: &mut Slot, page: usize, pages: usize) {
    bytes_mut(slot)[page * PAGE_BYTES..(page + pages) * PAGE_BYTES].fill(CANARY);
}

/// Whether a byte of the reservation can be read: the kernel is asked, which answers where a load would fault.
fn is_readable(slot: &Slot, offset: usize) -> bool {
    let (_reader, writer) = std::io::pipe().unwrap();
    // SAFETY: the kernel checks the address, and reads one byte where it may.
    unsafe { libc::write(writer.as_raw_fd(), slot.base().add(offset).cast::<libc::c_void>(), 1) == 1 }
}

/// Pages of the slot that are its own, where this kernel can say.
fn private_pages(slot: &Slot) -> Option<usize> {
    let (base, mut pages) = (slot.base() as usize, 0);
    let count = |from: usize, to: usize| {
        pages += (to - from) / PAGE_BYTES;
        Ok(Scan::GoOn)
    };
    Pagemap::open()?.scan_private(base, base + slot.accessible_bytes(), count).unwrap();
    Some(pages)
}

/// A memory as the engine gets it, from an image's slot or a plain one.
fn memory(creator: &SlotCreator, image: Option<&Arc<MemoryImage>>) -> Box<dyn LinearMemory> {
    let make = || {
        creator.new_memory(MemoryType::new(1, None), WASM_PAGE_BYTES, None, Some(RESERVED_BYTES), PAGE_BYTES).unwrap()
    };
    match image {
        Some(image) => SlotCreator::with_image(image, WASM_PAGE_BYTES, make),
        None => make(),
    }
}

fn memory_bytes(memory: &mut dyn LinearMemory) -> &mut [u8] {
    // SAFETY: so many bytes are accessible, and the memory is borrowed exclusively.
    unsafe { std::slice::from_raw_parts_mut(memory.as_ptr(), memory.byte_size()) }
}

#[test]
fn an_image_is_whole_wasm_pages() {
    for bytes in [0, 1, PAGE_BYTES, WASM_PAGE_BYTES + 1] {
        assert!(MemoryImage::from_bytes(&vec![0; bytes]).is_err(), "{bytes}");
    }
    assert!(MemoryImage::read_from(&[0_u8; 9][..], WASM_PAGE_BYTES as u64).is_err());
    assert!(MemoryImage::read_from(std::io::empty(), 4 << 30).is_err());
    assert!(image(3, 2).contents() == contents(3, 2));
}

#[test]
fn slots_of_two_images_never_mix() {
    let creator = SlotCreator::default();
    let images = [image(1, 2), image(2, 2)];
    assert!(images[0].contents() != images[1].contents());
    for round in 0..40 {
        // Both live at once, then one after the other in both orders: each slot goes back to where it is from.
        let mut live: Vec<_> = images.iter().map(|image| memory(&creator, Some(image))).collect();
        let mut plain = memory(&creator, None);
        for (memory, image) in live.iter_mut().zip(&images) {
            assert!(memory_bytes(&mut **memory) == image.contents(), "round {round}");
            memory_bytes(&mut **memory).fill(CANARY);
        }
        assert!(memory_bytes(&mut *plain).iter().all(|byte| *byte == 0));
        memory_bytes(&mut *plain).fill(CANARY);
        if round % 2 == 0 {
            live.reverse();
        }
        drop((plain, live));
        assert_eq!(images.each_ref().map(|image| idle_slots(image)), [1, 1]);
    }
}

#[test]
fn what_lies_beyond_the_image_is_gone_after_a_reset() {
    for pagemap in [Pagemap::open(), None] {
        let image = image_with(pagemap, 2);
        let mut slot = image.take_slot(RESERVED_BYTES).unwrap();
        for grown in [3 * WASM_PAGE_BYTES, 5 * WASM_PAGE_BYTES, 2 * WASM_PAGE_BYTES + PAGE_BYTES] {
            assert!(!is_readable(&slot, image.bytes()));
            slot.grow_to(grown).unwrap();
            assert!(bytes(&slot)[..image.bytes()] == *image.contents());
            assert!(bytes(&slot)[image.bytes()..].iter().all(|byte| *byte == 0), "growth reads as zero");
            assert!(is_readable(&slot, grown - 1) && !is_readable(&slot, grown));
            bytes_mut(&mut slot).fill(CANARY);
            slot.reset(&image).unwrap();
            assert!(bytes(&slot) == image.contents());
            assert!(is_readable(&slot, image.bytes() - 1));
            for offset in [image.bytes(), grown - 1, RESERVED_BYTES - 1] {
                assert!(!is_readable(&slot, offset), "{offset} after a reset");
            }
        }
    }
}

#[test]
fn a_slot_never_grows_beyond_its_reservation() {
    let mut slot = image(1, 1).take_slot(4 * WASM_PAGE_BYTES).unwrap();
    assert!(slot.grow_to(4 * WASM_PAGE_BYTES).is_ok());
    assert!(slot.grow_to(4 * WASM_PAGE_BYTES + PAGE_BYTES).is_err());
    assert!(slot.grow_to(WASM_PAGE_BYTES + 1).is_err());
    let mut memory = memory(&SlotCreator::default(), None);
    assert!(memory.grow_to(RESERVED_BYTES).is_ok());
    assert!(memory.grow_to(RESERVED_BYTES + PAGE_BYTES).is_err());
}

#[test]
fn a_scan_that_fails_throws_the_slot_away() {
    let creator = SlotCreator::default();
    let broken = Pagemap { file: File::open("/dev/null").unwrap() };
    let image = image_with(Some(broken), 2);
    assert!(image.take_slot(RESERVED_BYTES).unwrap().reset(&image).is_err());
    for _ in 0..3 {
        let mut memory = memory(&creator, Some(&image));
        assert!(memory_bytes(&mut *memory) == image.contents());
        memory_bytes(&mut *memory).fill(CANARY);
        drop(memory);
        assert_eq!(idle_slots(&image), 0);
    }
    // With one that works the slot comes back.
    let image = image_with(Pagemap::open(), 2);
    drop(memory(&creator, Some(&image)));
    assert_eq!(idle_slots(&image), 1);
}

#[test]
fn without_a_scan_all_private_pages_are_dropped() {
    let image = image_with(None, 2);
    let mut slot = image.take_slot(RESERVED_BYTES).unwrap();
    slot.grow_to(3 * WASM_PAGE_BYTES).unwrap();
    for page in [0, 7, 31, 32, 47] {
        dirty(&mut slot, page, 1);
    }
    assert_eq!(private_pages(&slot), scans_pages().then_some(5));
    slot.reset(&image).unwrap();
    assert_eq!(private_pages(&slot), scans_pages().then_some(0));
    assert!(bytes(&slot) == image.contents());
}

#[test]
fn restored_pages_stay_resident_and_large_regions_do_not() {
    let image = image_with(Pagemap::open(), 64);
    // The regions that a run dirties, as first page and pages, and the pages that stay.
    let single_pages = |count: usize| (0..count).map(|page| (2 * page, 1)).collect::<Vec<_>>();
    let many = RESIDENT_PAGES_MAX / 2 + DISCARDED_REGIONS_MAX;
    let rows = [
        ("a few pages", vec![(0, 1), (9, 2), (1_023, 1)], 4),
        ("as many as may stay", vec![(3, RESIDENT_PAGES_MAX)], RESIDENT_PAGES_MAX),
        ("one more", vec![(3, RESIDENT_PAGES_MAX + 1)], 0),
        ("a large region leaves the room to others", vec![(5, 768), (800, 1), (900, 3)], 4),
        ("and to smaller ones after it", vec![(0, 600), (700, 41), (800, 40)], RESIDENT_PAGES_MAX),
        ("every second page", single_pages(500), 500),
        // 320 in one, then single pages: 320 of those stay, 256 go one by one, and the others all at once.
        (
            "more regions than are discarded one by one",
            [vec![(0, RESIDENT_PAGES_MAX / 2)], (0..many + 90).map(|page| (322 + 2 * page, 1)).collect()].concat(),
            RESIDENT_PAGES_MAX,
        ),
    ];
    for (what, regions, kept) in rows {
        let mut slot = image.take_slot(RESERVED_BYTES).unwrap();
        // The last row goes beyond the image.
        slot.grow_to(image.bytes() + 40 * WASM_PAGE_BYTES).unwrap();
        for (page, pages) in &regions {
            dirty(&mut slot, *page, *pages);
        }
        let dirtied: usize = regions.iter().map(|(_, pages)| pages).sum();
        assert_eq!(private_pages(&slot), scans_pages().then_some(dirtied), "{what}");
        let grown = slot.accessible_bytes();
        slot.reset(&image).unwrap();
        assert!(bytes(&slot) == image.contents(), "{what}");
        slot.grow_to(grown).unwrap();
        assert_eq!(private_pages(&slot), scans_pages().then_some(kept), "{what}");
        assert!(bytes(&slot)[image.bytes()..].iter().all(|byte| *byte == 0), "{what}");
    }
}

#[test]
fn runs_of_falling_sizes_leave_no_more_resident_than_one() {
    let image = image_with(Pagemap::open(), 2);
    let mut slot = image.take_slot(RESERVED_BYTES).unwrap();
    let wasm_page = WASM_PAGE_BYTES / PAGE_BYTES;
    for wasm_pages in [120, 80, 40] {
        slot.grow_to(wasm_pages * WASM_PAGE_BYTES).unwrap();
        // Nearly as much as may stay, at the top.
        dirty(&mut slot, wasm_pages * wasm_page - 600, 600);
        slot.reset(&image).unwrap();
    }
    slot.grow_to(120 * WASM_PAGE_BYTES).unwrap();
    assert_eq!(private_pages(&slot), scans_pages().then_some(600));
    assert!(bytes(&slot)[image.bytes()..].iter().all(|byte| *byte == 0));
}

#[test]
fn idle_slots_are_bounded_and_go_when_not_needed() {
    let image = image(1, 1);
    let now = Instant::now();
    let slots: Vec<_> = (0..=IDLE_SLOTS_MAX).map(|_| image.take_slot(4 * PAGE_BYTES).unwrap()).collect();
    for slot in slots {
        image.give_back(slot, now);
    }
    assert_eq!(idle_slots(&image), IDLE_SLOTS_MAX);
    let run_at = |now| image.give_back(image.take_slot(4 * PAGE_BYTES).unwrap(), now);
    (0..2 * IDLE_SLOTS_MAX).for_each(|_| run_at(now + IDLE_MAX));
    assert_eq!(idle_slots(&image), IDLE_SLOTS_MAX);
    (0..2 * IDLE_SLOTS_MAX).for_each(|_| run_at(now + IDLE_MAX + Duration::from_secs(1)));
    assert_eq!(idle_slots(&image), IDLE_SLOTS_KEPT);
}
