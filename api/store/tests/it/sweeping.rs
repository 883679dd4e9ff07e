//! Objects that rows need and objects that none needs.

use crate::fixture::{Fixture, finish_with};
use mecapy_model::{Artifact, ArtifactName};
use mecapy_store::{Finish, NewUpload};
use std::time::Duration;
use time::OffsetDateTime;

#[tokio::test]
async fn a_sweep_keeps_what_the_latest_attempt_stored() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    fixture.submit().await;
    let lost = fixture.claim_one().await;
    let file = [Artifact::new(ArtifactName::parse("a.csv").unwrap(), b"1,2".to_vec())];
    store.lose(lost.claim.clone(), OffsetDateTime::UNIX_EPOCH).await.unwrap();
    // It writes although it was given up.
    let late = store.store_artifacts(&lost.claim, &file).await.unwrap();
    let again = fixture.claim_one().await;
    let stored = store.store_artifacts(&again.claim, &file).await.unwrap();
    let mut pending =
        store.begin_upload(fixture.tenant, NewUpload { name: None, content_type: None, bytes_max: 3 }).await.unwrap();
    pending.write(b"abc").await.unwrap();
    let upload = pending.finish().await.unwrap();
    // Files have the machine's time, which the test's clock does not.
    let future = Duration::from_secs(100 * 365 * 24 * 3_600);
    assert_eq!(store.sweep_orphans(future).await.unwrap().objects, 0, "nothing is so old");
    fixture.clock.advance(future);
    // As the upkeep does, from a task of its own.
    let sweeping = store.clone();
    let swept = tokio::spawn(async move { sweeping.sweep_orphans(Duration::from_secs(24 * 3_600)).await });
    let swept = swept.await.unwrap().unwrap();
    assert_eq!((swept.objects, swept.bytes), (1, 3));
    assert!(store.objects().head(&late[0].key).await.unwrap().is_none());
    assert!(store.objects().head(&stored[0].key).await.unwrap().is_some());
    assert!(store.objects().head(&upload.key).await.unwrap().is_some());
    let finish = Finish { artifacts: stored.clone(), ..finish_with("{}") };
    store.finish(again.claim, finish).await.unwrap();
    assert_eq!(store.sweep_orphans(Duration::from_secs(24 * 3_600)).await.unwrap().objects, 0);
    assert!(store.objects().head(&stored[0].key).await.unwrap().is_some());
}
