//! Images put together from a base and what a memory changed of it: each slot holds both, and goes back to both.

use super::*;
use crate::memory::{
    DELTA_BYTES_MAX, Delta, DeltaError, GROWTH_BYTES_MAX, ImageError, contents::MappingBudget, delta::RUNS_MAX,
};
use std::collections::BTreeSet;

const BASE_WASM_PAGES: usize = 16;
const BASE_PAGES: usize = BASE_WASM_PAGES * WASM_PAGE_BYTES / PAGE_BYTES;

/// A memory that began as `base`, has grown by so many WebAssembly pages, and has written to these pages.
pub(super) fn memory_after(base: &[u8], grown_wasm_pages: usize, pages: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let mut memory = base.to_vec();
    memory.resize(base.len() + grown_wasm_pages * WASM_PAGE_BYTES, 0);
    for page in pages {
        let at = page * PAGE_BYTES;
        memory[at..at + PAGE_BYTES]
            .iter_mut()
            .enumerate()
            .for_each(|(index, byte)| *byte = 101 + ((page + index) % 60) as u8);
    }
    memory
}

pub(super) fn composed(base: &MemoryImage, memory: &[u8]) -> Arc<MemoryImage> {
    MemoryImage::with_delta(base, &Delta::between(base.contents(), memory).unwrap()).unwrap()
}

/// What a slot and the view hold, before a run and after one that wrote everywhere, beyond the image too.
fn check(image: &MemoryImage, memory: &[u8], what: &str) {
    assert!(image.bytes() == memory.len() && image.contents() == memory, "{what}: the view");
    let mut slot = Slot::map(image, RESERVED_BYTES).unwrap();
    assert!(bytes(&slot) == memory, "{what}: a new slot");
    assert!(!is_readable(&slot, memory.len()), "{what}: beyond a new slot");
    assert_eq!(private_pages(&slot), scans_pages().then_some(0), "{what}");
    let last = memory.len() / PAGE_BYTES - 1;
    // A few pages, which stay resident; every page, which are given back; and a few again.
    let few: Vec<usize> = (0..=last).step_by(7).chain([last]).collect();
    for pages in [few.clone(), (0..=last).collect(), few] {
        slot.grow_to(memory.len() + 2 * PAGE_BYTES).unwrap();
        assert!(bytes(&slot)[memory.len()..].iter().all(|byte| *byte == 0), "{what}: growth");
        pages.iter().for_each(|page| dirty(&mut slot, *page, 1));
        dirty(&mut slot, last + 1, 2);
        slot.reset(image).unwrap();
        assert!(bytes(&slot) == memory, "{what}: after a reset");
        assert!(!is_readable(&slot, memory.len()), "{what}: beyond it after a reset");
    }
}

#[test]
fn a_composed_image_is_its_base_with_what_changed() {
    let base = image(1, BASE_WASM_PAGES);
    let far = BASE_PAGES + 16 * 5 - 1;
    let rows: [(&str, usize, Vec<usize>); 8] = [
        ("nothing", 0, vec![]),
        ("one page", 0, vec![17]),
        ("the first and the last", 0, vec![0, BASE_PAGES - 1]),
        ("grown and left zero", 3, vec![]),
        ("beyond the base's end alone", 5, vec![BASE_PAGES + 2, far]),
        ("across the base's end", 5, (BASE_PAGES - 3..BASE_PAGES + 3).collect()),
        ("on both sides, with gaps", 5, vec![0, 1, 40, 41, 100, BASE_PAGES - 1, BASE_PAGES + 40, far]),
        ("everything", 2, (0..BASE_PAGES + 32).collect()),
    ];
    for (what, grown, pages) in rows {
        let memory = memory_after(base.contents(), grown, pages.iter().copied());
        let delta = Delta::between(base.contents(), &memory).unwrap();
        assert_eq!(delta.changed_bytes(), pages.len() * PAGE_BYTES, "{what}");
        let composed = MemoryImage::with_delta(&base, &delta).unwrap();
        assert!(composed.own_bytes() >= delta.changed_bytes() && composed.own_bytes() <= memory.len(), "{what}");
        check(&composed, &memory, what);
        let mut without_scan = Arc::into_inner(composed).unwrap();
        without_scan.pagemap = None;
        check(&without_scan, &memory, &format!("{what}, without a scan"));
    }
    assert!(base.contents() == contents(1, BASE_WASM_PAGES));
}

#[test]
fn the_bases_file_outlives_the_base() {
    let base = image(1, 2);
    let memory = memory_after(base.contents(), 1, [3, 33]);
    let composed = composed(&base, &memory);
    assert_eq!(Arc::strong_count(&base), 1, "the base's slots are its own");
    drop(base);
    check(&composed, &memory, "without its base");
}

#[test]
fn scattered_pages_make_few_runs_parted_by_the_largest_gaps() {
    let wasm_pages = 200;
    let base = image(1, wasm_pages);
    let last = wasm_pages * WASM_PAGE_BYTES / PAGE_BYTES - 1;
    // Gaps that grow: 0, 1, 2, … pages.
    let growing: Vec<usize> = (0..)
        .scan(0, |at, gap| {
            *at += gap + 1;
            Some(*at)
        })
        .take_while(|page| *page <= last)
        .collect();
    let rows = [
        ("every second page", (0..=last).step_by(2).collect::<Vec<_>>(), 1),
        ("every 40th page", (0..=last).step_by(40).collect(), RUNS_MAX),
        ("gaps that grow", growing, RUNS_MAX),
        ("few and far", vec![0, 500, 1_000, last], 4),
        ("near each other", vec![0, 10, 20, 30], 1),
    ];
    for (what, pages, runs_expected) in rows {
        let memory = memory_after(base.contents(), 0, pages.iter().copied());
        let delta = Delta::between(base.contents(), &memory).unwrap();
        let runs = delta.runs();
        assert_eq!(runs.len(), runs_expected, "{what}");
        assert!(runs.windows(2).all(|pair| pair[0].end < pair[1].start), "{what}: in order and apart");
        let covered: BTreeSet<usize> = runs.iter().cloned().flatten().map(|page| page as usize).collect();
        assert!(pages.iter().all(|page| covered.contains(page)), "{what}");
        let kept: Vec<u32> = runs.windows(2).map(|pair| pair[1].start - pair[0].end).collect();
        let least = kept.iter().min().copied().unwrap_or(u32::MAX);
        let filled = runs.iter().flat_map(|run| {
            let inside: Vec<usize> = pages.iter().copied().filter(|page| run.contains(&(*page as u32))).collect();
            inside.windows(2).map(|pair| (pair[1] - pair[0] - 1) as u32).collect::<Vec<_>>()
        });
        assert!(filled.max().unwrap_or(0) <= least.max(15), "{what}: a larger gap was filled");
        check(&composed(&base, &memory), &memory, what);
    }
}

#[test]
fn what_is_too_much_is_refused_and_counted() {
    let base = vec![1; 2 * WASM_PAGE_BYTES];
    let most = DELTA_BYTES_MAX / PAGE_BYTES;
    let rows = [
        (most, None),
        (most + 1, Some(DELTA_BYTES_MAX + PAGE_BYTES)),
        (most + 999, Some(DELTA_BYTES_MAX + 999 * PAGE_BYTES)),
    ];
    for (pages, refused) in rows {
        let memory = memory_after(&base, 600, 0..pages);
        let expected = refused.map(|bytes| DeltaError::TooLarge { bytes, bytes_max: DELTA_BYTES_MAX });
        assert_eq!(Delta::between(&base, &memory).err(), expected, "{pages} pages");
    }
    let grown = vec![0; WASM_PAGE_BYTES + GROWTH_BYTES_MAX + WASM_PAGE_BYTES];
    let refused = DeltaError::Grown { bytes: GROWTH_BYTES_MAX + WASM_PAGE_BYTES, bytes_max: GROWTH_BYTES_MAX };
    assert_eq!(Delta::between(&[0; WASM_PAGE_BYTES], &grown).err(), Some(refused));
    for (base, memory) in [(PAGE_BYTES, 0), (PAGE_BYTES, PAGE_BYTES + 1), (1, PAGE_BYTES)] {
        let refused = Delta::between(&vec![0; base], &vec![0; memory]);
        assert!(matches!(refused, Err(DeltaError::OtherBase { .. })), "{base} {memory}");
    }
}

#[test]
fn a_delta_goes_over_its_own_base_alone() {
    let base = image(1, 4);
    let memory = memory_after(base.contents(), 0, [3]);
    let delta = Delta::between(base.contents(), &memory).unwrap();
    let composed = MemoryImage::with_delta(&base, &delta).unwrap();
    for other in [image(1, 3), composed, Arc::new(MemoryImage::empty())] {
        assert!(matches!(MemoryImage::with_delta(&other, &delta), Err(ImageError::Base { .. })));
    }
}

#[test]
fn two_images_over_one_base_never_mix() {
    let base = image(1, 4);
    let memories = [memory_after(base.contents(), 1, [3, 50, 64]), memory_after(base.contents(), 2, [3, 20, 70])];
    let images = memories.each_ref().map(|memory| composed(&base, memory));
    for round in 0..40 {
        let mut slots: Vec<_> = images.iter().map(|image| image.take_slot(RESERVED_BYTES).unwrap()).collect();
        let mut plain = base.take_slot(RESERVED_BYTES).unwrap();
        for (slot, memory) in slots.iter_mut().zip(&memories) {
            assert!(bytes(slot) == memory, "round {round}");
            bytes_mut(slot).fill(CANARY);
        }
        assert!(bytes(&plain) == base.contents(), "round {round}: the base");
        bytes_mut(&mut plain).fill(CANARY);
        for (image, slot) in images.iter().chain([&base]).zip(slots.into_iter().chain([plain])) {
            let mut slot = slot;
            slot.reset(image).unwrap();
            image.give_back(slot, Instant::now());
        }
        assert!(images.iter().zip(&memories).all(|(image, memory)| image.contents() == memory), "round {round}");
    }
}

#[test]
fn composed_images_keep_fewer_idle_slots() {
    let base = image(1, 1);
    let composed = composed(&base, &memory_after(base.contents(), 0, [1]));
    let slots: Vec<_> = (0..20).map(|_| composed.take_slot(RESERVED_BYTES).unwrap()).collect();
    slots.into_iter().for_each(|slot| composed.give_back(slot, Instant::now()));
    assert_eq!(idle_slots(&composed), crate::memory::COMPOSED_IDLE_SLOTS_MAX);
}

#[test]
fn without_mappings_left_an_image_is_copied_for_one_run_or_not_made() {
    let base = image(1, 16);
    let memory = memory_after(base.contents(), 2, [3, 100, 200, 270]);
    let delta = Delta::between(base.contents(), &memory).unwrap();
    assert_eq!(delta.runs().len(), 4);
    // Four further pieces, each of which cuts another: 8 for the view and 8 for each slot.
    let budget: &'static MappingBudget = Box::leak(Box::new(MappingBudget::new(20)));
    let composed = MemoryImage::with_delta_within(budget, &base, &delta).unwrap();
    let mapped = composed.take_slot(RESERVED_BYTES).unwrap();
    assert_eq!(budget.used(), 16);
    let mut copied = composed.take_slot(RESERVED_BYTES).unwrap();
    assert!(bytes(&mapped) == memory && bytes(&copied) == memory);
    assert_eq!((mapped.can_be_reset(), copied.can_be_reset()), (true, false));
    dirty(&mut copied, 3, 1);
    assert!(copied.reset(&composed).is_err());
    drop(copied);
    drop(mapped);
    assert_eq!(budget.used(), 8);
    assert!(composed.take_slot(RESERVED_BYTES).unwrap().can_be_reset());
    let second = MemoryImage::with_delta_within(budget, &base, &delta).unwrap();
    assert!(matches!(MemoryImage::with_delta_within(budget, &base, &delta), Err(ImageError::Mappings)));
    drop((composed, second));
    assert_eq!(budget.used(), 0);
}
