//! Huge pages: for runs whose memory grows by much at once, and gone with them.

use super::*;
use crate::memory::HUGE_GROWTH_BYTES;

/// The mappings of the slot's range, each with what the kernel says of it.
fn mappings(slot: &Slot) -> Vec<String> {
    let (base, end) = (slot.base() as usize, slot.base() as usize + slot.reserved_bytes());
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let start = |line: &str| usize::from_str_radix(line.split_once('-')?.0, 16).ok();
    let mut found: Vec<(usize, String)> = Vec::new();
    for line in smaps.lines() {
        match (start(line), found.last_mut()) {
            (Some(at), _) => found.push((at, String::new())),
            (None, Some((_, flags))) if line.starts_with("VmFlags:") => flags.push_str(line),
            _ => {}
        }
    }
    found.into_iter().filter(|(at, _)| (base..end).contains(at)).map(|(_, flags)| flags).collect()
}

fn is_huge(mapping: &str) -> bool {
    mapping.split_whitespace().any(|flag| flag == "hg")
}

#[test]
fn a_large_growth_gets_huge_pages_and_a_reset_takes_them_back() {
    let image = image(1, 2);
    let mut slot = Slot::map(&image, 4 * HUGE_GROWTH_BYTES).unwrap();
    slot.grow_to(image.bytes() + WASM_PAGE_BYTES).unwrap();
    assert!(!mappings(&slot).iter().any(|mapping| is_huge(mapping)), "a small growth has none");
    slot.grow_to(image.bytes() + WASM_PAGE_BYTES + HUGE_GROWTH_BYTES).unwrap();
    let has_huge_pages = std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists();
    assert_eq!(mappings(&slot).iter().any(|mapping| is_huge(mapping)), has_huge_pages);
    bytes_mut(&mut slot).fill(CANARY);
    slot.reset(&image).unwrap();
    assert!(bytes(&slot) == image.contents());
    assert!(!mappings(&slot).iter().any(|mapping| is_huge(mapping)));
    slot.grow_to(4 * HUGE_GROWTH_BYTES).unwrap();
    assert!(bytes(&slot)[image.bytes()..].iter().all(|byte| *byte == 0));
}

#[test]
fn growing_by_turns_takes_no_more_mappings() {
    let image = image(1, 2);
    let mut slot = Slot::map(&image, 16 * HUGE_GROWTH_BYTES).unwrap();
    let before = mappings(&slot).len();
    while slot.accessible_bytes() + HUGE_GROWTH_BYTES + WASM_PAGE_BYTES < slot.reserved_bytes() {
        slot.grow_to(slot.accessible_bytes() + HUGE_GROWTH_BYTES).unwrap();
        slot.grow_to(slot.accessible_bytes() + WASM_PAGE_BYTES).unwrap();
    }
    assert!(mappings(&slot).len() <= before + 1, "{:?}", mappings(&slot));
}

#[test]
fn many_runs_of_all_sizes_take_no_more_mappings() {
    let image = image(1, 2);
    let mut slot = Slot::map(&image, 16 * HUGE_GROWTH_BYTES).unwrap();
    let before = mappings(&slot).len();
    for round in 1..40 {
        slot.grow_to(image.bytes() + round % 7 * WASM_PAGE_BYTES).unwrap();
        slot.grow_to(slot.accessible_bytes() + (1 + round % 5) * HUGE_GROWTH_BYTES).unwrap();
        let end = slot.accessible_bytes() / PAGE_BYTES;
        dirty(&mut slot, end / 2, end / 2);
        slot.reset(&image).unwrap();
        // What was touched and what never was are two.
        assert!(mappings(&slot).len() <= before + 1, "round {round}: {:?}", mappings(&slot));
        assert!(bytes(&slot) == image.contents());
    }
}
