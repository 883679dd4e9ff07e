//! Containers that a worker left behind, and whose they are.

use crate::bench::{Bench, SIZES, claim, now, number, watch};
use mecapy_model::LogStream::Stdout;
use mecapy_runtime::{
    Cancel,
    container::{Claim, EngineError, Found, Run, sweep},
    solver::{Folder as _, Stopped},
};
use std::time::Duration;

#[tokio::test]
async fn a_worker_that_starts_again_takes_over_what_runs_and_hears_all_of_it() {
    let bench = Bench::new().await;
    let claim = Claim { fence: 9, log_offset: 1234, ..claim() };
    let volume = bench.volumes.create(&claim.key(), SIZES.disk_bytes).await.unwrap();
    let script = "i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); sleep 0.03; done; echo out > result";
    let launch = bench.launch_as(claim, script, SIZES, volume.path());
    let run = Run::launch(&bench.engine, &launch).await.unwrap();
    // The worker dies in the middle of it.
    let cut = tokio::time::timeout(Duration::from_millis(300), watch(&run, &Cancel::new())).await;
    assert!(cut.is_err());
    drop((run, volume));

    let found = bench.engine.find(&bench.owner).await.unwrap();
    let [found] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((found.claim, found.running), (Some(claim), true));
    let run = Run::adopt(&bench.engine, found, &bench.owner, now()).await.unwrap();
    let volume = bench.volumes.adopt(&claim.key()).unwrap();
    let (watched, lines) = watch(&run, &Cancel::new()).await.unwrap();
    assert_eq!((watched.exit_code, watched.stopped), (0, None));
    assert_eq!(lines, (0..100).map(|index| (Stdout, format!("line {index}"))).collect::<Vec<_>>());
    assert!(watched.usage.memory_peak_bytes > 0 && watched.wall > Duration::from_millis(900), "{watched:?}");

    // It has ended, and dies again before it could say so: the end is told once more.
    let found = bench.engine.find(&bench.owner).await.unwrap();
    assert!(!found[0].running);
    let again = Run::adopt(&bench.engine, &found[0], &bench.owner, now()).await.unwrap();
    let (same, lines) = watch(&again, &Cancel::new()).await.unwrap();
    assert_eq!((same.exit_code, same.wall, lines.len()), (0, watched.wall, 100));
    assert_eq!(volume.files(10).unwrap().list().unwrap().len(), 1);
    again.remove().await.unwrap();
    volume.remove().await.unwrap();
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_deadline_goes_on_where_its_worker_does_not() {
    let bench = Bench::new().await;
    let volume = bench.volumes.create("v", SIZES.disk_bytes).await.unwrap();
    drop(Run::launch(&bench.engine, &bench.launch("sleep 100", SIZES, &volume)).await.unwrap());
    let found = bench.engine.find(&bench.owner).await.unwrap();
    let run = Run::adopt(&bench.engine, &found[0], &bench.owner, now() + Duration::from_secs(61)).await.unwrap();
    let (watched, _) = watch(&run, &Cancel::new()).await.unwrap();
    assert_eq!(watched.stopped, Some(Stopped::Timeout));
    run.remove().await.unwrap();
    volume.remove().await.unwrap();
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_container_of_an_older_claim_makes_way_and_one_of_a_newer_does_not() {
    let bench = Bench::new().await;
    let volume = bench.volumes.create("v", SIZES.disk_bytes).await.unwrap();
    let older = claim();
    let newer = Claim { fence: older.fence + 1, ..older };
    let launch = |claim| bench.launch_as(claim, "sleep 100", SIZES, volume.path());
    let stale = Run::launch(&bench.engine, &launch(older)).await.unwrap();
    let run = Run::launch(&bench.engine, &launch(newer)).await.unwrap();
    assert!(matches!(watch(&stale, &Cancel::new()).await, Err(EngineError::Vanished(_))));
    let error = Run::launch(&bench.engine, &launch(older)).await.unwrap_err();
    assert!(matches!(&error, EngineError::Conflict(_)), "{error}");
    run.remove().await.unwrap();
    stale.remove().await.unwrap();
    volume.remove().await.unwrap();
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn the_janitor_removes_what_no_claim_owns_and_nothing_else() {
    let (bench, other) = (Bench::new().await, Bench::new().await);
    let live = claim();
    let mut runs = Vec::new();
    for claim in [live, claim(), claim()] {
        let volume = bench.volumes.create(&claim.key(), SIZES.disk_bytes).await.unwrap();
        runs.push(
            Run::launch(&bench.engine, &bench.launch_as(claim, "sleep 100", SIZES, volume.path())).await.unwrap(),
        );
    }
    // What a worker leaves that dies between two steps.
    std::fs::create_dir(bench.folder.path().join("volumes/half")).unwrap();
    std::fs::write(bench.folder.path().join("volumes/other-half.ext4"), "").unwrap();
    let kept = other.volumes.create(&format!("v{}", number()), SIZES.disk_bytes).await.unwrap();
    let theirs = Run::launch(&other.engine, &other.launch("sleep 100", SIZES, &kept)).await.unwrap();

    let swept = sweep(&bench.engine, &bench.volumes, &bench.owner, &|key| key == live.key()).await.unwrap();
    assert_eq!((swept.containers, swept.volumes), (2, 4));
    let ids = |found: Vec<Found>| found.into_iter().map(|found| found.id).collect::<Vec<_>>();
    assert_eq!(ids(bench.engine.find(&bench.owner).await.unwrap()), [runs[0].id()]);
    assert_eq!(bench.volumes.found().unwrap(), [live.key()]);
    assert_eq!(ids(other.engine.find(&other.owner).await.unwrap()), [theirs.id()]);

    sweep(&bench.engine, &bench.volumes, &bench.owner, &|_| false).await.unwrap();
    sweep(&other.engine, &other.volumes, &other.owner, &|_| false).await.unwrap();
    bench.nothing_is_left().await;
    other.nothing_is_left().await;
}
