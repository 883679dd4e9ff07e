//! Random operations on a small tree: its charge never drifts from what it holds.

use super::*;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

/// What is charged is what is there, after any sequence of operations, and all of it comes back.
#[test]
fn the_charge_is_the_sum_of_what_is_there() {
    let mut random = ChaCha20Rng::seed_from_u64(1);
    let mut pick = move |count: u32| random.next_u32() % count;
    let mut tree = tree_with(TreeLimits { bytes_max: 300, inodes_max: 25, depth_max: 5, ..TreeLimits::default() });
    let before = (tree.bytes_used(), tree.inodes_used());
    let mut held = Vec::new();
    let mut succeeded = 0;
    for _ in 0..100_000 {
        let mut path = || format!("tmp{}", (0..=pick(3)).map(|_| format!("/{}", pick(4))).collect::<String>());
        let (one, two) = (path(), path());
        let (one, two) = (root(&one), root(&two));
        let size = u64::from(pick(100));
        let done = match pick(10) {
            0 => tree.create_directory(one, NOW),
            1 => tree.remove_directory(one, NOW),
            2 | 3 => tree.unlink(one, NOW),
            4 => tree.rename(one, two, NOW),
            5 => tree.link(one, Last::Keep, two, NOW),
            6 => tree.create_symlink("../1", one, NOW),
            7 if held.len() < 5 => tree.open(one, options(Create::IfMissing), NOW).map(|id| held.push(id)),
            7 | 8 => held.pop().map_or(Ok(()), |id| tree.release(id)),
            _ => tree.resolve(one, Last::Follow).and_then(|id| tree.set_size(id, size, NOW)),
        };
        succeeded += u32::from(done.is_ok());
        let there = || tree.nodes.iter().flatten();
        assert_eq!(tree.bytes_used, there().map(Node::charged_bytes).sum::<u64>());
        assert_eq!(tree.inodes_used, there().map(|node| node.links.max(1)).sum::<u32>());
        assert!(tree.bytes_used <= 300 && tree.inodes_used <= 25);
    }
    assert!(succeeded > 10_000, "{succeeded} operations did anything");
    for id in held {
        tree.release(id).unwrap();
    }
    while tree.inodes_used() > before.1 {
        let directory = deepest(&tree, "tmp".to_owned());
        let names: Vec<String> =
            tree.directory(tree.locate(&directory).unwrap()).unwrap().iter().map(|(name, _)| name.to_owned()).collect();
        for name in names {
            tree.unlink(root(&format!("{directory}/{name}")), NOW).unwrap();
        }
        if directory != "tmp" {
            tree.remove_directory(root(&directory), NOW).unwrap();
        }
    }
    assert_eq!((tree.bytes_used(), tree.inodes_used()), before);
}

/// A directory that holds no other.
fn deepest(tree: &Tree, path: String) -> String {
    let directory = tree.directory(tree.locate(&path).unwrap()).unwrap();
    match directory.iter().find(|(_, id)| tree.kind(*id) == Ok(Kind::Directory)) {
        Some((name, _)) => deepest(tree, format!("{path}/{name}")),
        None => path,
    }
}
