//! Objects that rows need and objects that none needs.

use crate::fixture::{Fixture, finish_with};
use mecapy_model::{Artifact, ArtifactName};
use mecapy_store::{Finish, NewUpload, ObjectKey};
use std::time::Duration;
use time::OffsetDateTime;

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// Files have the machine's time, which the test's clock does not.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

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
    assert_eq!(store.sweep_orphans(CENTURY).await.unwrap().objects, 0, "nothing is so old");
    fixture.clock.advance(CENTURY);
    // As the upkeep does, from a task of its own.
    let sweeping = store.clone();
    let swept = tokio::spawn(async move { sweeping.sweep_orphans(DAY).await });
    let swept = swept.await.unwrap().unwrap();
    assert_eq!((swept.objects, swept.bytes), (1, 3));
    assert!(store.objects().head(&late[0].key).await.unwrap().is_none());
    assert!(store.objects().head(&stored[0].key).await.unwrap().is_some());
    assert!(store.objects().head(&upload.key).await.unwrap().is_some());
    let finish = Finish { artifacts: stored.clone(), ..finish_with("{}") };
    store.finish(again.claim, finish).await.unwrap();
    assert_eq!(store.sweep_orphans(DAY).await.unwrap().objects, 0);
    assert!(store.objects().head(&stored[0].key).await.unwrap().is_some());
}

#[tokio::test]
async fn what_an_ended_task_does_not_name_goes_and_what_it_names_stays() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    fixture.submit().await;
    let claimed = fixture.claim_one().await;
    let [named, left] = ["a.csv", "b.csv"].map(|name| [Artifact::new(ArtifactName::parse(name).unwrap(), vec![1, 2])]);
    let named = store.store_artifacts(&claimed.claim, &named).await.unwrap();
    let left = store.store_artifacts(&claimed.claim, &left).await.unwrap();
    let finish = Finish { artifacts: named.clone(), ..finish_with(&format!("\"{}\"", "x".repeat(300_000))) };
    store.finish(claimed.claim, finish).await.unwrap();
    fixture.clock.advance(CENTURY);
    let swept = store.sweep_orphans(DAY).await.unwrap();
    assert_eq!((swept.objects, swept.bytes), (1, 2));
    assert!(store.objects().head(&left[0].key).await.unwrap().is_none());
    assert!(store.objects().head(&named[0].key).await.unwrap().is_some());
    // The result, which is an object too, is as it was.
    let results = ObjectKey::parse(&format!("results/{}/{}", fixture.tenant, claimed.task.id)).unwrap();
    assert_eq!(store.objects().list_under(&results).next(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_objects_of_another_installation_are_left_alone() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let tenant = "0193a2b4-0000-7000-8000-000000000001";
    let theirs = ["artifacts", "results"].map(|kind| format!("{kind}/{tenant}/{tenant}/1/a.csv"));
    let theirs = theirs.map(|key| ObjectKey::parse(&key).unwrap());
    for key in &theirs {
        store.objects().put(key, b"1".to_vec()).await.unwrap();
    }
    fixture.clock.advance(CENTURY);
    assert_eq!(store.sweep_orphans(DAY).await.unwrap().objects, 0);
    for key in &theirs {
        assert!(store.objects().head(key).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn one_process_sweeps_a_day() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    assert!(store.sweep_orphans_every(DAY, DAY).await.unwrap().is_some());
    fixture.clock.advance(DAY / 2);
    assert!(store.sweep_orphans_every(DAY, DAY).await.unwrap().is_none());
    fixture.clock.advance(DAY / 2);
    assert!(store.sweep_orphans_every(DAY, DAY).await.unwrap().is_some());
    assert!(store.sweep_orphans_every(DAY, DAY).await.unwrap().is_none());
}
