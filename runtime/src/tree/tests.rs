//! Tests of the tree: paths, quotas, links and what outlives a name.

mod charge;
mod clones;

use super::*;
use std::sync::Arc;

const NOW: u64 = 7;

fn bytes(text: &str) -> FileContent {
    FileContent::Bytes(text.as_bytes().into())
}

/// A tree as an attempt gets it: a read-only part, inputs, and two places to write.
fn tree_with(limits: TreeLimits) -> Tree {
    let mut tree = Tree::new(limits);
    tree.add_file("/usr/local/lib/python.zip", bytes("library")).unwrap();
    tree.add_file("/work/in/data.csv", bytes("1,2")).unwrap();
    tree.add_directory("/work/out", Access::ReadWrite).unwrap();
    tree.add_directory("/tmp", Access::ReadWrite).unwrap();
    tree
}

fn tree() -> Tree {
    tree_with(TreeLimits { bytes_max: 1_000, inodes_max: 40, depth_max: 8, name_bytes_max: 20, open_files_max: 8 })
}

fn root(path: &str) -> At<'_> {
    At { base: NodeId::ROOT, path }
}

fn options(create: Create) -> OpenOptions {
    OpenOptions { create, directory: false, truncate: false, write: true, last: Last::Follow }
}

fn write(tree: &mut Tree, path: &str, text: &str) -> NodeId {
    let id = tree.open(root(path), options(Create::IfMissing), NOW).unwrap();
    assert_eq!(tree.write_at(id, 0, text.as_bytes(), NOW), Ok(text.len()));
    tree.release(id).unwrap();
    id
}

fn read(tree: &Tree, path: &str) -> Result<String, TreeError> {
    let id = tree.resolve(root(path), Last::Follow)?;
    let mut out = vec![0; 100];
    let count = tree.read_at(id, 0, &mut out)?;
    Ok(String::from_utf8(out[..count].to_vec()).unwrap())
}

#[test]
fn paths_are_resolved_within_their_base() {
    let mut tree = tree();
    tree.create_directory(root("tmp/a"), NOW).unwrap();
    write(&mut tree, "tmp/a/file", "found");
    for (link, target) in [
        ("near", "a/file"),
        ("up", "../tmp/a"),
        ("out", "../../../../etc/passwd"),
        ("root", "/tmp/a"),
        ("loop", "loop"),
        ("dangling", "missing"),
    ] {
        tree.create_symlink(target, root(&format!("tmp/{link}")), NOW).unwrap();
    }
    let long = format!("tmp/{}", "./".repeat(3_000));
    let name = format!("tmp/{}", "n".repeat(21));
    use TreeError::*;
    let rows = [
        ("tmp/a/file", Ok("found")),
        ("./tmp/.//a/../a/../../tmp///a/./file", Ok("found")),
        ("tmp/near", Ok("found")),
        ("tmp/up/file", Ok("found")),
        ("tmp/root/file", Ok("found")),
        ("tmp/up/../a/file", Ok("found")),
        ("work/in/data.csv", Ok("1,2")),
        ("tmp/a/file/", Err(NotDirectory)),
        ("tmp/a/file/.", Err(NotDirectory)),
        ("tmp/a/file/..", Err(NotDirectory)),
        ("tmp/near/", Err(NotDirectory)),
        ("tmp/a", Err(IsDirectory)),
        ("tmp/missing/../a/file", Err(NotFound)),
        ("tmp/dangling", Err(NotFound)),
        ("tmp/out", Err(Escapes)),
        ("..", Err(Escapes)),
        ("tmp/../..", Err(Escapes)),
        ("/tmp/a/file", Err(Escapes)),
        ("", Err(NotFound)),
        ("tmp/a\0b", Err(Invalid)),
        ("tmp/loop", Err(Loop)),
        ("tmp/loop/x", Err(Loop)),
        (&long, Err(NameTooLong)),
        (&name, Err(NameTooLong)),
    ];
    for (path, expected) in rows {
        assert_eq!(read(&tree, path), expected.map(str::to_owned), "{path}");
    }
    let base = tree.locate("/tmp/a").unwrap();
    for path in ["..", "../near", "./../a/file", "/tmp/a/file"] {
        assert_eq!(tree.resolve(At { base, path }, Last::Follow), Err(Escapes), "{path}");
    }
    tree.create_symlink("/tmp/a/file", root("tmp/a/absolute"), NOW).unwrap();
    assert_eq!(tree.resolve(At { base, path: "absolute" }, Last::Follow), Err(Escapes));
    assert_eq!(read(&tree, "tmp/a/absolute"), Ok("found".to_owned()));
}

#[test]
fn chains_of_links_end() {
    let mut tree = tree_with(TreeLimits::default());
    write(&mut tree, "tmp/l0", "end");
    for link in 1..=40 {
        tree.create_symlink(&format!("l{}", link - 1), root(&format!("tmp/l{link}")), NOW).unwrap();
    }
    assert_eq!(read(&tree, "tmp/l32"), Ok("end".to_owned()));
    assert_eq!(read(&tree, "tmp/l33"), Err(TreeError::Loop));
    // Each link makes what is left of the path longer.
    tree.create_symlink(&"./".repeat(2_000), root("tmp/wide"), NOW).unwrap();
    assert_eq!(read(&tree, &"tmp/wide/../".repeat(300)), Err(TreeError::Loop));
    assert_eq!(read(&tree, &format!("tmp/{}", "wide/".repeat(33))), Err(TreeError::Loop));
}

#[test]
fn what_is_read_only_stays_as_it_is() {
    let mut tree = tree();
    write(&mut tree, "tmp/mine", "x");
    let truncate = OpenOptions { truncate: true, write: false, ..options(Create::Never) };
    use TreeError::*;
    assert_eq!(tree.open(root("work/in/data.csv"), options(Create::Never), NOW), Err(ReadOnly));
    assert_eq!(tree.open(root("work/in/data.csv"), truncate, NOW), Err(ReadOnly));
    assert_eq!(tree.open(root("work/in/data.csv"), options(Create::New), NOW), Err(Exists));
    assert_eq!(tree.open(root("work/in/new"), options(Create::IfMissing), NOW), Err(ReadOnly));
    assert_eq!(tree.create_directory(root("new"), NOW), Err(ReadOnly));
    assert_eq!(tree.create_symlink("x", root("usr/link"), NOW), Err(ReadOnly));
    assert_eq!(tree.unlink(root("work/in/data.csv"), NOW), Err(ReadOnly));
    assert_eq!(tree.remove_directory(root("work/out"), NOW), Err(ReadOnly));
    assert_eq!(tree.rename(root("work/in/data.csv"), root("tmp/stolen"), NOW), Err(ReadOnly));
    assert_eq!(tree.rename(root("tmp/mine"), root("work/in/data.csv"), NOW), Err(ReadOnly));
    assert_eq!(tree.rename(root("tmp"), root("work/out/tmp"), NOW), Err(ReadOnly));
    assert_eq!(tree.link(root("work/in/data.csv"), Last::Follow, root("tmp/hard"), NOW), Err(NotPermitted));
    assert_eq!(tree.link(root("tmp/mine"), Last::Follow, root("work/in/hard"), NOW), Err(ReadOnly));
    let input = tree.locate("work/in/data.csv").unwrap();
    assert_eq!(tree.write_at(input, 0, b"y", NOW), Err(ReadOnly));
    assert_eq!(tree.set_size(input, 0, NOW), Err(ReadOnly));
    assert_eq!(tree.set_times(input, SetTimes { accessed: Some(1), modified: None }, NOW), Err(ReadOnly));
    assert_eq!(read(&tree, "work/in/data.csv"), Ok("1,2".to_owned()));
    let read_only = OpenOptions { write: false, ..options(Create::Never) };
    assert_eq!(tree.open(root("work/in/data.csv"), read_only, NOW), Ok(input));
}

#[test]
fn opening_follows_posix() {
    let mut tree = tree();
    write(&mut tree, "tmp/file", "text");
    tree.create_symlink("file", root("tmp/link"), NOW).unwrap();
    tree.create_symlink("made", root("tmp/dangling"), NOW).unwrap();
    let base = options(Create::Never);
    let directory = OpenOptions { directory: true, ..base };
    let keep = OpenOptions { last: Last::FollowBeforeSlash, ..base };
    use TreeError::*;
    let rows = [
        ("tmp/file", directory, Err(NotDirectory)),
        ("tmp/link", directory, Err(NotDirectory)),
        ("tmp", directory, Ok(())),
        ("tmp/", directory, Ok(())),
        ("tmp/.", directory, Ok(())),
        ("tmp", base, Err(IsDirectory)),
        ("tmp", options(Create::IfMissing), Err(IsDirectory)),
        ("tmp", OpenOptions { directory: true, ..options(Create::IfMissing) }, Err(Invalid)),
        ("tmp", OpenOptions { truncate: true, write: false, ..base }, Err(IsDirectory)),
        ("tmp/file", options(Create::New), Err(Exists)),
        ("tmp/link", options(Create::New), Err(Exists)),
        ("tmp/dangling", options(Create::New), Err(Exists)),
        ("tmp/link", keep, Err(Loop)),
        ("tmp/link", base, Ok(())),
        ("tmp/new/", options(Create::IfMissing), Err(IsDirectory)),
        ("tmp/none/new", options(Create::IfMissing), Err(NotFound)),
        ("tmp/none", base, Err(NotFound)),
        ("tmp/dangling", options(Create::IfMissing), Ok(())),
        ("tmp/made", base, Ok(())),
    ];
    for (path, how, expected) in rows {
        assert_eq!(tree.open(root(path), how, NOW).map(|_| ()), expected, "{path} {how:?}");
    }
    tree.open(root("tmp/file"), OpenOptions { truncate: true, ..base }, NOW).unwrap();
    assert_eq!(read(&tree, "tmp/file"), Ok(String::new()));
}

#[test]
fn renaming_and_removing_follow_posix() {
    let mut tree = tree();
    for path in ["tmp/dir", "tmp/dir/sub", "tmp/full", "tmp/empty", "tmp/gone"] {
        tree.create_directory(root(path), NOW).unwrap();
    }
    write(&mut tree, "tmp/file", "one");
    write(&mut tree, "tmp/full/file", "two");
    tree.create_symlink("dir", root("tmp/link"), NOW).unwrap();
    use TreeError::*;
    let rows = [
        ("tmp/dir", "tmp/dir/sub/dir", Err(Invalid)),
        ("tmp/dir", "tmp/dir/sub", Err(Invalid)),
        ("tmp/dir", "tmp/file", Err(NotDirectory)),
        ("tmp/dir", "tmp/full", Err(NotEmpty)),
        ("tmp/file", "tmp/empty", Err(IsDirectory)),
        ("tmp/file", "tmp/other/", Err(NotDirectory)),
        ("tmp/file/", "tmp/other", Err(NotDirectory)),
        ("tmp/link/", "tmp/other", Err(NotDirectory)),
        ("tmp/dir/.", "tmp/other", Err(Busy)),
        ("tmp/dir", "tmp/..", Err(Busy)),
        ("tmp/none", "tmp/other", Err(NotFound)),
        ("tmp/file", "tmp/file", Ok(())),
        ("tmp/dir/", "tmp/empty/", Ok(())),
        ("tmp/empty/sub", "tmp/sub", Ok(())),
        ("tmp/file", "tmp/full/file", Ok(())),
        ("tmp/link", "tmp/renamed", Ok(())),
    ];
    for (from, to, expected) in rows {
        assert_eq!(tree.rename(root(from), root(to), NOW), expected, "{from} → {to}");
    }
    assert_eq!(read(&tree, "tmp/full/file"), Ok("one".to_owned()));
    assert_eq!(tree.read_symlink(root("tmp/renamed")), Ok("dir"));
    let rows = [
        ("tmp/full/file/", Err(NotDirectory)),
        ("tmp/sub", Err(IsDirectory)),
        ("tmp/sub/", Err(IsDirectory)),
        ("tmp/none", Err(NotFound)),
        ("tmp/.", Err(IsDirectory)),
        ("tmp/renamed/", Err(NotDirectory)),
        ("tmp/renamed", Ok(())),
    ];
    for (path, expected) in rows {
        assert_eq!(tree.unlink(root(path), NOW), expected, "unlink {path}");
    }
    let rows = [
        ("tmp/full", Err(NotEmpty)),
        ("tmp/full/file", Err(NotDirectory)),
        ("tmp/sub/.", Err(Invalid)),
        ("tmp/sub/..", Err(NotEmpty)),
        ("tmp/sub/", Ok(())),
        ("tmp/sub", Err(NotFound)),
    ];
    for (path, expected) in rows {
        assert_eq!(tree.remove_directory(root(path), NOW), expected, "rmdir {path}");
    }
    let gone = tree.resolve(root("tmp/gone"), Last::Follow).unwrap();
    tree.hold(gone).unwrap();
    tree.remove_directory(root("tmp/gone"), NOW).unwrap();
    assert_eq!(tree.create_directory(At { base: gone, path: "new" }, NOW), Err(NotFound));
    assert_eq!(tree.open(At { base: gone, path: "new" }, options(Create::New), NOW), Err(NotFound));
    tree.release(gone).unwrap();
    assert_eq!(tree.stat(gone), Err(NotFound));
}

#[test]
fn bytes_are_charged_until_the_last_holder_lets_go() {
    let mut tree = tree();
    let before = (tree.bytes_used(), tree.inodes_used());
    let id = tree.open(root("tmp/file"), options(Create::New), NOW).unwrap();
    assert_eq!(tree.write_at(id, 10, b"0123456789", NOW), Ok(10));
    assert_eq!(tree.bytes_used(), 20);
    assert_eq!(tree.write_at(id, 5, b"abc", NOW), Ok(3));
    assert_eq!(tree.bytes_used(), 20);
    assert_eq!(read(&tree, "tmp/file").unwrap(), "\0\0\0\0\0abc\0\x000123456789");
    tree.link(root("tmp/file"), Last::Follow, root("tmp/second"), NOW).unwrap();
    assert_eq!((tree.bytes_used(), tree.inodes_used()), (20, before.1 + 2));
    tree.unlink(root("tmp/file"), NOW).unwrap();
    assert_eq!((tree.bytes_used(), tree.inodes_used()), (20, before.1 + 1));
    tree.unlink(root("tmp/second"), NOW).unwrap();
    assert_eq!((tree.bytes_used(), tree.inodes_used()), (20, before.1 + 1));
    let mut out = [0; 10];
    assert_eq!(tree.read_at(id, 10, &mut out), Ok(10));
    tree.release(id).unwrap();
    assert_eq!((tree.bytes_used(), tree.inodes_used()), before);
}

#[test]
fn the_byte_quota_holds_for_writes_holes_and_links() {
    let mut tree = tree();
    let id = tree.open(root("tmp/file"), options(Create::New), NOW).unwrap();
    use TreeError::*;
    assert_eq!(tree.set_size(id, 1_001, NOW), Err(NoSpace));
    assert_eq!(tree.set_size(id, 1 << 40, NOW), Err(TooBig));
    assert_eq!(tree.allocate(id, 1 << 40, 1, NOW), Err(TooBig));
    assert_eq!(tree.allocate(id, u64::MAX, 1, NOW), Err(TooBig));
    assert_eq!(tree.write_at(id, 1_000, b"x", NOW), Err(NoSpace));
    assert_eq!(tree.write_at(id, 1 << 40, b"x", NOW), Err(TooBig));
    assert_eq!(tree.write_at(id, u64::MAX, b"x", NOW), Err(TooBig));
    assert_eq!(tree.write_at(id, u64::MAX, b"", NOW), Ok(0));
    assert_eq!(tree.bytes_used(), 0);
    assert_eq!(tree.write_at(id, 995, b"0123456789", NOW), Ok(5));
    assert_eq!(tree.bytes_used(), 1_000);
    assert_eq!(tree.create_symlink("target", root("tmp/link"), NOW), Err(NoSpace));
    assert_eq!(tree.write_at(id, 0, b"abc", NOW), Ok(3));
    tree.set_size(id, 10, NOW).unwrap();
    assert_eq!(tree.bytes_used(), 10);
    assert!(tree.owned(id).unwrap().len() == 10);
    tree.create_symlink("target", root("tmp/link"), NOW).unwrap();
    assert_eq!(tree.bytes_used(), 16);
    tree.unlink(root("tmp/link"), NOW).unwrap();
    assert_eq!(tree.bytes_used(), 10);
}

#[test]
fn memory_follows_the_charge() {
    let mut tree = tree_with(TreeLimits { bytes_max: 1 << 20, ..TreeLimits::default() });
    for file in 0..100 {
        let id = tree.open(root(&format!("tmp/{file}")), options(Create::New), NOW).unwrap();
        tree.set_size(id, 1 << 20, NOW).unwrap();
        tree.set_size(id, 0, NOW).unwrap();
    }
    let held = |node: &Node| match &node.body {
        node::Body::File(Content::Owned(bytes)) => bytes.capacity(),
        _ => 0,
    };
    assert!(tree.nodes.iter().flatten().map(held).sum::<usize>() < 200_000);
    let id = tree.locate("tmp/0").unwrap();
    for byte in 0..1 << 20 {
        assert_eq!(tree.write_at(id, byte, b"x", NOW), Ok(1));
    }
    assert_eq!(tree.nodes[id.index()].as_ref().map(held), Some(1 << 20));
}

#[test]
fn the_inode_quota_holds_for_files_folders_and_links() {
    let mut tree = tree();
    let before = tree.inodes_used();
    let mut made = 0;
    while tree.create_directory(root(&format!("tmp/d{made}")), NOW).is_ok() {
        made += 1;
    }
    assert_eq!((made + before, tree.inodes_used()), (40, 40));
    assert_eq!(tree.open(root("tmp/f"), options(Create::IfMissing), NOW), Err(TreeError::NoInode));
    assert_eq!(tree.create_symlink("x", root("tmp/l"), NOW), Err(TreeError::NoInode));
    tree.remove_directory(root("tmp/d0"), NOW).unwrap();
    write(&mut tree, "tmp/f", "x");
    assert_eq!(tree.link(root("tmp/f"), Last::Follow, root("tmp/g"), NOW), Err(TreeError::NoInode));
    for folder in 1..made {
        tree.remove_directory(root(&format!("tmp/d{folder}")), NOW).unwrap();
    }
    tree.unlink(root("tmp/f"), NOW).unwrap();
    assert_eq!((tree.inodes_used(), tree.bytes_used()), (before, 0));
}

#[test]
fn depth_is_limited_by_making_and_by_moving() {
    let mut tree = tree();
    let path = |depth: usize, name: &str| format!("tmp{}", format!("/{name}").repeat(depth));
    for depth in 1..=7 {
        tree.create_directory(root(&path(depth, "a")), NOW).unwrap();
    }
    assert_eq!(tree.create_directory(root(&path(8, "a")), NOW), Err(TreeError::TooDeep));
    tree.create_directory(root("tmp/b"), NOW).unwrap();
    assert_eq!(tree.rename(root("tmp/a"), root("tmp/b/a"), NOW), Err(TreeError::TooDeep));
    assert_eq!(tree.rename(root("tmp/a/a"), root("tmp/b/a"), NOW), Ok(()));
}

#[test]
fn a_very_deep_tree_is_made_walked_and_dropped() {
    let limits = TreeLimits { inodes_max: 50_000, depth_max: 50_000, ..TreeLimits::default() };
    let mut tree = tree_with(limits);
    let mut base = tree.locate("tmp").unwrap();
    for _ in 0..10_000 {
        tree.create_directory(At { base, path: "d" }, NOW).unwrap();
        base = tree.resolve(At { base, path: "d" }, Last::Keep).unwrap();
    }
    assert_eq!(tree.files_under("tmp").unwrap().count(), 0);
    assert_eq!(tree.rename(root("tmp/d"), root("work/out/d"), NOW), Ok(()));
    drop(tree.clone());
    drop(tree);
}

#[test]
fn a_listing_survives_what_happens_meanwhile() {
    let mut tree = tree();
    for name in ["c", "a", "b"] {
        write(&mut tree, &format!("tmp/{name}"), "");
    }
    let tmp = tree.locate("tmp").unwrap();
    let names = |tree: &Tree, cookie| -> Vec<(String, u64)> {
        tree.entries(tmp, cookie).unwrap().map(|entry| (entry.name.to_owned(), entry.next)).collect()
    };
    let all = names(&tree, 0);
    assert_eq!(all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), [".", "..", "c", "a", "b"]);
    assert_eq!(names(&tree, all[1].1), all[2..]);
    tree.unlink(root("tmp/c"), NOW).unwrap();
    assert_eq!(names(&tree, all[2].1), all[3..]);
    write(&mut tree, "tmp/c", "");
    assert_eq!(names(&tree, all[3].1).iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(names(&tree, u64::MAX), []);
    let file = tree.locate("tmp/a").unwrap();
    assert!(tree.entries(file, 0).is_err());
}

#[test]
fn collecting_names_what_is_no_plain_file() {
    let mut tree = tree();
    tree.create_directory(root("work/out/b"), NOW).unwrap();
    tree.create_directory(root("work/out/empty"), NOW).unwrap();
    write(&mut tree, "work/out/b/inner", "in");
    write(&mut tree, "work/out/a", "first");
    write(&mut tree, "work/out/hard", "twice");
    tree.link(root("work/out/hard"), Last::Follow, root("tmp/hard"), NOW).unwrap();
    tree.create_symlink("/work/in/data.csv", root("work/out/soft"), NOW).unwrap();
    let found: Vec<_> = tree.files_under("/work/out").unwrap().collect();
    let irregular = |path: &str, what| Err(NotRegular { path: path.to_owned(), what });
    let expected = [
        Ok(("a".to_owned(), &b"first"[..])),
        Ok(("b/inner".to_owned(), b"in")),
        irregular("hard", "a hard link"),
        irregular("soft", "a symbolic link"),
    ];
    assert_eq!(found, expected);
    let inputs: Vec<_> = tree.files_under("/work/in").unwrap().collect();
    assert_eq!(inputs, [irregular("data.csv", "a read-only file")]);
    assert_eq!(tree.files_under("/none").err(), Some(TreeError::NotFound));
    assert_eq!(tree.files_under("/work/in/data.csv").err(), Some(TreeError::NotDirectory));
}

#[test]
fn a_file_of_the_host_is_read_by_position() {
    let file = std::fs::File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let held = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let file = Arc::new(file);
    let mut tree = tree();
    let length = held.len() as u64;
    let whole = FileContent::File { file: Arc::clone(&file), bytes: length };
    let whole = tree.add_file("/work/in/whole", whole).unwrap();
    let mut out = vec![0; held.len() + 10];
    assert_eq!(tree.read_at(whole, 0, &mut out), Ok(held.len()));
    assert_eq!(out[..held.len()], held);
    assert_eq!(tree.read_at(whole, length - 3, &mut out), Ok(3));
    assert_eq!(tree.read_at(whole, length + 3, &mut out), Ok(0));
    // The guest sees the length at opening: no more where the file has grown, an error where it has shrunk.
    let part = tree.add_file("/work/in/part", FileContent::File { file: Arc::clone(&file), bytes: 5 }).unwrap();
    assert_eq!(tree.read_at(part, 0, &mut out), Ok(5));
    let lost = tree.add_file("/work/in/lost", FileContent::File { file, bytes: length + 5 }).unwrap();
    assert_eq!(tree.read_at(lost, length, &mut out), Err(TreeError::Io));
}

#[test]
fn one_read_of_a_file_of_the_host_is_bounded() {
    let file = tempfile::tempfile().unwrap();
    let length = HOST_READ_BYTES_MAX + 10;
    file.set_len(length as u64).unwrap();
    let mut tree = tree();
    let content = FileContent::File { file: Arc::new(file), bytes: length as u64 };
    let large = tree.add_file("/work/in/large", content).unwrap();
    let mut out = vec![0; length];
    assert_eq!(tree.read_at(large, 0, &mut out), Ok(HOST_READ_BYTES_MAX));
    assert_eq!(tree.read_at(large, HOST_READ_BYTES_MAX as u64, &mut out), Ok(10));
    assert_eq!(tree.read_at(large, length as u64, &mut out), Ok(0));
}

#[test]
fn a_template_serves_many_runs() {
    let template = tree_with(TreeLimits::default());
    let mut first = template.clone();
    write(&mut first, "tmp/secret", "first");
    let second = template.clone();
    assert_eq!(read(&second, "tmp/secret"), Err(TreeError::NotFound));
    assert_eq!(read(&second, "usr/local/lib/python.zip"), Ok("library".to_owned()));
}
