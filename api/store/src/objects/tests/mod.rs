//! What both backends do alike, and what a bucket does besides.

mod bucket;
mod http;
mod server;
mod uploading;

use super::s3::{Patience, S3};
use super::{Backend, Folder, ObjectKey, Objects, ObjectsAddress, S3Credentials, Spool, StoredText};
use crate::signer::Signer;
use crate::{ClaimRef, Clock, LeaseToken, StoreError, SystemClock};
use mecapy_model::{Digest, TaskId, TenantId};
use server::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// As the writer's for a bucket.
const PART_BYTES: usize = 8 << 20;

/// Objects, and what has to stay for as long as they do.
struct Place {
    objects: Objects,
    /// The objects' own folder, where they are in one.
    folder: TempDir,
    server: Option<Server>,
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new().unwrap())
}

fn credentials() -> S3Credentials {
    let (access_key_id, secret_access_key) = (ACCESS_KEY.to_owned(), SECRET_KEY.to_owned());
    S3Credentials { access_key_id, secret_access_key, session_token: None }
}

/// Waits less than a server does.
fn impatient() -> Patience {
    Patience { attempt: Duration::from_secs(5), attempts: 2, ..Patience::default() }
}

fn bucket_at(url: &str, credentials: &S3Credentials, patience: Patience, clock: Arc<dyn Clock>) -> S3 {
    let address = format!("s3://{BUCKET}/some/prefix?endpoint={url}&region=garage").parse().unwrap();
    let ObjectsAddress::S3(address) = address else { panic!("{address:?}") };
    // Small steps, so that listings have many pages.
    S3::new(&address, credentials, patience, clock).with_keys_at_once(7)
}

fn over(s3: S3, spool: &TempDir, clock: Arc<dyn Clock>) -> Objects {
    let spool = Spool::new(spool.path().to_owned(), 64 << 20);
    Objects::over(Backend::S3(s3), spool, Signer::new(&[7; 32]), clock)
}

impl Place {
    fn folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let backend = Backend::Folder(Folder::open(folder.path()).unwrap());
        let spool = Spool::new(folder.path().to_owned(), 0);
        let objects = Objects::over(backend, spool, Signer::new(&[7; 32]), clock());
        Self { objects, folder, server: None }
    }

    async fn bucket() -> Self {
        let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
        let s3 = bucket_at(&server.url, &credentials(), impatient(), clock());
        Self { objects: over(s3, &folder, clock()), folder, server: Some(server) }
    }

    async fn both() -> [Self; 2] {
        [Self::folder(), Self::bucket().await]
    }

    /// Waits until nothing half written is left: an abort takes its time.
    async fn expect_no_leftovers(&self) {
        let left = || match &self.server {
            Some(server) => server.unfinished(),
            None => std::fs::read_dir(self.folder.path().join("tmp")).unwrap().count(),
        };
        let all_gone = async {
            while left() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), all_gone).await;
        assert!(waited.is_ok(), "{} half written objects are left", left());
    }
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

/// Bytes that repeat at no power of two, so that parts in a wrong order show.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

async fn read_by_chunks(objects: &Objects, key: &ObjectKey) -> Vec<u8> {
    let mut reader = objects.open(key).await.unwrap().unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.chunk().await.unwrap() {
        bytes.extend(chunk);
    }
    assert_eq!(bytes.len() as u64, reader.size_bytes());
    bytes
}

/// A store tells times in whole seconds.
async fn grow_old() {
    tokio::time::sleep(Duration::from_millis(1_100)).await;
}

async fn keys_under(objects: &Objects, prefix: &str, limit: u16) -> Vec<String> {
    let mut listing = objects.list_under(&key(prefix));
    let mut keys = Vec::new();
    loop {
        let page = listing.next(limit).await.unwrap();
        assert!(page.len() <= usize::from(limit));
        if page.is_empty() {
            assert!(listing.next(limit).await.unwrap().is_empty(), "a listing goes on after its end");
            return keys;
        }
        keys.extend(page.into_iter().map(|object| object.key.as_str().to_owned()));
    }
}

#[tokio::test]
async fn objects_of_any_size_read_back_as_they_were_written() {
    for place in Place::both().await {
        let objects = &place.objects;
        let sizes = [0, 1, 100_000, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES, 30 << 20];
        for (at, size) in sizes.into_iter().enumerate() {
            let (key, bytes) = (key(&format!("artifacts/t/{at}/a%20b")), pattern(size));
            let mut writer = objects.create(&key, size as u64).await.unwrap();
            for chunk in bytes.chunks(1_234_567) {
                writer.write(chunk).await.unwrap();
            }
            assert_eq!(writer.size_bytes(), size as u64);
            assert!(objects.head(&key).await.unwrap().is_none(), "{size} bytes show before they are whole");
            assert!(objects.open(&key).await.unwrap().is_none() && objects.read(&key).await.unwrap().is_none());
            assert_eq!(writer.finish().await.unwrap(), (size as u64, digest(&bytes)));
            assert_eq!(objects.head(&key).await.unwrap().unwrap().size_bytes, size as u64);
            assert!(read_by_chunks(objects, &key).await == bytes, "{size} bytes in pieces");
            assert!(objects.read(&key).await.unwrap().unwrap() == bytes, "{size} bytes at once");
            let mut room = objects.spool_room(size as u64).await.unwrap();
            let (mut file, length) = objects.open_file(&key, digest(&bytes), &mut room).await.unwrap().unwrap();
            let mut copy = Vec::new();
            file.read_to_end(&mut copy).unwrap();
            assert!(length == size as u64 && copy == bytes, "{size} bytes as a file");
        }
        place.expect_no_leftovers().await;
    }
}

#[tokio::test]
async fn what_is_given_up_or_too_large_leaves_nothing() {
    for place in Place::both().await {
        let objects = &place.objects;
        let large = pattern(2 * PART_BYTES + 5);
        let mut dropped = objects.create(&key("artifacts/a"), u64::MAX).await.unwrap();
        dropped.write(&large).await.unwrap();
        drop(dropped);
        let mut over = objects.create(&key("artifacts/b"), large.len() as u64 - 1).await.unwrap();
        over.write(&large[..large.len() - 1]).await.unwrap();
        assert!(matches!(over.write(b"x").await, Err(StoreError::TooLarge { .. })));
        assert!(over.write(b"").await.is_err() && over.finish().await.is_err(), "a refused object was kept");
        place.expect_no_leftovers().await;
        assert!(keys_under(objects, "artifacts", 10).await.is_empty());
    }
}

#[tokio::test]
async fn what_a_crash_left_half_written_is_swept() {
    for place in Place::both().await {
        let mut writer = place.objects.create(&key("artifacts/a"), u64::MAX).await.unwrap();
        writer.write(&pattern(PART_BYTES + 1)).await.unwrap();
        std::mem::forget(writer);
        grow_old().await;
        let nothing = async |_| Ok(HashSet::new());
        assert_eq!(place.objects.sweep_orphans(Duration::from_secs(3_600), nothing).await.unwrap().unfinished, 0);
        assert_eq!(place.objects.sweep_orphans(Duration::ZERO, nothing).await.unwrap().unfinished, 1);
        place.expect_no_leftovers().await;
    }
}

#[tokio::test]
async fn an_absent_object_is_none_and_its_deletion_no_error() {
    for place in Place::both().await {
        let (objects, absent) = (&place.objects, key("uploads/a/b"));
        objects.ping().await.unwrap();
        assert!(objects.head(&absent).await.unwrap().is_none() && objects.open(&absent).await.unwrap().is_none());
        let mut room = objects.spool_room(1).await.unwrap();
        assert!(objects.open_file(&absent, digest(b""), &mut room).await.unwrap().is_none());
        objects.delete(&absent).await.unwrap();
        objects.delete_under(&absent).await.unwrap();
        objects.put(&absent, b"one".to_vec()).await.unwrap();
        objects.put(&absent, b"other".to_vec()).await.unwrap();
        assert_eq!(objects.read(&absent).await.unwrap().unwrap(), b"other");
        objects.delete(&absent).await.unwrap();
        assert!(objects.head(&absent).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_listing_has_every_key_under_its_prefix_once_and_in_order() {
    for place in Place::both().await {
        let objects = &place.objects;
        let mut expected: Vec<String> = (0..40).map(|at| format!("results/t/{}/f-{at}", at % 3)).collect();
        expected.extend(["results/t/a-b/x", "results/t/a/x", "results/t/a.b"].map(str::to_owned));
        for text in expected.iter().map(String::as_str).chain(["results/tt/other", "results/s"]) {
            objects.put(&key(text), text.as_bytes().to_vec()).await.unwrap();
        }
        expected.sort();
        for limit in [1, 5, 500] {
            assert_eq!(keys_under(objects, "results/t", limit).await, expected);
        }
        assert!(keys_under(objects, "modules", 10).await.is_empty());
        objects.delete_under(&key("results/t")).await.unwrap();
        assert!(keys_under(objects, "results/t", 10).await.is_empty());
        assert_eq!(keys_under(objects, "results", 10).await, ["results/s", "results/tt/other"]);
    }
}

#[tokio::test]
async fn a_thousand_keys_and_more_are_deleted_together() {
    // More than the protocol lists or deletes at once.
    let place = Place::bucket().await;
    let server = place.server.as_ref().unwrap();
    let s3 = bucket_at(&server.url, &credentials(), impatient(), clock()).with_keys_at_once(1_000);
    let objects = over(s3, &place.folder, clock());
    let folder = server.file("some/prefix/artifacts/t/many");
    std::fs::create_dir_all(&folder).unwrap();
    for at in 0..1_203 {
        std::fs::write(folder.join(at.to_string()), b"x").unwrap();
    }
    assert_eq!(keys_under(&objects, "artifacts/t", 10_000).await.len(), 1_203);
    objects.delete_under(&key("artifacts/t")).await.unwrap();
    assert!(keys_under(&objects, "artifacts/t", 10_000).await.is_empty());
}

#[tokio::test]
async fn a_sweep_deletes_old_objects_that_no_row_names() {
    for place in Place::both().await {
        let objects = &place.objects;
        let (named, orphan, elsewhere) = (key("artifacts/a/1"), key("uploads/a/1/x"), key("other/a"));
        for key in [&named, &orphan, &elsewhere] {
            objects.put(key, b"12345".to_vec()).await.unwrap();
        }
        let known = |asked: Vec<ObjectKey>| {
            let rows = HashSet::from([named.clone()]);
            async move { Ok(asked.into_iter().filter(|key| rows.contains(key)).collect()) }
        };
        let swept = objects.sweep_orphans(Duration::from_secs(24 * 3_600), known).await.unwrap();
        assert_eq!(swept.objects, 0, "what is young may get its row yet");
        grow_old().await;
        let swept = objects.sweep_orphans(Duration::ZERO, known).await.unwrap();
        assert_eq!((swept.objects, swept.bytes), (1, 5));
        assert!(objects.head(&orphan).await.unwrap().is_none());
        assert!(objects.head(&named).await.unwrap().is_some() && objects.head(&elsewhere).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn large_texts_are_objects_and_read_back_verified() {
    for place in Place::both().await {
        let objects = &place.objects;
        let claim = ClaimRef {
            task: TaskId::from_parts(1, &[2; 10]),
            tenant: TenantId::from_parts(1, &[1; 10]),
            fence: 3,
            lease: LeaseToken([0; 16]),
            no: 1,
        };
        let at_limit = "é".repeat(super::RESULT_INLINE_BYTES_MAX / 2);
        let inline = objects.store_result(&claim, at_limit.clone()).await.unwrap();
        assert_eq!(inline, StoredText::Inline(at_limit.clone()));
        assert_eq!(objects.load_text(&inline).await.unwrap(), at_limit);
        let over = format!("{at_limit}x");
        let stored = objects.store_result(&claim, over.clone()).await.unwrap();
        let StoredText::Object { key, size_bytes, .. } = &stored else { panic!("{} bytes inline", over.len()) };
        assert_eq!((key.as_str().ends_with("/3/result.json"), *size_bytes), (true, over.len() as u64));
        assert_eq!(objects.load_text(&stored).await.unwrap(), over);
        let log = objects.store_log(&claim, "2", over.clone()).await.unwrap();
        assert_eq!(objects.load_text(&log).await.unwrap(), over);
        objects.put(key, over.replace('x', "y").into_bytes()).await.unwrap();
        assert!(matches!(objects.load_text(&stored).await, Err(StoreError::Corrupt { .. })));
        objects.delete(key).await.unwrap();
        assert!(matches!(objects.load_text(&stored).await, Err(StoreError::Corrupt { .. })));
    }
}

/// Root, who runs workers with containers, stores for servers that are somebody else. Others can only own the folder.
#[tokio::test]
async fn what_is_stored_in_a_folder_belongs_to_whom_the_folder_does() {
    use std::os::unix::fs::{MetadataExt, chown};
    let folder = tempfile::tempdir().unwrap();
    let somebody = Some(12_345);
    let _ = chown(folder.path(), somebody, somebody);
    let owner = |path: &str| std::fs::metadata(folder.path().join(path)).unwrap().uid();
    let objects = Folder::open(folder.path()).unwrap();
    let mut writer = objects.create(&key("artifacts/a/b"), &*clock()).await.unwrap();
    writer.write(b"x").await.unwrap();
    writer.finish().await.unwrap();
    assert_eq!(["tmp", "artifacts", "artifacts/a", "artifacts/a/b"].map(owner), [owner("."); 4]);
}
