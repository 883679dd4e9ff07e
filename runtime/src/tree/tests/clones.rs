//! Clones of one template: what one of them does is seen by none of the others, and costs what it touches.

use super::*;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

/// As the tests look at a node's place.
impl std::ops::Index<usize> for Nodes {
    type Output = Option<Node>;

    fn index(&self, index: usize) -> &Option<Node> {
        self.place(index).unwrap()
    }
}

/// A tree as the loader of an image prepares it: a large library, places to write, and files there already.
fn prepared() -> Tree {
    let mut tree = tree_with(TreeLimits::default());
    for file in 0..200 {
        tree.add_file(&format!("/usr/share/fonts/{file}.ttf"), bytes("font")).unwrap();
    }
    write(&mut tree, "tmp/kept", "before");
    tree.create_directory(root("tmp/folder"), NOW).unwrap();
    write(&mut tree, "tmp/folder/inner", "inside");
    tree.create_symlink("kept", root("tmp/link"), NOW).unwrap();
    tree.unlink(root("tmp/link"), NOW).unwrap();
    tree
}

/// Everything that a guest can see: paths, listings' cookies, kinds, links, times and bytes.
fn seen(tree: &Tree) -> Vec<String> {
    let mut lines = vec![format!("{} bytes, {} inodes", tree.bytes_used(), tree.inodes_used())];
    let mut left = vec![(NodeId::ROOT, String::new())];
    while let Some((directory, path)) = left.pop() {
        for entry in tree.entries(directory, 0).unwrap() {
            let stat = tree.stat(entry.id).unwrap();
            let path = format!("{path}/{}", entry.name);
            let text = if entry.kind == Kind::File { read(tree, &path[1..]).unwrap() } else { String::new() };
            lines.push(format!("{path} {} {stat:?} {text:?}", entry.next));
            if entry.kind == Kind::Directory && !matches!(entry.name, "." | "..") {
                left.push((entry.id, path));
            }
        }
    }
    lines
}

#[test]
fn a_clone_looks_like_its_template() {
    let mut tree = prepared();
    let clone = tree.clone();
    assert_eq!(seen(&clone), seen(&tree));
    tree.set_all_times(9);
    assert_eq!(seen(&tree.clone().clone()), seen(&tree));
}

#[test]
fn further_files_share_the_template_and_are_shared_by_clones() {
    let tree = prepared().clone();
    let path = "/usr/local/lib/package/joint/thread.py";
    let more = tree.with_files([(path.into(), bytes("def main"))]).unwrap();
    assert_eq!(read(&more, &path[1..]).unwrap(), "def main");
    assert!(tree.locate(path).is_err());
    assert_eq!(more.locate("/usr/share/fonts/7.ttf"), tree.locate("/usr/share/fonts/7.ttf"));
    let clone = more.clone();
    assert_eq!(seen(&clone), seen(&more));
    assert_eq!(clone.nodes.shares_with(&more.nodes), (true, 0));
    let again = more.with_files([(path.into(), bytes("other"))]);
    assert_eq!(again.err(), Some(TreeError::Exists));
}

#[test]
fn what_a_clone_does_is_seen_by_no_other() {
    let template = prepared().clone();
    let before = seen(&template);
    let quiet = template.clone();
    let mut busy = template.clone();
    busy.add_file("/work/in/more.csv", bytes("3")).unwrap();
    write(&mut busy, "tmp/kept", "after!");
    write(&mut busy, "tmp/folder/new", "secret");
    busy.unlink(root("tmp/folder/inner"), NOW).unwrap();
    busy.rename(root("tmp/folder"), root("work/out/moved"), NOW).unwrap();
    busy.link(root("tmp/kept"), Last::Keep, root("tmp/second"), NOW).unwrap();
    let font = busy.locate("usr/share/fonts/7.ttf").unwrap();
    busy.hold(font).unwrap();
    busy.set_all_times(99);
    // Places that the clone freed are its own to fill again.
    write(&mut busy, "tmp/reused", "again");
    assert_eq!(seen(&template), before);
    assert_eq!(seen(&quiet), before);
    assert_eq!(seen(&template.clone()), before);
    assert_eq!(read(&busy, "tmp/second"), Ok("after!".to_owned()));
    assert_eq!(read(&busy, "work/out/moved/new"), Ok("secret".to_owned()));
    assert_eq!(read(&busy, "tmp/folder/inner"), Err(TreeError::NotFound));
    assert_eq!(busy.stat(font).unwrap().times, Times::at(99));
    // A clone of a changed tree has its changes, and goes its own way from there.
    let after = seen(&busy);
    let mut second = busy.clone();
    assert_eq!(seen(&second), after);
    write(&mut second, "tmp/reused", "other");
    second.release(font).unwrap();
    assert_eq!(seen(&busy), after);
}

#[test]
fn a_clone_of_a_template_costs_what_it_touches() {
    let template = prepared().clone();
    let mut run = template.clone();
    run.set_all_times(5);
    assert_eq!(run.nodes.shares_with(&template.nodes), (true, 0));
    let fonts = run.locate("usr/share/fonts").unwrap();
    assert_eq!(run.stat(fonts).unwrap().times, Times::at(5));
    // Held, as by listing it: the node is copied, its entries are shared.
    run.hold(fonts).unwrap();
    assert_eq!(run.stat(fonts).unwrap().times, Times::at(5));
    assert!(run.directory(fonts).unwrap().shares_with(template.directory(fonts).unwrap()));
    // An input: its node, and the directory that names it.
    run.add_file("/work/in/more.csv", bytes("3")).unwrap();
    assert_eq!(run.nodes.shares_with(&template.nodes), (true, 3));
    assert_eq!(template.stat(fonts).unwrap().times, Times::at(0));
}

/// The same operations on a clone and on a tree of its own do the same, whatever they are.
#[test]
fn a_clone_behaves_like_a_tree_of_its_own() {
    let mut random = ChaCha20Rng::seed_from_u64(2);
    let mut pick = move |count: u32| random.next_u32() % count;
    let template = prepared().clone();
    let before = seen(&template);
    for round in 0..20 {
        // `prepared` shares nothing: all its nodes are its own.
        let (mut clone, mut alone) = (template.clone(), prepared());
        clone.set_all_times(round);
        alone.set_all_times(round);
        for now in 100..400 {
            let mut path = || {
                let names = ["kept", "folder", "inner", "new"];
                let deeper = if pick(2) == 0 { "" } else { "folder/" };
                format!("{}/{deeper}{}", ["tmp", "work/out"][pick(2) as usize], names[pick(4) as usize])
            };
            let (one, two) = (path(), path());
            let kind = pick(7);
            let act = |tree: &mut Tree| match kind {
                0 => tree.create_directory(root(&one), now).map(|()| None),
                1 => tree.remove_directory(root(&one), now).map(|()| None),
                2 => tree.unlink(root(&one), now).map(|()| None),
                3 => tree.rename(root(&one), root(&two), now).map(|()| None),
                4 => tree.link(root(&one), Last::Keep, root(&two), now).map(|()| None),
                5 => tree.create_symlink("kept", root(&one), now).map(|()| None),
                _ => tree.open(root(&one), options(Create::IfMissing), now).map(|id| {
                    let written = tree.write_at(id, 0, one.as_bytes(), now);
                    tree.release(id).unwrap();
                    Some((id, written))
                }),
            };
            assert_eq!(act(&mut clone), act(&mut alone), "{kind} {one} {two}");
        }
        assert_eq!(clone.nodes.iter().flatten().count(), alone.nodes.iter().flatten().count());
        assert_eq!((clone.bytes_used, clone.inodes_used), (alone.bytes_used, alone.inodes_used));
        let listing = |tree: &Tree, path: &str| -> Vec<_> {
            let id = tree.locate(path).unwrap();
            let entry = |entry: DirectoryEntry<'_>| (entry.name.to_owned(), entry.next, tree.stat(entry.id));
            tree.entries(id, 0).unwrap().map(entry).collect()
        };
        for path in ["", "tmp", "work/out", "usr/share/fonts"] {
            assert_eq!(listing(&clone, path), listing(&alone, path), "{path}");
        }
    }
    assert_eq!(seen(&template), before);
}
