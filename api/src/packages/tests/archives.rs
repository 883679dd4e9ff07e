//! Archives and folders as nobody should make them.

use super::*;
use cap_std::{ambient_authority, fs::Dir};
use std::time::{Duration, Instant};

fn code(archive: &[u8]) -> (&'static str, String) {
    let refused = read_zip(archive, Bounds::PACKAGE).unwrap_err();
    (refused.code, refused.message)
}

fn refused(files: &[(&str, &[u8])], expected: &str, words: &str) {
    let (code, message) = code(&zip_of(files));
    assert_eq!(code, expected, "{files:?} {message}");
    assert!(message.contains(words), "{message}");
}

/// The archive, with one byte pattern put in the place of another of the same length, everywhere.
fn patched(archive: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut out = archive.to_vec();
    let places: Vec<_> = (0..out.len()).filter(|at| out[*at..].starts_with(from)).collect();
    assert!(!places.is_empty());
    for at in places {
        out[at..at + to.len()].copy_from_slice(to);
    }
    out
}

#[test]
fn security_39_names_that_leave_the_package_are_refused() {
    for name in
        ["/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/./b", "C:/x", "a\\b", "..\\x", "a\u{202e}b", "a\nb"]
    {
        refused(&[(name, b"x")], "invalid_file_name", "can't be the name of a file in a package");
    }
    let not_utf8 = patched(&zip_of(&[("aXb", b"x")]), b"aXb", b"a\xffb");
    assert_eq!(code(&not_utf8).0, "invalid_file_name");
    let nul = patched(&zip_of(&[("aXb", b"x")]), b"aXb", b"a\0b");
    assert_eq!(code(&nul).0, "invalid_file_name");
    let hidden = [(".git/../../x", b"x".as_slice())];
    refused(&hidden, "invalid_file_name", "..");
}

#[test]
fn security_39_two_files_of_one_name_are_refused() {
    refused(&[("a.py", b"1"), ("A.py", b"2")], "duplicate_file_name", "differ in upper and lower case");
    refused(&[("dir/a.py", b"1"), ("Dir/b.py", b"2")], "duplicate_file_name", "differ in upper and lower case");
    refused(&[("é.py", b"1"), ("e\u{301}.py", b"2")], "duplicate_file_name", "twice");
    refused(&[("É.py", b"1"), ("é.py", b"2")], "duplicate_file_name", "differ in upper and lower case");
    refused(&[("a", b"1"), ("a/b", b"2")], "duplicate_file_name", "one is a file and the other a folder");
    refused(&[("a/b", b"1"), ("a", b"2")], "duplicate_file_name", "one is a file and the other a folder");
    let twice = patched(&zip_of(&[("aa.py", b"1"), ("ab.py", b"2")]), b"ab.py", b"aa.py");
    assert_eq!(code(&twice), ("duplicate_file_name", "The archive holds two files of the same name.".to_owned()));
}

#[test]
fn security_39_links_and_special_files_are_refused() {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink("link.py", "/etc/passwd", zip::write::SimpleFileOptions::default()).unwrap();
    let archive = writer.finish().unwrap().into_inner();
    assert_eq!(code(&archive).0, "not_a_file");
    // The kind of file is in the upper half of the external attributes: FIFO, device, socket.
    for kind in [0o010_000_u32, 0o020_000, 0o060_000, 0o140_000, 0o120_000] {
        let mode = (0o100_644_u32 << 16).to_le_bytes();
        let special = patched(&zip_of(&[("f", b"x")]), &mode, &((kind | 0o644) << 16).to_le_bytes());
        assert_eq!(code(&special).0, "not_a_file", "{kind:o}");
    }
}

#[test]
fn security_39_bombs_are_refused_before_they_fill_the_memory() {
    let zeros = vec![0; 15 << 20];
    let (kind, message) = code(&zip_of(&[("zeros", &zeros)]));
    assert_eq!((kind, message.contains("100 times")), ("archive_bomb", true), "{message}");
    let large = vec![0; 17 << 20];
    assert_eq!(code(&zip_of(&[("large", &large)])).0, "archive_bomb");
    // Not compressible, so that the sizes decide.
    let noise: Vec<u8> = (0..5_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut stored = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    stored.start_file("large", options).unwrap();
    stored.write_all(&vec![1; 17 << 20]).unwrap();
    assert_eq!(code(&stored.finish().unwrap().into_inner()).0, "file_too_large");
    let names: Vec<String> = (0..14).map(|n| format!("f{n}")).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), noise.as_slice())).collect();
    let archive = zip_of(&many);
    let (kind, message) = code(&archive);
    assert!(matches!(kind, "files_too_large" | "archive_too_large"), "{kind} {message} {}", archive.len());
    assert_eq!(code(&vec![b'P'; (32 << 20) + 1]).0, "archive_too_large");
}

#[test]
fn security_39_many_entries_are_refused_soon() {
    let names: Vec<String> = (0..5_000).map(|n| format!("f{n}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    let (kind, message) = code(&zip_of(&files));
    assert_eq!((kind, message.contains("has 5000 entries; 4096 are allowed")), ("too_many_files", true), "{message}");
    let names: Vec<String> = (0..150_000).map(|n| format!("f{n}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    let archive = zip_of(&files);
    let before = Instant::now();
    assert_eq!(code(&archive).0, "too_many_files");
    assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
}

#[test]
fn security_39_damaged_and_lying_archives_are_refused() {
    assert_eq!(code(b"").0, "not_a_zip");
    assert_eq!(code(b"version: \"1\"").0, "not_a_zip");
    assert_eq!(code(b"PK").0, "archive_damaged");
    let archive = zip_of(&[("mecapy.yml", b"version: 1 version: 1 version: 1"), ("b.py", b"x = 1")]);
    for end in 4..archive.len() {
        assert!(read_zip(&archive[..end], Bounds::PACKAGE).is_err(), "cut at {end}");
    }
    for at in 0..archive.len() {
        // Whatever bit is wrong: an answer, and never other content than what was packed.
        let mut broken = archive.clone();
        broken[at] ^= 0x11;
        if let Ok(files) = read_zip(&broken, Bounds::PACKAGE) {
            assert!(files.iter().all(|(_, content)| content.is_empty()
                || content.starts_with(b"version")
                || content.starts_with(b"x = 1")));
        }
    }
    let renamed_in_one_place = {
        let mut twisted = archive.clone();
        let at = twisted.windows(4).position(|bytes| bytes == b"b.py").unwrap();
        twisted[at] = b'c';
        twisted
    };
    assert_eq!(code(&renamed_in_one_place).0, "archive_damaged");
    let prefixed = [b"PK\x03\x04 something before".as_slice(), &archive].concat();
    assert_eq!(code(&prefixed).0, "archive_damaged");
    let encrypted = patched(&archive, b"PK\x01\x02", b"PK\x01\x02");
    let mut flags = encrypted.clone();
    for at in 0..flags.len() - 10 {
        if flags[at..].starts_with(b"PK\x01\x02") {
            flags[at + 8] |= 1;
        }
        if flags[at..].starts_with(b"PK\x03\x04") {
            flags[at + 6] |= 1;
        }
    }
    assert_eq!(code(&flags).0, "archive_damaged");
}

#[test]
fn archives_inside_are_files_and_a_machines_files_are_left_out() {
    let inner = zip_of(&[("x", b"y")]);
    let archive = zip_of(&[
        ("mecapy.yml", b"a"),
        ("data/inner.zip", &inner),
        (".git/config", b"x"),
        ("joint/.DS_Store", b"x"),
        ("joint/__pycache__/a.cpython-312.pyc", b"x"),
        ("old.pyc", b"x"),
        ("__MACOSX/._a", b"x"),
    ]);
    let files = read_zip(&archive, Bounds::PACKAGE).unwrap();
    let names: Vec<_> = files.names().map(FileName::as_str).collect();
    assert_eq!(names, ["data/inner.zip", "mecapy.yml"]);
    assert_eq!(files.get("data/inner.zip").unwrap(), inner);
}

#[test]
fn a_folder_is_read_as_an_archive_of_it_is() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path();
    std::fs::create_dir_all(root.join("joint/__pycache__")).unwrap();
    std::fs::create_dir_all(root.join(".venv")).unwrap();
    for (name, content) in
        [("mecapy.yml", "a"), ("joint/e\u{301}.py", "b"), ("joint/__pycache__/x.pyc", "c"), (".hidden", "d")]
    {
        std::fs::write(root.join(name), content).unwrap();
    }
    std::os::unix::fs::symlink("/", root.join(".venv/link")).unwrap();
    let read = || read_folder(&Dir::open_ambient_dir(root, ambient_authority()).unwrap(), Bounds::PACKAGE);
    let files = read().unwrap();
    let zip = read_zip(&zip_of(&[("joint/\u{e9}.py", b"b"), ("mecapy.yml", b"a")]), Bounds::PACKAGE).unwrap();
    assert_eq!((files.digest(), &files), (zip.digest(), &zip));
    let refused = |expected: &str| match read().unwrap_err() {
        FolderError::Refused(refused) => assert_eq!(refused.code, expected),
        FolderError::Io { name, source } => panic!("{name} {source}"),
    };
    std::os::unix::fs::symlink("/etc/passwd", root.join("link.py")).unwrap();
    refused("not_a_file");
    std::fs::remove_file(root.join("link.py")).unwrap();
    std::os::unix::fs::symlink(root, root.join("loop")).unwrap();
    refused("not_a_file");
    std::fs::remove_file(root.join("loop")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    refused("not_a_file");
    drop(socket);
    std::fs::remove_file(root.join("socket")).unwrap();
    std::fs::write(root.join("large"), vec![0; (16 << 20) + 1]).unwrap();
    refused("file_too_large");
    std::fs::remove_file(root.join("large")).unwrap();
    let deep = (0..20).map(|n| format!("d{n}")).collect::<Vec<_>>().join("/");
    std::fs::create_dir_all(root.join(&deep)).unwrap();
    refused("invalid_file_name");
}
