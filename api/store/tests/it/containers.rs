//! Tasks that run in containers: which are claimed, and how claims outlive their worker.

use crate::fixture::{Fixture, finish_with, ids, new_task, open_when_free};
use mecapy_model::{
    Artifact, ArtifactName, CONTAINER_MEMORY_BYTES_DEFAULT, Code, Executor, Lane, LimitsRequest, LogStream, Room,
    TaskId, TaskState, TenantId,
};
use mecapy_store::{
    Adopted, ArtifactFile, Beat, ClaimRequest, Claimed, Claims, Clock, Finish, KeptClaim, LEASE_HANDED_OVER_MAX,
    NewLog, NewTask, Quota, StoreError, Submission, Written,
};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

const GIB: u64 = 1 << 30;

fn room(cpus: u32, gib: u64) -> Room {
    Room { cpus, memory_bytes: gib * GIB }
}

impl Fixture {
    /// A solver's task that needs so much.
    async fn solve(&self, tenant: TenantId, lane: Lane, needs: Room) -> TaskId {
        self.solve_with(NewTask { lane, ..new_task(tenant) }, needs).await
    }

    async fn solve_with(&self, task: NewTask, needs: Room) -> TaskId {
        let asked = LimitsRequest {
            memory_bytes: Some(needs.memory_bytes),
            cpus: Some(needs.cpus),
            ..LimitsRequest::default()
        };
        let limits = asked.resolve_container(task.lane, CONTAINER_MEMORY_BYTES_DEFAULT).unwrap();
        let code = Code::Solver { solver: "calculix".to_owned(), version: "2.20".to_owned() };
        let task = NewTask { code, limits, ..task };
        self.store.submit(Submission { task, ..self.submission() }).await.unwrap().task.id
    }

    async fn claim_containers(&self, lane: Lane, total: Room, free: Room) -> Claims {
        self.store.claim_or_wait(ClaimRequest::containers(lane, 100, total, free)).await.unwrap()
    }

    async fn adopt(&self, claimed: &Claimed) -> Option<Adopted> {
        self.store.adopt(KeptClaim::from(&claimed.claim)).await.unwrap()
    }
}

#[tokio::test]
async fn each_executor_claims_its_own_tasks_alone() {
    let fixture = Fixture::new().await;
    for lane in [Lane::Default, Lane::LongRunning] {
        let solve = fixture.solve(fixture.tenant, lane, room(1, 1)).await;
        let sandboxed = fixture.submit_for(fixture.tenant, lane).await;
        let (_, position) = fixture.store.task_with_position(fixture.tenant, sandboxed).await.unwrap().unwrap();
        assert_eq!(position, Some(0), "{lane}: it stands behind no container");
        assert_eq!(ids(&fixture.claim(lane, 10).await), [sandboxed], "{lane}");
        assert!(fixture.claim(lane, 10).await.is_empty(), "{lane}");
        assert_eq!(fixture.store.next_due(lane).await.unwrap(), None, "{lane}: nothing is due in a sandbox");
        let claims = fixture.claim_containers(lane, room(4, 4), room(4, 4)).await;
        assert_eq!((ids(&claims.claimed), claims.waits_for), (vec![solve], None), "{lane}");
        assert_eq!(claims.claimed[0].task.code.executor(), Executor::Container);
        // Given back, it waits for a container again.
        fixture.store.release(claims.claimed[0].claim.clone()).await.unwrap();
        assert!(fixture.claim(lane, 10).await.is_empty(), "{lane}");
        assert_eq!(ids(&fixture.claim_containers(lane, room(4, 4), room(4, 4)).await.claimed), [solve], "{lane}");
    }
}

#[tokio::test]
async fn a_large_task_waits_for_its_room_and_is_not_overtaken() {
    let fixture = Fixture::new().await;
    let lane = Lane::LongRunning;
    let first = fixture.solve(fixture.tenant, lane, room(2, 1)).await;
    let large = fixture.solve(fixture.tenant, lane, room(4, 8)).await;
    let small = fixture.solve(fixture.tenant, lane, room(1, 1)).await;
    let total = room(4, 8);
    let claims = fixture.claim_containers(lane, total, total).await;
    assert_eq!((ids(&claims.claimed), claims.waits_for), (vec![first], Some(room(4, 8))));
    let claims = fixture.claim_containers(lane, total, room(2, 7)).await;
    assert_eq!((claims.claimed.len(), claims.waits_for), (0, Some(room(4, 8))), "the small one has to wait too");
    // Memory alone is not enough, nor are cores.
    for free in [room(3, 8), room(4, 7)] {
        assert!(fixture.claim_containers(lane, total, free).await.claimed.is_empty(), "{free:?}");
    }
    let claims = fixture.claim_containers(lane, total, total).await;
    assert_eq!((ids(&claims.claimed), claims.waits_for), (vec![large], Some(room(1, 1))));
    assert_eq!(ids(&fixture.claim_containers(lane, total, room(1, 1)).await.claimed), [small]);
}

#[tokio::test]
async fn what_a_worker_can_never_run_holds_up_nothing() {
    let fixture = Fixture::new().await;
    for lane in [Lane::Default, Lane::LongRunning] {
        let mut huge = Vec::new();
        for _ in 0..3 {
            huge.push(fixture.solve(fixture.tenant, lane, room(32, 64)).await);
        }
        let usual = fixture.solve(fixture.tenant, lane, room(1, 1)).await;
        let claims = fixture.claim_containers(lane, room(2, 2), room(2, 2)).await;
        assert_eq!((ids(&claims.claimed), claims.waits_for), (vec![usual], None), "{lane}");
        // A larger worker takes them in turn.
        let claims = fixture.claim_containers(lane, room(64, 128), room(64, 128)).await;
        assert_eq!((ids(&claims.claimed), claims.waits_for), (huge[..2].to_vec(), Some(room(32, 64))), "{lane}");
        assert_eq!(
            ids(&fixture.claim_containers(lane, room(64, 128), room(64, 128)).await.claimed),
            huge[2..],
            "{lane}"
        );
    }
}

#[tokio::test]
async fn containers_of_the_default_lane_go_by_priority_and_by_turns() {
    let fixture = Fixture::new().await;
    let other = fixture.store.create_tenant("other").await.unwrap();
    let mut ours = Vec::new();
    for _ in 0..3 {
        ours.push(fixture.solve(fixture.tenant, Lane::Default, room(1, 1)).await);
    }
    let theirs = fixture.solve(other, Lane::Default, room(1, 1)).await;
    let urgent = fixture.solve_with(NewTask { priority: 9, ..new_task(fixture.tenant) }, room(1, 1)).await;
    let (_, position) = fixture.store.task_with_position(fixture.tenant, ours[0]).await.unwrap().unwrap();
    assert!(position.is_some_and(|ahead| ahead >= 1), "{position:?}: the urgent one is ahead");
    let order: Vec<TaskId> = ids(&fixture.claim_containers(Lane::Default, room(9, 9), room(3, 9)).await.claimed);
    assert_eq!(order, [urgent, theirs, ours[0]]);
}

#[tokio::test]
async fn caps_of_the_long_running_lane_count_sandboxes_and_containers_together() {
    let fixture = Fixture::new().await;
    let lane = Lane::LongRunning;
    let other = fixture.store.create_tenant("other").await.unwrap();
    for tenant in [fixture.tenant, other] {
        for _ in 0..4 {
            fixture.submit_for(tenant, lane).await;
            fixture.solve(tenant, lane, room(1, 1)).await;
        }
    }
    let capped = |request: ClaimRequest| ClaimRequest {
        running_max: Some(5),
        running_per_tenant_max: Some(3),
        starts_per_minute_max: Some(3),
        ..request
    };
    let of_tenant = |claimed: &[Claimed], tenant| claimed.iter().filter(|one| one.task.tenant == tenant).count();
    let sandboxes = fixture.store.claim(capped(ClaimRequest::new(lane, 4))).await.unwrap();
    let containers = ClaimRequest::containers(lane, 10, room(9, 9), room(9, 9));
    let solves = fixture.store.claim(capped(containers)).await.unwrap();
    assert_eq!((sandboxes.len(), solves.len()), (4, 1), "five run");
    for tenant in [fixture.tenant, other] {
        assert!(of_tenant(&sandboxes, tenant) + of_tenant(&solves, tenant) <= 3);
    }
    // What ends makes room, and counts among the starts of the minute.
    for claimed in sandboxes.into_iter().chain(solves) {
        fixture.store.finish(claimed.claim, finish_with("{}")).await.unwrap();
    }
    assert_eq!(fixture.store.claim(capped(containers)).await.unwrap().len(), 1, "three each within the minute");
    fixture.clock.advance(Duration::from_secs(61));
    assert_eq!(fixture.store.claim(capped(containers)).await.unwrap().len(), 4);
    fixture.store.set_quota(other, Quota { running_max: Some(0), ..Quota::default() }).await.unwrap();
    let claimed = fixture.store.claim(containers).await.unwrap();
    assert_eq!(of_tenant(&claimed, other), 0, "a tenant's quota holds for containers too");
}

#[tokio::test]
async fn two_processes_solve_every_task_once() {
    let fixture = Fixture::shared().await;
    for _ in 0..30 {
        fixture.solve(fixture.tenant, Lane::LongRunning, room(1, 1)).await;
    }
    let mut claimers = tokio::task::JoinSet::new();
    for number in 0..3 {
        let store = fixture.another_process(&format!("worker {number}")).await;
        claimers.spawn(async move {
            let mut claimed = Vec::new();
            // A claim that would have to wait for the others takes nothing.
            for _ in 0..1_000 {
                let request = ClaimRequest::containers(Lane::LongRunning, 10, room(4, 4), room(4, 4));
                let more = store.claim(request).await.unwrap();
                assert!(more.len() <= 4, "so many have room");
                for task in &more {
                    store.finish(task.claim.clone(), finish_with("1")).await.unwrap();
                }
                claimed.extend(ids(&more));
                if store.next_container_due(Lane::LongRunning, room(4, 4)).await.unwrap().is_none() {
                    break;
                }
            }
            claimed
        });
    }
    let mut all = claimers.join_all().await.concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 30);
    assert_eq!(fixture.number("SELECT count(*) FROM task_usage").await, 30);
    // The turns of containers are not those of sandboxes.
    assert_eq!(fixture.number("SELECT count(*) FROM lane_turns WHERE lane = 'long_running'").await, 0);
}

#[tokio::test]
async fn a_kept_claim_is_taken_up_with_its_log_and_only_while_it_holds() {
    let fixture = Fixture::new().await;
    let task = fixture.solve(fixture.tenant, Lane::LongRunning, room(1, 1)).await;
    let claim = async || fixture.claim_containers(Lane::LongRunning, room(1, 1), room(1, 1)).await.claimed.remove(0);
    let claimed = claim().await;
    assert_eq!(claimed.log_bytes, 0);
    let entry = NewLog { stream: LogStream::Stdout, text: "step 1\n".to_owned() };
    fixture.store.note(claimed.claim.clone(), vec![entry], None).await.unwrap();
    let adopted = fixture.adopt(&claimed).await.unwrap();
    assert_eq!((&adopted.claimed.claim, adopted.claimed.log_bytes, adopted.beat), (&claimed.claim, 7, Beat::Extended));
    assert_eq!((adopted.claimed.task.id, adopted.claimed.task.state), (task, TaskState::Running));
    // With another fence, token or tenant it is nobody's.
    let kept = KeptClaim::from(&claimed.claim);
    for wrong in [
        KeptClaim { fence: kept.fence + 1, ..kept.clone() },
        KeptClaim { tenant: fixture.store.create_tenant("other").await.unwrap(), ..kept.clone() },
        KeptClaim { lease: serde_json::from_value(serde_json::json!("0".repeat(32))).unwrap(), ..kept.clone() },
    ] {
        assert!(fixture.store.adopt(wrong.clone()).await.unwrap().is_none(), "{wrong:?}");
    }
    fixture.store.cancel(fixture.tenant, task).await.unwrap();
    assert_eq!(fixture.adopt(&claimed).await.unwrap().beat, Beat::CancelRequested);
    // Lost and claimed by somebody else: the next attempt knows how much was said before.
    let second = fixture.solve(fixture.tenant, Lane::LongRunning, room(1, 1)).await;
    let before = claim().await;
    let entry = NewLog { stream: LogStream::Stdout, text: "abc".to_owned() };
    fixture.store.note(before.claim.clone(), vec![entry], None).await.unwrap();
    fixture.clock.advance(Duration::from_secs(31));
    fixture.store.requeue_expired().await.unwrap();
    assert!(fixture.adopt(&before).await.is_none());
    let after = claim().await;
    assert_eq!((after.task.id, after.log_bytes, after.claim.fence), (second, 3, 2));
    assert!(fixture.adopt(&before).await.is_none());
    assert_eq!(fixture.store.finish(before.claim, finish_with("{}")).await.unwrap(), Written::Stale);
    fixture.store.finish(after.claim.clone(), finish_with("{}")).await.unwrap();
    assert!(fixture.adopt(&after).await.is_none(), "what has ended is nobody's");
}

#[tokio::test]
async fn a_lease_that_is_handed_over_holds_for_ten_minutes_at_most() {
    let fixture = Fixture::new().await;
    fixture.solve(fixture.tenant, Lane::LongRunning, room(1, 1)).await;
    let claims = fixture.claim_containers(Lane::LongRunning, room(1, 1), room(1, 1)).await;
    let claim = claims.claimed[0].claim.clone();
    assert_eq!(fixture.store.extend(claim.clone(), Duration::from_secs(86_400)).await.unwrap(), Beat::Extended);
    fixture.clock.advance(LEASE_HANDED_OVER_MAX);
    fixture.store.requeue_expired().await.unwrap();
    assert!(fixture.adopt(&claims.claimed[0]).await.is_some());
    // Never for less than a lease.
    fixture.store.extend(claim.clone(), Duration::ZERO).await.unwrap();
    fixture.clock.advance(Duration::from_secs(30));
    assert_eq!(fixture.store.requeue_expired().await.unwrap().requeued, 0);
    fixture.store.extend(claim.clone(), Duration::from_secs(86_400)).await.unwrap();
    fixture.clock.advance(LEASE_HANDED_OVER_MAX + Duration::from_millis(1));
    assert_eq!(fixture.store.requeue_expired().await.unwrap().requeued, 1);
    assert_eq!(fixture.store.extend(claim, Duration::from_secs(60)).await.unwrap(), Beat::Stale);
}

/// A server that has its database alone: sandboxes died with the one before, containers did not.
#[tokio::test]
async fn a_successor_leaves_containers_a_lease_to_be_adopted_in() {
    let fixture = Fixture::embedded().await;
    let adopted = fixture.solve(fixture.tenant, Lane::LongRunning, room(1, 1)).await;
    let lost = fixture.solve(fixture.tenant, Lane::LongRunning, room(1, 1)).await;
    fixture.submit().await;
    let solves = fixture.claim_containers(Lane::LongRunning, room(2, 2), room(2, 2)).await.claimed;
    assert_eq!(ids(&solves), [adopted, lost]);
    fixture.claim_one().await;
    fixture.clock.advance(Duration::from_secs(3_600));
    let fixture = fixture.reopen().await;
    assert_eq!(fixture.store.recovered().requeued, 1, "the sandbox's task");
    let adoption = fixture.adopt(&solves[0]).await.unwrap();
    fixture.clock.advance(Duration::from_secs(20));
    fixture.store.heartbeat(vec![adoption.claimed.claim.clone()]).await.unwrap();
    fixture.clock.advance(Duration::from_secs(11));
    assert_eq!(fixture.store.requeue_expired().await.unwrap().requeued, 1);
    assert!(fixture.adopt(&solves[1]).await.is_none());
    let again = fixture.claim_containers(Lane::LongRunning, room(9, 9), room(9, 9)).await.claimed;
    assert_eq!((ids(&again), again[0].lost_attempts), (vec![lost], 1));
    assert_eq!(fixture.store.finish(adoption.claimed.claim, finish_with("{}")).await.unwrap(), Written::Done);
}

#[tokio::test]
async fn large_files_are_copied_from_their_start_and_counted_together() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let content: Vec<u8> = (0..5_000_000_u32).map(|number| (number % 251) as u8).collect();
    let mut file = tempfile::tempfile().unwrap();
    // The file stands at its end now.
    file.write_all(&content).unwrap();
    let file = Arc::new(file);
    let named = |name: &str| ArtifactFile {
        name: ArtifactName::parse(name).unwrap(),
        content_type: "application/octet-stream".to_owned(),
        file: file.clone(),
    };
    let made = Artifact::new(ArtifactName::parse("made.txt").unwrap(), b"abc".to_vec());
    let task = fixture.solve(tenant, Lane::LongRunning, room(1, 1)).await;
    let claims = fixture.claim_containers(Lane::LongRunning, room(1, 1), room(1, 1)).await;
    let claim = claims.claimed[0].claim.clone();
    let quota = |bytes| Quota { storage_bytes_max: Some(bytes), ..Quota::default() };
    store.set_quota(tenant, quota(10_000_002)).await.unwrap();
    let files = [named("a.frd"), named("out/b.frd")];
    let refused = store.store_files(&claim, std::slice::from_ref(&made), &files).await;
    assert!(matches!(refused, Err(StoreError::OverQuota(_))), "{refused:?}");
    store.set_quota(tenant, quota(10_000_003)).await.unwrap();
    store.store_files(&claim, std::slice::from_ref(&made), &files).await.unwrap();
    // Once more, as after a failure.
    let stored = store.store_files(&claim, &[made], &files).await.unwrap();
    assert_eq!(stored.iter().map(|one| one.size_bytes).collect::<Vec<_>>(), [3, 5_000_000, 5_000_000]);
    assert_eq!(stored[1].sha256, stored[2].sha256);
    assert_eq!(store.objects().read(&stored[1].key).await.unwrap().unwrap(), content);
    store.finish(claim, Finish { artifacts: stored, ..finish_with("{}") }).await.unwrap();
    assert_eq!(store.artifacts(tenant, task).await.unwrap().unwrap().len(), 3);
    assert_eq!(store.stored_bytes(tenant).await.unwrap(), 10_000_003);
}

#[tokio::test]
async fn a_container_task_due_later_is_not_claimed_and_wakes_containers_alone() {
    let fixture = Fixture::new().await;
    let run_at = fixture.clock.now() + Duration::from_secs(60);
    let later = NewTask { run_at: Some(run_at), lane: Lane::LongRunning, ..new_task(fixture.tenant) };
    let wakeup = fixture.store.container_wakeup(Lane::LongRunning);
    fixture.solve_with(later, room(1, 1)).await;
    tokio::time::timeout(Duration::from_secs(5), wakeup.notified()).await.expect("it was queued for containers");
    let due = |total| fixture.store.next_container_due(Lane::LongRunning, total);
    assert_eq!(due(room(1, 1)).await.unwrap(), Some(run_at));
    assert_eq!(due(room(1, 0)).await.unwrap(), None, "this worker can never run it");
    assert!(fixture.claim_containers(Lane::LongRunning, room(1, 1), room(1, 1)).await.claimed.is_empty());
    fixture.clock.advance(Duration::from_secs(60));
    assert_eq!(fixture.claim_containers(Lane::LongRunning, room(1, 1), room(1, 1)).await.claimed.len(), 1);
}

#[tokio::test]
async fn the_schema_of_containers_is_applied_to_tasks_that_were_there() {
    let fixture = Fixture::embedded().await;
    let before = fixture.submit().await.id;
    assert_eq!(fixture.number("SELECT count(*) FROM tasks WHERE cpus IS NULL AND memory_bytes IS NULL").await, 1);
    let solve = fixture.solve(fixture.tenant, Lane::Default, room(3, 2)).await;
    let needs = "SELECT cpus + memory_bytes FROM tasks WHERE queue_rank = 104";
    assert_eq!(fixture.number(needs).await, 3 + 2 * i64::try_from(GIB).unwrap());
    fixture.store.close().await;
    let options = fixture.database.options(&fixture.data());
    let store = open_when_free(options, fixture.clock.clone()).await;
    assert_eq!(ids(&store.claim(ClaimRequest::new(Lane::Default, 9)).await.unwrap()), [before]);
    let request = ClaimRequest::containers(Lane::Default, 9, room(9, 9), room(9, 9));
    assert_eq!(ids(&store.claim(request).await.unwrap()), [solve], "memory knows them after a start too");
}
