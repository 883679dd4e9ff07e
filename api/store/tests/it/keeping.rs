//! Uploads, modules and objects; usage of previews; what is deleted when.

use crate::fixture::{Fixture, finish_with, new_task};
use mecapy_model::{Digest, ErrorKind, Usage, Warning};
use mecapy_store::{
    Clock, Found, Grant, Method, NewModule, NewTask, NewUpload, ObjectKey, PreviewUsage, Store, StoreError,
    StoreOptions, Submission, SubmitError, Upload, UploadDeleted, UploadError, UploadState,
};
use std::collections::BTreeMap;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn new_upload(bytes_max: u64) -> NewUpload {
    NewUpload { name: Some("mesh.med".to_owned()), content_type: None, bytes_max }
}

async fn upload(fixture: &Fixture, bytes: &[u8]) -> Upload {
    let mut pending = fixture.store.begin_upload(fixture.tenant, new_upload(1 << 20)).await.unwrap();
    for chunk in bytes.chunks(1_000) {
        pending.write(chunk).await.unwrap();
    }
    pending.finish().await.unwrap()
}

async fn read(store: &Store, key: &ObjectKey) -> Option<Vec<u8>> {
    let mut reader = store.objects().open(key).await.unwrap()?;
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.chunk().await.unwrap() {
        bytes.extend(chunk);
    }
    assert_eq!(bytes.len() as u64, reader.size_bytes());
    Some(bytes)
}

#[tokio::test]
async fn an_upload_reads_back_with_its_size_and_digest() {
    let fixture = Fixture::new().await;
    let bytes: Vec<u8> = (0..700_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let uploaded = upload(&fixture, &bytes).await;
    assert_eq!((uploaded.state, uploaded.size_bytes), (UploadState::Complete, 700_000));
    let digest = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
    assert_eq!(uploaded.sha256, Some(Digest(digest.into())));
    let fixture = fixture.reopen().await;
    assert_eq!(read(&fixture.store, &uploaded.key).await.unwrap(), bytes);
    assert_eq!(fixture.store.uploads_after(fixture.tenant, None, 10).await.unwrap(), [uploaded]);
}

#[tokio::test]
async fn too_much_is_refused_and_leaves_nothing() {
    let fixture = Fixture::new().await;
    let mut pending = fixture.store.begin_upload(fixture.tenant, new_upload(10)).await.unwrap();
    pending.write(b"0123456789").await.unwrap();
    assert!(matches!(pending.write(b"x").await, Err(UploadError::TooLarge { bytes_max: 10 })));
    assert!(matches!(pending.write(b"").await, Ok(()) | Err(_)));
    let key = pending.upload().key.clone();
    assert!(pending.finish().await.is_err(), "a refused upload was kept");
    assert!(read(&fixture.store, &key).await.is_none());
    let mut dropped = fixture.store.begin_upload(fixture.tenant, new_upload(1 << 20)).await.unwrap();
    dropped.write(&vec![0; 600 << 10]).await.unwrap();
    drop(dropped);
    let left = std::fs::read_dir(fixture.data().join("objects/tmp")).unwrap().count();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_reserved_upload_is_received_once_and_then_completed() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let reserved = store.reserve_upload(tenant, new_upload(100)).await.unwrap();
    let grant = Grant {
        method: Method::Put,
        key: reserved.key.clone(),
        expires_at: fixture.clock.now() + Duration::from_secs(600),
        bytes_max: Some(100),
    };
    let query = store.signer().sign(&grant);
    let granted = store.signer().verify(Method::Put, &reserved.key, &query, fixture.clock.now()).unwrap();
    assert!(matches!(store.complete_upload(tenant, reserved.id).await, Err(UploadError::NotReceived)));
    // Two requests with the same URL at the same time: one wins.
    let mut first = store.receive_upload(&granted.key).await.unwrap();
    let mut second = store.receive_upload(&granted.key).await.unwrap();
    first.write(b"first").await.unwrap();
    second.write(b"other").await.unwrap();
    let received = first.finish().await.unwrap();
    assert_eq!(received.state, UploadState::Received);
    assert!(matches!(second.finish().await, Err(UploadError::AlreadyReceived)));
    assert!(matches!(store.receive_upload(&granted.key).await, Err(UploadError::AlreadyReceived)));
    assert_eq!(read(store, &received.key).await.unwrap(), b"first", "the loser's bytes replaced the winner's");
    for _ in 0..2 {
        let complete = store.complete_upload(tenant, reserved.id).await.unwrap();
        assert_eq!((complete.state, complete.size_bytes), (UploadState::Complete, 5));
    }
    let foreign = ObjectKey::parse("modules/a/b").unwrap();
    assert!(matches!(store.receive_upload(&foreign).await, Err(UploadError::Missing)));
}

#[tokio::test]
async fn uploads_expire_unless_a_live_task_names_them() {
    let fixture = Fixture::new().await;
    let (used, unused) = (upload(&fixture, b"used").await, upload(&fixture, b"unused").await);
    let awaited = fixture.store.reserve_upload(fixture.tenant, new_upload(1)).await.unwrap();
    let files = BTreeMap::from([("a".to_owned(), used.id), ("b".to_owned(), used.id)]);
    let submission =
        || Submission { task: NewTask { files: files.clone(), ..new_task(fixture.tenant) }, ..fixture.submission() };
    fixture.store.submit(submission()).await.unwrap();
    fixture.clock.advance(2 * DAY);
    assert_eq!(fixture.store.collect_garbage().await.unwrap().uploads, 1);
    assert!(fixture.store.upload(fixture.tenant, awaited.id).await.unwrap().is_none());
    fixture.clock.advance(40 * DAY);
    assert_eq!(fixture.store.collect_garbage().await.unwrap().uploads, 1);
    assert!(read(&fixture.store, &unused.key).await.is_none());
    assert_eq!(read(&fixture.store, &used.key).await.unwrap(), b"used");
    assert_eq!(fixture.store.delete_upload(fixture.tenant, used.id).await.unwrap(), UploadDeleted::InUse);

    let claimed = fixture.claim_one().await;
    assert_eq!(claimed.task.files, files);
    fixture.store.finish(claimed.claim, finish_with("{}")).await.unwrap();
    assert_eq!(fixture.store.collect_garbage().await.unwrap().uploads, 1);
    assert!(read(&fixture.store, &used.key).await.is_none());
    assert!(matches!(fixture.store.submit(submission()).await, Err(SubmitError::UnknownUpload { .. })));
    assert_eq!(fixture.store.delete_upload(fixture.tenant, used.id).await.unwrap(), UploadDeleted::Missing);
}

#[tokio::test]
async fn a_module_is_kept_once_and_can_come_back_after_its_deletion() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let warning = Warning { code: "names".to_owned(), message: "m".to_owned(), line: None, pointer: None };
    let new = || NewModule {
        digest: Digest([5; 32]),
        bytes: b"\0asm\x01\0\0\0".to_vec(),
        imports: vec!["wasi_snapshot_preview1.fd_write".to_owned()],
        exports: vec!["_start".to_owned()],
        warnings: vec![warning.clone()],
    };
    let first = store.put_module(tenant, new()).await.unwrap();
    fixture.clock.advance(DAY);
    assert_eq!(store.put_module(tenant, new()).await.unwrap(), first);
    assert_eq!(store.modules_after(tenant, None, 10).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(store.module_bytes(tenant, first.digest).await.unwrap().unwrap(), b"\0asm\x01\0\0\0");
    for _ in 0..20 {
        // A deletion's sweep must not take away what a new row names.
        let (deleted, put) = tokio::join!(store.delete_module(tenant, first.digest), store.put_module(tenant, new()));
        deleted.unwrap();
        put.unwrap();
        let row = store.module(tenant, first.digest).await.unwrap();
        let bytes = store.module_bytes(tenant, first.digest).await.unwrap();
        assert_eq!(row.is_some(), bytes.is_some());
        store.put_module(tenant, new()).await.unwrap();
    }
    assert_eq!(store.delete_module(tenant, first.digest).await.unwrap(), Found::Yes);
    assert!(store.module(tenant, first.digest).await.unwrap().is_none());
    assert_eq!(store.delete_module(tenant, first.digest).await.unwrap(), Found::No);
}

#[tokio::test]
async fn a_known_module_is_forgotten_with_its_deletion() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let other = store.create_tenant("other").await.unwrap();
    let new = |number| NewModule {
        digest: Digest([number; 32]),
        bytes: vec![number],
        imports: vec![],
        exports: vec![],
        warnings: vec![],
    };
    assert!(!store.has_module(tenant, Digest([1; 32])).await.unwrap());
    let first = store.put_module(tenant, new(1)).await.unwrap();
    let second = store.put_module(tenant, new(2)).await.unwrap();
    for _ in 0..2 {
        assert!(store.has_module(tenant, first.digest).await.unwrap());
        assert!(!store.has_module(other, first.digest).await.unwrap());
    }
    assert_eq!(store.modules_after(tenant, None, 10).await.unwrap(), [first.clone(), second.clone()]);
    let after = Some((first.created_at, first.digest));
    assert_eq!(store.modules_after(tenant, after, 10).await.unwrap(), [second]);
    assert_eq!(store.delete_module(tenant, first.digest).await.unwrap(), Found::Yes);
    assert!(!store.has_module(tenant, first.digest).await.unwrap());
    let fixture = fixture.reopen().await;
    assert!(fixture.store.has_module(tenant, Digest([2; 32])).await.unwrap());
}

#[tokio::test]
async fn uploads_are_listed_page_by_page() {
    let fixture = Fixture::new().await;
    let mut newest_first = Vec::new();
    for number in 0..3 {
        newest_first.insert(0, upload(&fixture, &[number]).await);
    }
    let page = |after| fixture.store.uploads_after(fixture.tenant, after, 2);
    assert_eq!(page(None).await.unwrap(), newest_first[..2]);
    assert_eq!(page(Some(newest_first[1].id)).await.unwrap(), newest_first[2..]);
    assert!(page(Some(newest_first[2].id)).await.unwrap().is_empty());
}

#[tokio::test]
async fn usage_of_previews_is_written_behind_and_by_the_time_of_close() {
    let fixture = Fixture::new().await;
    for number in 0..100 {
        let error_kind = (number % 2 == 0).then_some(ErrorKind::Exception);
        let usage = Usage { fuel: u64::MAX, cpu_ms: f64::NAN, ..Usage::default() };
        fixture.store.record_preview_usage(PreviewUsage { tenant: fixture.tenant, error_kind, usage });
    }
    fixture.store.close().await;
    assert_eq!(fixture.number("SELECT count(*) FROM preview_usage WHERE error_kind IS NOT NULL").await, 50);
    assert_eq!(fixture.number("SELECT count(*) FROM preview_usage WHERE cpu_ms = 0").await, 100);
    assert_eq!(fixture.store.preview_usage_dropped(), 0);
    // After the close everything is dropped, counted and harmless.
    let usage = PreviewUsage { tenant: fixture.tenant, error_kind: None, usage: Usage::default() };
    fixture.store.record_preview_usage(usage);
    assert_eq!(fixture.store.preview_usage_dropped(), 1);
    assert!(matches!(fixture.store.submit(fixture.submission()).await, Err(SubmitError::Store(StoreError::Closed))));
    assert!(fixture.store.ping().await.is_err());
}

#[tokio::test]
async fn usage_that_the_database_refuses_harms_no_neighbour() {
    let fixture = Fixture::new().await;
    fixture.store.ping().await.unwrap();
    let stranger = mecapy_model::TenantId::from_parts(1, &[9; 10]);
    fixture.store.record_preview_usage(PreviewUsage { tenant: stranger, error_kind: None, usage: Usage::default() });
    let (submitted, _) = tokio::join!(fixture.store.submit(fixture.submission()), fixture.store.close());
    let id = submitted.unwrap().task.id;
    let fixture = fixture.reopen().await;
    assert!(fixture.store.task(fixture.tenant, id).await.unwrap().is_some());
}

#[tokio::test]
async fn half_written_objects_of_an_earlier_process_are_dropped() {
    let fixture = Fixture::embedded().await;
    let leftover = fixture.data().join("objects/tmp/leftover");
    std::fs::write(&leftover, b"half").unwrap();
    let fixture = fixture.reopen().await;
    assert!(!leftover.exists());
    drop(fixture);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let clock = std::sync::Arc::new(mecapy_store::SystemClock::new().unwrap());
    assert!(matches!(Store::open(StoreOptions::new(file), clock).await, Err(StoreError::Io { .. })));
}
