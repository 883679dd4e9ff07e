//! What a store does with objects, over a folder and over a bucket.

use super::http::send;
use super::server::{BUCKET, Server};
use super::{clock, credentials, digest, grow_old, key, keys_under, pattern};
use crate::objects::{Link, ObjectKey, ObjectsOptions};
use crate::{ClaimRef, Found, LeaseToken, NewModule, NewUpload, Store, StoreOptions, Upload, UploadError, UploadState};
use mecapy_model::{Artifact, ArtifactName, TaskId, TenantId, UploadId};
use std::collections::HashSet;
use std::io::Read;
use std::time::Duration;
use tempfile::TempDir;

const MINUTE: Duration = Duration::from_secs(60);

struct Kept {
    store: Store,
    tenant: TenantId,
    _folder: TempDir,
    _server: Option<Server>,
}

impl Kept {
    async fn over(server: Option<Server>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = StoreOptions::new(folder.path().join("data"));
        if let Some(server) = &server {
            let address = format!("s3://{BUCKET}/mecapy?endpoint={}&region=garage", server.url).parse().unwrap();
            options.objects = ObjectsOptions { address, credentials: Some(credentials()), ..options.objects };
        }
        let store = Store::open(options, clock()).await.unwrap();
        let tenant = store.create_tenant("ours").await.unwrap();
        Self { store, tenant, _folder: folder, _server: server }
    }

    async fn bucket() -> Self {
        Self::over(Some(Server::start().await)).await
    }

    async fn both() -> [Self; 2] {
        [Self::over(None).await, Self::bucket().await]
    }

    async fn reserve(&self, bytes_max: u64) -> Upload {
        let new = NewUpload { name: Some("mesh.med".to_owned()), content_type: None, bytes_max };
        self.store.reserve_upload(self.tenant, new).await.unwrap()
    }

    /// An upload of these bytes, complete.
    async fn upload(&self, bytes: &[u8]) -> Upload {
        let new = NewUpload { name: None, content_type: None, bytes_max: bytes.len() as u64 };
        let mut pending = self.store.begin_upload(self.tenant, new).await.unwrap();
        pending.write(bytes).await.unwrap();
        pending.finish().await.unwrap()
    }

    async fn read(&self, upload: &Upload) -> Vec<u8> {
        self.store.objects().read(&upload.key).await.unwrap().unwrap()
    }

    async fn direct_url(&self, upload: &Upload, size_bytes: u64) -> String {
        let link = self.store.objects().link_put(upload, Some(size_bytes), MINUTE).await.unwrap();
        let Link::Absolute(url) = link else { panic!("{link:?} is no URL of the bucket") };
        url
    }
}

#[tokio::test]
async fn security_29_what_is_sent_straight_to_a_bucket_is_sealed_when_it_is_complete() {
    let kept = Kept::bucket().await;
    let (store, tenant) = (&kept.store, kept.tenant);
    let (upload, other) = (kept.reserve(10).await, kept.reserve(10).await);
    let url = kept.direct_url(&upload, 10).await;
    assert!(matches!(store.complete_upload(tenant, upload.id).await, Err(UploadError::NotReceived)));
    let refused = [
        ("PUT", url.clone(), &b"0123456789x"[..]),
        ("PUT", url.clone(), b"012345678"),
        ("PUT", url.replace(&upload.id.to_string(), &other.id.to_string()), b"0123456789"),
        ("PUT", url.replace("/incoming/", "/uploads/"), b"0123456789"),
        ("PUT", url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000"), b"0123456789"),
        ("GET", url.clone(), b""),
        ("DELETE", url.clone(), b""),
    ];
    for (method, url, body) in refused {
        let answer = send(method, &url, body).await;
        assert_eq!(answer.status, 403, "{method} {url}: {}", String::from_utf8_lossy(&answer.body));
    }
    assert!(matches!(store.complete_upload(tenant, upload.id).await, Err(UploadError::NotReceived)));
    assert_eq!(send("PUT", &url, b"0123456789").await.status, 200);
    let complete = store.complete_upload(tenant, upload.id).await.unwrap();
    assert_eq!((complete.state, complete.size_bytes), (UploadState::Complete, 10));
    assert_eq!(complete.sha256, Some(digest(b"0123456789")));
    // The URL works for a while yet: what it reaches is nobody's.
    assert_eq!(send("PUT", &url, b"9876543210").await.status, 200);
    assert_eq!(kept.read(&complete).await, b"0123456789");
    assert_eq!(store.complete_upload(tenant, upload.id).await.unwrap(), complete);
    assert_eq!(store.upload(tenant, upload.id).await.unwrap(), Some(complete.clone()));
    grow_old().await;
    let swept = store.sweep_orphans(Duration::ZERO).await.unwrap();
    assert_eq!((swept.objects, swept.bytes), (1, 10));
    assert_eq!(kept.read(&complete).await, b"0123456789");
}

#[tokio::test]
async fn many_who_complete_an_upload_at_once_get_the_same_answer() {
    let kept = Kept::bucket().await;
    let upload = kept.reserve(3).await;
    assert_eq!(send("PUT", &kept.direct_url(&upload, 3).await, b"abc").await.status, 200);
    let completions: Vec<_> = (0..8)
        .map(|_| {
            let (store, tenant, id) = (kept.store.clone(), kept.tenant, upload.id);
            tokio::spawn(async move { store.complete_upload(tenant, id).await })
        })
        .collect();
    for completion in completions {
        let complete = completion.await.unwrap().unwrap();
        assert_eq!((complete.state, complete.sha256), (UploadState::Complete, Some(digest(b"abc"))));
    }
    let complete = kept.store.upload(kept.tenant, upload.id).await.unwrap().unwrap();
    assert_eq!(keys_under(kept.store.objects(), "uploads", 10).await, [complete.key.as_str()]);
    assert!(keys_under(kept.store.objects(), "incoming", 10).await.is_empty());
}

#[tokio::test]
async fn more_than_was_announced_is_refused_even_where_a_bucket_let_it_in() {
    let kept = Kept::bucket().await;
    let upload = kept.reserve(10).await;
    let incoming = ObjectKey::incoming(kept.tenant, upload.id);
    kept.store.objects().put(&incoming, pattern(11)).await.unwrap();
    let refused = kept.store.complete_upload(kept.tenant, upload.id).await;
    assert!(matches!(refused, Err(UploadError::TooLarge { bytes_max: 10 })));
    assert!(kept.store.objects().head(&incoming).await.unwrap().is_none());
    assert!(matches!(kept.store.complete_upload(kept.tenant, upload.id).await, Err(UploadError::NotReceived)));
}

#[tokio::test]
async fn without_a_size_the_platform_itself_takes_the_bytes_and_only_once() {
    for kept in Kept::both().await {
        let (store, tenant) = (&kept.store, kept.tenant);
        let upload = kept.reserve(100).await;
        let link = store.objects().link_put(&upload, None, MINUTE).await.unwrap();
        let Link::Local(path) = link else { panic!("{link:?} is no URL of this platform") };
        assert!(path.starts_with(&format!("uploads/{tenant}/{}?expires=", upload.id)), "{path}");
        let (mut first, mut second) =
            (store.receive_upload(&upload.key).await.unwrap(), store.receive_upload(&upload.key).await.unwrap());
        first.write(b"first").await.unwrap();
        second.write(b"other").await.unwrap();
        assert_eq!(first.finish().await.unwrap().state, UploadState::Received);
        assert!(matches!(second.finish().await, Err(UploadError::AlreadyReceived)));
        let complete = store.complete_upload(tenant, upload.id).await.unwrap();
        assert_eq!(kept.read(&complete).await, b"first");
        assert_eq!(keys_under(store.objects(), "uploads", 10).await, [complete.key.as_str()]);
        store.delete_upload(tenant, upload.id).await.unwrap();
        assert!(keys_under(store.objects(), "uploads", 10).await.is_empty());
    }
}

#[tokio::test]
async fn uploads_open_as_files_for_their_tenant_alone() {
    for kept in Kept::both().await {
        let (store, tenant) = (&kept.store, kept.tenant);
        let (one, large) = (kept.upload(b"one").await, kept.upload(&pattern(9 << 20)).await);
        let (awaited, nobody) = (kept.reserve(1).await, UploadId::from_parts(1, &[9; 10]));
        let wanted = HashSet::from([one.id, large.id, awaited.id, nobody]);
        let open = store.open_uploads(tenant, wanted.clone()).await.unwrap();
        assert_eq!(open.files.keys().copied().collect::<HashSet<_>>(), HashSet::from([one.id, large.id]));
        let (file, bytes) = &open.files[&large.id];
        let mut read = Vec::new();
        file.as_ref().read_to_end(&mut read).unwrap();
        assert!(*bytes == 9 << 20 && read == pattern(9 << 20));
        let other = store.create_tenant("theirs").await.unwrap();
        assert!(store.open_uploads(other, wanted).await.unwrap().files.is_empty());
    }
}

#[tokio::test]
async fn a_module_comes_back_after_its_deletion_and_is_kept_once() {
    for kept in Kept::both().await {
        let (store, tenant) = (&kept.store, kept.tenant);
        let bytes = b"\0asm\x01\0\0\0".to_vec();
        let new = || NewModule {
            digest: digest(&bytes),
            bytes: bytes.clone(),
            imports: Vec::new(),
            exports: Vec::new(),
            warnings: Vec::new(),
        };
        let (first, second) = tokio::join!(store.put_module(tenant, new()), store.put_module(tenant, new()));
        assert_eq!(first.unwrap().digest, second.unwrap().digest);
        assert_eq!(keys_under(store.objects(), "modules", 10).await.len(), 1);
        assert_eq!(store.module_bytes(tenant, digest(&bytes)).await.unwrap().unwrap(), bytes);
        assert_eq!(store.delete_module(tenant, digest(&bytes)).await.unwrap(), Found::Yes);
        assert!(keys_under(store.objects(), "modules", 10).await.is_empty());
        store.put_module(tenant, new()).await.unwrap();
        grow_old().await;
        assert_eq!(store.sweep_orphans(Duration::ZERO).await.unwrap().objects, 0);
        assert_eq!(store.module_bytes(tenant, digest(&bytes)).await.unwrap().unwrap(), bytes);
    }
}

#[tokio::test]
async fn what_an_attempt_stored_goes_together() {
    for kept in Kept::both().await {
        let (store, task) = (&kept.store, TaskId::from_parts(1, &[2; 10]));
        let claim = ClaimRef { task, tenant: kept.tenant, fence: 1, lease: LeaseToken([0; 16]), no: 1 };
        let artifact = |name: &str, size| Artifact::new(ArtifactName::parse(name).unwrap(), pattern(size));
        let stored =
            store.store_artifacts(&claim, &[artifact("a/b.csv", 3), artifact("c.png", 9 << 20)]).await.unwrap();
        assert_eq!(stored[1].sha256, digest(&pattern(9 << 20)));
        store.objects().store_result(&claim, "x".repeat(300 << 10)).await.unwrap();
        let later = ClaimRef { fence: 2, ..claim.clone() };
        let kept_file = store.store_artifacts(&later, &[artifact("a/b.csv", 4)]).await.unwrap();
        store.delete_attempt_objects(kept.tenant, task, 1).await.unwrap();
        assert_eq!(keys_under(store.objects(), "artifacts", 10).await, [kept_file[0].key.as_str()]);
        assert!(keys_under(store.objects(), "results", 10).await.is_empty());
        // No row is there of this task.
        store.objects().put(&key("artifacts/unknown"), pattern(1)).await.unwrap();
        grow_old().await;
        assert_eq!(store.sweep_orphans(Duration::ZERO).await.unwrap().objects, 1);
        assert_eq!(keys_under(store.objects(), "artifacts", 10).await, ["artifacts/unknown"]);
    }
}
