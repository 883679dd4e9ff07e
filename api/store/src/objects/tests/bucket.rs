//! What only a bucket can do wrong, and what its URLs allow.

use super::http::send;
use super::server::{ACCESS_KEY, BUCKET, Mood, SECRET_KEY, Server};
use super::{PART_BYTES, Place, bucket_at, clock, credentials, digest, impatient, key, over, pattern};
use crate::objects::s3::Patience;
use crate::objects::{Download, Link, ObjectsAddress, ObjectsOptions, S3Credentials};
use crate::signer::Signer;
use crate::{ManualClock, Objects, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

const MINUTE: Duration = Duration::from_secs(60);

/// An error's whole text, that of its debug form too.
fn all_of(error: &StoreError) -> String {
    format!("{error} {error:?}")
}

fn absolute(link: Link) -> String {
    match link {
        Link::Absolute(url) => url,
        Link::Local(url) => panic!("{url} is no URL of the store"),
    }
}

#[tokio::test]
async fn wrong_credentials_say_what_to_check_and_nothing_secret() {
    let place = Place::bucket().await;
    let server = place.server.as_ref().unwrap();
    let wrong = [
        S3Credentials { secret_access_key: "another-secret".to_owned(), ..credentials() },
        S3Credentials { access_key_id: "AKIANOBODYNOBODY".to_owned(), ..credentials() },
    ];
    for credentials in wrong {
        let s3 = bucket_at(&server.url, &credentials, impatient(), clock());
        let objects = over(s3, &place.folder, clock());
        let secret = credentials.secret_access_key;
        let errors = [
            objects.ping().await.unwrap_err(),
            objects.put(&key("uploads/a/b"), b"x".to_vec()).await.unwrap_err(),
            objects.open(&key("uploads/a/b")).await.unwrap_err(),
            objects.delete_under(&key("uploads/a")).await.unwrap_err(),
        ];
        for error in errors {
            assert!(error.to_string().contains("check the"), "{error}");
            assert!(error.to_string().contains(&server.url) && error.to_string().contains(BUCKET), "{error}");
            assert!(!error.is_retryable(), "{error}");
            for hidden in [&*secret, SECRET_KEY, ACCESS_KEY, "AKIANOBODYNOBODY", "Signature="] {
                assert!(!all_of(&error).contains(hidden), "{error:?} tells {hidden}");
            }
        }
    }
}

#[tokio::test]
async fn a_bucket_without_credentials_is_not_opened() {
    let spool = tempfile::tempdir().unwrap();
    let options = |credentials| ObjectsOptions {
        address: "s3://bucket?region=x&endpoint=http://127.0.0.1:1".parse::<ObjectsAddress>().unwrap(),
        credentials,
        spool_folder: spool.path().join("spool"),
        spool_bytes_max: 1 << 20,
    };
    let error = Objects::connect(options(None), Signer::new(&[7; 32]), clock()).unwrap_err();
    assert!(error.to_string().contains("there are no credentials"), "{error}");
    Objects::connect(options(Some(credentials())), Signer::new(&[7; 32]), clock()).unwrap();
    assert!(spool.path().join("spool").is_dir());
}

#[tokio::test]
async fn a_bucket_that_is_not_there_says_so() {
    let place = Place::bucket().await;
    let server = place.server.as_ref().unwrap();
    std::fs::remove_dir(server.folder.path().join(BUCKET)).unwrap();
    let error = place.objects.ping().await.unwrap_err();
    assert!(error.to_string().contains("make the bucket first") && !error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_server_that_is_down_or_silent_may_be_asked_again() {
    let spool = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let server = Server::start().await;
    server.set(Mood::Silent);
    let patience = Patience { attempt: Duration::from_millis(200), ..impatient() };
    for (url, why) in [(&gone, "refused"), (&server.url, "no answer in time")] {
        let objects = over(bucket_at(url, &credentials(), patience, clock()), &spool, clock());
        let errors = [
            objects.ping().await.unwrap_err(),
            objects.put(&key("uploads/a/b"), b"x".to_vec()).await.unwrap_err(),
            objects.read(&key("uploads/a/b")).await.unwrap_err(),
        ];
        for error in errors {
            assert!(error.is_retryable() && error.to_string().contains(why), "{error}");
            assert!(!all_of(&error).contains(SECRET_KEY), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_busy_server_is_asked_again_for_a_while() {
    let place = Place::bucket().await;
    let (objects, server) = (&place.objects, place.server.as_ref().unwrap());
    server.set(Mood::Busy(1));
    objects.put(&key("uploads/a/b"), pattern(PART_BYTES + 1)).await.unwrap();
    server.set(Mood::Busy(100));
    let error = objects.read(&key("uploads/a/b")).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("SlowDown"), "{error}");
    server.set(Mood::Fine);
    assert!(objects.read(&key("uploads/a/b")).await.unwrap().is_some());
}

#[tokio::test]
async fn an_object_that_breaks_off_or_has_changed_is_an_error() {
    let place = Place::bucket().await;
    let (objects, server) = (&place.objects, place.server.as_ref().unwrap());
    let (key, bytes) = (key("uploads/a/b"), pattern(1 << 20));
    objects.put(&key, bytes.clone()).await.unwrap();
    let room = || async { objects.spool_room(1 << 20).await.unwrap() };
    server.set(Mood::BreaksOff);
    assert!(objects.read(&key).await.unwrap_err().is_retryable());
    assert!(objects.open_file(&key, digest(&bytes), &mut room().await).await.unwrap_err().is_retryable());
    server.set(Mood::Fine);
    let other = objects.open_file(&key, digest(b"other"), &mut room().await).await.unwrap_err();
    assert!(matches!(other, StoreError::Corrupt { .. }), "{other}");
    let mut small = objects.spool_room((1 << 20) - 1).await.unwrap();
    let larger = objects.open_file(&key, digest(&bytes), &mut small).await.unwrap_err();
    assert!(matches!(larger, StoreError::Corrupt { .. }), "{larger}");
    assert!(objects.open_file(&key, digest(&bytes), &mut room().await).await.unwrap().is_some());
    assert_eq!(std::fs::read_dir(place.folder.path()).unwrap().count(), 0, "a copy has a name");
}

#[tokio::test]
async fn bytes_that_change_on_their_way_are_refused() {
    let place = Place::bucket().await;
    let server = place.server.as_ref().unwrap();
    let s3 = bucket_at(&server.url, &credentials(), impatient(), clock());
    let error = s3.put(&key("uploads/a/b"), b"these".to_vec(), digest(b"those")).await.unwrap_err();
    assert!(error.to_string().contains("BadDigest"), "{error}");
}

#[tokio::test]
async fn an_answer_lost_at_the_end_of_a_large_object_does_not_lose_it() {
    let place = Place::bucket().await;
    let (objects, server) = (&place.objects, place.server.as_ref().unwrap());
    server.set(Mood::Forgetful);
    let bytes = pattern(PART_BYTES + 1);
    let (size, found) = objects.put(&key("artifacts/a"), bytes.clone()).await.unwrap();
    assert_eq!((size, found), (bytes.len() as u64, digest(&bytes)));
    assert!(objects.read(&key("artifacts/a")).await.unwrap().unwrap() == bytes);
}

#[tokio::test]
async fn security_29_a_url_to_read_gives_one_object_as_a_file_and_nothing_else() {
    let place = Place::bucket().await;
    let objects = &place.objects;
    let (ours, theirs) = (key("artifacts/tenant-1/x/1/page%20one.html"), key("artifacts/tenant-2/x/1/a"));
    objects.put(&ours, b"<script>".to_vec()).await.unwrap();
    objects.put(&theirs, b"secret".to_vec()).await.unwrap();
    let download = Download { name: "out/page one.html", content_type: "text/html" };
    let url = absolute(objects.link_get(&ours, download, MINUTE).await.unwrap());
    let answer = send("GET", &url, b"").await;
    assert_eq!((answer.status, &*answer.body), (200, b"<script>".as_slice()), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename*=UTF-8''page%20one.html"));
    let changed = [
        ("GET", url.replace("tenant-1", "tenant-2").replace("page%2520one.html", "a")),
        ("GET", url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")),
        ("GET", url.replace("application%2Foctet-stream", "text%2Fhtml")),
        ("GET", url.replace("attachment", "inline")),
        ("GET", url.split_once('?').unwrap().0.to_owned()),
        ("PUT", url.clone()),
        ("DELETE", url.clone()),
    ];
    for (method, changed) in changed {
        assert!(method != "GET" || changed != url, "nothing was changed");
        let answer = send(method, &changed, b"").await;
        assert_eq!(answer.status, 403, "{method} {changed}: {}", String::from_utf8_lossy(&answer.body));
    }
    assert_eq!(objects.read(&ours).await.unwrap().unwrap(), b"<script>");
}

#[tokio::test]
async fn clients_are_handed_the_name_by_which_they_know_the_store() {
    let spool = tempfile::tempdir().unwrap();
    let options = ObjectsOptions {
        address: "s3://bucket?endpoint=http://inside:9000&public_endpoint=https://outside".parse().unwrap(),
        credentials: Some(credentials()),
        spool_folder: spool.path().to_owned(),
        spool_bytes_max: 0,
    };
    let objects = Objects::connect(options, Signer::new(&[7; 32]), clock()).unwrap();
    let download = Download { name: "a", content_type: "text/plain" };
    let url = absolute(objects.link_get(&key("artifacts/a"), download, MINUTE).await.unwrap());
    assert!(url.starts_with("https://outside/bucket/artifacts/a?"), "{url}");
}

#[tokio::test]
async fn security_29_a_url_does_not_outlive_its_time() {
    let place = Place::bucket().await;
    let server = place.server.as_ref().unwrap();
    place.objects.put(&key("artifacts/a"), b"x".to_vec()).await.unwrap();
    // Signed two hours ago for as long as may be, which is an hour.
    let earlier = Arc::new(ManualClock::at(clock().now() - 120 * MINUTE, 7));
    let s3 = bucket_at(&server.url, &credentials(), impatient(), earlier.clone());
    let objects = over(s3, &place.folder, earlier.clone());
    let download = Download { name: "a", content_type: "text/plain" };
    let link = async |lifetime| absolute(objects.link_get(&key("artifacts/a"), download, lifetime).await.unwrap());
    assert_eq!(send("GET", &link(1_000 * MINUTE).await, b"").await.status, 403);
    earlier.advance(115 * MINUTE);
    assert_eq!(send("GET", &link(MINUTE).await, b"").await.status, 403);
    assert_eq!(send("GET", &link(6 * MINUTE).await, b"").await.status, 200);
}
