//! Work folders: what goes in, what comes out, and their bounds.

use crate::bench::{Bench, MIB, SIZES};
use mecapy_model::ArtifactName;
use mecapy_runtime::{
    FileContent, InputFile,
    container::{Sizes, VolumeError},
    solver::Folder as _,
};
use std::{io::Read, os::unix::fs::MetadataExt, sync::Arc};

fn input(name: &str, content: FileContent) -> InputFile {
    InputFile { name: ArtifactName::parse(name).unwrap(), content }
}

fn bytes(name: &str, text: &str) -> InputFile {
    input(name, FileContent::Bytes(text.as_bytes().into()))
}

#[tokio::test]
async fn inputs_are_the_containers_own_and_outputs_come_back() {
    let bench = Bench::new().await;
    let mesh = bench.folder.path().join("mesh");
    std::fs::write(&mesh, "0123456789").unwrap();
    let file = Arc::new(std::fs::File::open(&mesh).unwrap());
    let volume = bench.volumes.create("v", SIZES.disk_bytes).await.unwrap();
    // What the file grew by since it was opened is not part of it.
    let files = vec![bytes("job.inp", "*HEADING"), input("base/mesh.med", FileContent::File { file, bytes: 8 })];
    volume.fill(files).await.unwrap();
    let at = |name: &str| std::fs::metadata(volume.path().join(name)).unwrap();
    for name in ["job.inp", "base", "base/mesh.med", ""] {
        assert_eq!((at(name).uid(), at(name).gid()), (10_001, 10_001), "{name}");
    }
    let script = "cat job.inp base/mesh.med > out.dat && rm base/mesh.med && ln -s /etc/passwd link && mkdir sub \
                  && mv job.inp sub/ && truncate -s 20M sparse && mkfifo pipe";
    let run =
        mecapy_runtime::container::Run::launch(&bench.engine, &bench.launch(script, SIZES, &volume)).await.unwrap();
    let (watched, lines) = crate::bench::watch(&run, &mecapy_runtime::Cancel::new()).await.unwrap();
    assert_eq!(watched.exit_code, 0, "{lines:?}");
    let folder = volume.files(100).unwrap();
    let listed: Vec<_> =
        folder.list().unwrap().into_iter().map(|(name, bytes)| (name.as_str().to_owned(), bytes)).collect();
    let expected = [("out.dat", 16), ("sparse", 20 * MIB), ("sub/job.inp", 8)];
    assert_eq!(listed, expected.map(|(name, bytes)| (name.to_owned(), bytes)));
    assert_eq!(folder.refused().unwrap().len(), 2);
    let mut text = String::new();
    folder.open("out.dat").unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "*HEADING01234567");
    assert!(folder.open("link").is_err() && folder.open("pipe").is_err());
    drop(folder);
    run.remove().await.unwrap();
    volume.remove().await.unwrap();
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn inputs_that_do_not_fit_or_stand_in_each_others_way_are_the_requests_fault() {
    let bench = Bench::new().await;
    let volume = bench.volumes.create("v", 8 * MIB).await.unwrap();
    let free = volume.free_bytes().unwrap();
    assert!((4 * MIB..8 * MIB).contains(&free), "{free}");
    let big = vec![0; 9 << 20];
    let error = volume.fill(vec![input("big", FileContent::Bytes(big.into()))]).await.unwrap_err();
    assert!(matches!(error, VolumeError::Full { .. }) && error.is_of_the_request(), "{error}");
    assert_eq!(volume.free_bytes().unwrap(), 0);
    let clashes = [vec![bytes("a", ""), bytes("a/b", "")], vec![bytes("c/d", ""), bytes("c", "")]];
    for files in clashes {
        let error = volume.fill(files).await.unwrap_err();
        assert!(matches!(error, VolumeError::Clash { .. }), "{error}");
    }
    volume.remove().await.unwrap();
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_disk_that_is_full_is_seen_in_what_is_left() {
    let bench = Bench::new().await;
    let said = bench.run("dd if=/dev/zero of=big bs=1M count=100 2>/dev/null; exit 0", SIZES).await;
    assert_eq!(said.watched.exit_code, 0);
    assert_eq!(said.volume.free_bytes().unwrap(), 0);
    said.remove().await;
    let said = bench.run("exit 0", Sizes { disk_bytes: 1 << 30, ..SIZES }).await;
    assert!(said.volume.free_bytes().unwrap() > 900 * MIB);
    said.remove().await;
    let error = bench.volumes.create("huge", 1 << 50).await.unwrap_err();
    assert!(matches!(error, VolumeError::HostFull { .. }), "{error}");
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_folder_that_is_in_use_or_not_there_is_told() {
    let bench = Bench::new().await;
    let volume = bench.volumes.create("v", 8 * MIB).await.unwrap();
    assert!(matches!(bench.volumes.create("v", 8 * MIB).await, Err(VolumeError::Io { .. })));
    assert!(matches!(bench.volumes.adopt("w"), Err(VolumeError::Gone { .. })));
    assert!(bench.volumes.adopt("v").unwrap().free_bytes().unwrap() > 0);
    volume.remove().await.unwrap();
    bench.nothing_is_left().await;
}
