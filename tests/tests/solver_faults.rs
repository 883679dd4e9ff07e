//! What goes wrong around solvers, and what their users are told of it: the lines F10 and F11 of the project's list of
//! faults, names that mean nothing here, and places that are all taken. (F1, F2, F7 and F14 are in `solvers.rs`.)

use anyhow::{Context, Result, bail, ensure};
use mecapy_tests::{
    Lane, invariants, python,
    services::{Docker, docker, shared},
    solver, until,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::time::sleep;

const DEADLINE: Duration = Duration::from_secs(60);
/// Goes on until it is told to end, by a signal.
const UNTIL_TOLD: &str = "trap 'told=yes' USR1; i=0\n\
    while [ -z \"$told\" ]; do echo line $i; i=$((i+1)); sleep 0.1; done; echo end\n";
const TELL: &str = "USR1";
/// Room for one work folder, and not for two, bytes.
const SMALL_DISK_BYTES: u64 = 100 << 20;
/// Places of the lane that is full.
const PLACES: usize = 2;
/// Previews beside runs that compute, and runs that are sent while the engine is away.
const PREVIEWS: usize = 25;
const SENT_MEANWHILE: usize = 3;
/// How long they are watched while it is away, which is longer than a lease lasts, and how often.
const WATCHED: Duration = Duration::from_secs(5);
const WATCHED_EVERY: Duration = Duration::from_millis(100);
/// What a worker says of its engine.
const AWAY: &str = "worker.engine: it does not answer";
const THERE: &str = "worker.engine: it is there";

/// A disk for a worker's state folder.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// Of so many bytes, in memory.
    fn mount(bytes: u64) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("mecapy-disk-").tempdir()?;
        let size = format!("size={bytes}");
        let said =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "mecapy-test"]).arg(folder.path()).output()?;
        ensure!(said.status.success(), "mount: {}", String::from_utf8_lossy(&said.stderr));
        Ok(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).output();
    }
}

/// The log of [`UNTIL_TOLD`] has each line once, in order, and its end.
fn ensure_gapless(log: &str) -> Result<()> {
    let lines: Vec<&str> = log.lines().collect();
    let numbered = (0..lines.len().saturating_sub(1)).map(|number| format!("line {number}"));
    let expected: Vec<String> = numbered.chain(["end".to_owned()]).collect();
    ensure!(lines == expected, "{log}");
    Ok(())
}

async fn count(lane: &Lane, condition: &str) -> Result<usize> {
    Ok(lane.cluster.rows(&format!("SELECT count(*) FROM tasks WHERE {condition}")).await?.trim().parse()?)
}

/// Nobody so much as claims one of these tasks, of which there are so many.
async fn ensure_unclaimed(lane: &Lane, tasks: usize) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < WATCHED {
        let waiting = count(lane, "state = 'queued' AND fence = 0 AND attempt = 0 AND lost_attempts = 0").await?;
        ensure!(waiting == tasks, "{waiting} of {tasks} tasks wait");
        sleep(WATCHED_EVERY).await;
    }
    Ok(())
}

/// How often the worker has said this.
fn said(lane: &mut Lane, what: &str) -> Result<usize> {
    Ok(lane.worker()?.process().log()?.matches(what).count())
}

#[tokio::test]
async fn what_there_is_not_is_named_in_the_engineers_words() -> Result<()> {
    let lane = Lane::start().await?;
    let node = lane.node()?;
    for (code, pointer, kind, there_is) in [
        (json!({"solver": "abaqus"}), "/code/solver", "unknown_solver", &["calculix", "code_aster", "shell"][..]),
        (
            json!({"solver": "calculix", "version": "2.21"}),
            "/code/version",
            "unknown_version",
            &["\"2.21\"", "\"1\""][..],
        ),
    ] {
        let fault = node.post("/v1/tasks", &json!({"code": code})).await?.expect_fault_code(pointer, kind)?;
        let message = fault.get("message").and_then(Value::as_str).unwrap_or_default();
        ensure!(there_is.iter().all(|known| message.contains(known)), "{message}");
    }

    let reads = "DEBUT()\nMESH = LIRE_MAILLAGE(FORMAT='MED', UNITE=20)\nFIN()\n";
    let export = "P ncpus 1\nF comm a.comm D 1\nF mmed beam.med D 20\n";
    let deck = "*INCLUDE, INPUT=beam.msh\n*STEP\n*STATIC\n*END STEP\n";
    let rows = [
        ("code_aster", vec![("a.comm", reads)], "a.comm, line 2: it reads a mesh, and none was sent", 2),
        (
            "code_aster",
            vec![("a.comm", reads), ("run.export", export)],
            "run.export, line 3: the mesh beam.med was not sent",
            3,
        ),
        ("calculix", vec![("beam.inp", deck)], "beam.inp, line 1: the file beam.msh was not sent", 1),
    ];
    for (solver, files, told, line) in rows {
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_bytes().to_vec())).collect();
        let id = lane.submit(solver, &files, json!({})).await?;
        let failed = node.result(&id).await?.expect_error_kind("invalid_input")?;
        ensure!(failed.str_at("/error/message")?.starts_with(told), "{}", failed.text());
        ensure!(failed.at("/error/line")? == json!(line), "{}", failed.text());
        lane.until_cleared(&id).await?;
    }
    Ok(())
}

#[tokio::test]
async fn f10_a_run_that_fills_its_work_folder_is_named_and_loses_nothing() -> Result<()> {
    let lane = Lane::start().await?;
    let study = |comm: &str| [("a.comm", comm.as_bytes().to_vec())];
    // The solver believes that all went well.
    let content = "DEBUT()\n# stand-in: say before it\n# stand-in: file big.bin 100\n# stand-in: say after it\nFIN()\n";
    let failing = "DEBUT()\n# stand-in: file a.rmed 1\n# stand-in: file big.bin 100\nFIN()\n\
        # stand-in: diagnostic <F>_ABNORMAL_ABORT\n";
    let content = lane.submit("code_aster", &study(content), json!({})).await?;
    let failing = lane.submit("code_aster", &study(failing), json!({})).await?;
    let after = lane.script("echo fine\n", json!({})).await?;
    for id in [&content, &failing] {
        let failed = lane.node()?.result(id).await?.expect_error_kind("solver")?;
        ensure!(failed.str_at("/error/message")?.contains("the work folder was full"), "{}", failed.text());
    }
    let log = lane.log(&content).await?;
    ensure!(["before it", "No space left", "after it", "DIAGNOSTIC JOB : OK"].iter().all(|said| log.contains(said)));
    // What was written before the disk was full is whole.
    let kept = lane.artifacts(&failing).await?;
    let bytes = kept.get("a.rmed").and_then(|artifact| artifact.get("size_bytes"));
    ensure!(bytes == Some(&json!(1 << 20)), "{kept:?}");
    lane.node()?.result(&after).await?.expect_completed()?;
    lane.until_cleared(&failing).await?;
    invariants(&lane.cluster).await
}

#[tokio::test]
async fn f10_a_run_waits_while_the_workers_disk_has_no_room_for_it() -> Result<()> {
    let disk = SmallDisk::mount(SMALL_DISK_BYTES)?;
    let state = disk.path().join("state").display().to_string();
    let mut lane = Lane::with(&[("MECAPY_CONTAINER_STATE_DIR", state.as_str())]).await?;
    let first = lane.script(UNTIL_TOLD, json!({})).await?;
    lane.until_said(&first, "line 0").await?;
    let second = lane.script("echo ran\n", json!({})).await?;
    // It is claimed, finds no room, and goes back to the queue.
    let mut events = lane.node()?.events(&second, None).await?;
    let mut was_claimed = false;
    loop {
        let event = events.next(DEADLINE).await?.context("the stream ended")?;
        match event.json()?.pointer("/state").and_then(Value::as_str) {
            Some("running") => was_claimed = true,
            Some("queued") if was_claimed => break,
            None | Some("queued") => {}
            Some(state) => bail!("it is {state}, in a disk without room"),
        }
    }
    ensure!(lane.worker()?.process().log()?.contains("has no room for a work folder"), "the worker says nothing of it");
    lane.signal(&first, TELL).await?;
    lane.node()?.result(&first).await?.expect_completed()?;
    ensure_gapless(&lane.log(&first).await?)?;
    lane.node()?.result(&second).await?.expect_completed()?;
    ensure!(lane.log(&second).await? == "ran\n");
    ensure!(count(&lane, "lost_attempts > 0 OR attempt > 1").await? == 0, "an attempt was spent on it");
    lane.until_cleared(&second).await?;
    invariants(&lane.cluster).await
}

#[tokio::test]
async fn f11_an_engine_that_is_restarted_costs_no_run_no_line_and_no_attempt() -> Result<()> {
    // The shared one is everybody's.
    let mut docker = Docker::with_solvers().await?;
    let mut lane = Lane::on(docker.engine(), &[]).await?;
    for (absences, signal) in [(1, libc::SIGTERM), (2, libc::SIGKILL)] {
        let running = lane.script(UNTIL_TOLD, json!({})).await?;
        lane.until_said(&running, "line 5").await?;
        let sent = docker
            .away(signal, async || {
                let mut sent = Vec::with_capacity(SENT_MEANWHILE);
                for _ in 0..SENT_MEANWHILE {
                    sent.push(lane.script("echo ran\n", json!({})).await?);
                }
                ensure_unclaimed(&lane, SENT_MEANWHILE).await?;
                // Nobody is to end a worker whose container runs.
                ensure!(lane.worker()?.is_ready().await?, "signal {signal}");
                anyhow::Ok(sent)
            })
            .await?;
        for id in &sent {
            lane.node()?.result(id).await?.expect_completed()?;
            ensure!(lane.log(id).await? == "ran\n", "signal {signal}");
        }
        ensure!(count(&lane, "lost_attempts > 0 OR attempt > 1").await? == 0, "signal {signal}: an attempt was spent");
        lane.signal(&running, TELL).await?;
        lane.node()?.result(&running).await?.expect_completed()?;
        ensure_gapless(&lane.log(&running).await?).with_context(|| format!("signal {signal}"))?;
        ensure!(lane.node()?.task(&running).await?.at("/attempt")? == json!(1), "signal {signal}: it was run again");
        ensure!(lane.worker()?.process().exited()?.is_none(), "signal {signal}: the worker ended");
        lane.until_cleared(&running).await?;
        let (away, there) = (said(&mut lane, AWAY)?, said(&mut lane, THERE)?);
        ensure!((away, there) == (absences, absences + 1), "signal {signal}: said {away} and {there} times");
    }
    // Without a container it has nothing to do.
    docker
        .away(libc::SIGTERM, async || {
            let worker = lane.worker()?;
            until("the worker is not ready", DEADLINE, || async { Ok((!worker.is_ready().await?).then_some(())) }).await
        })
        .await?;
    let worker = lane.worker()?;
    until("the worker is ready again", DEADLINE, || async { Ok(worker.is_ready().await?.then_some(())) }).await?;
    invariants(&lane.cluster).await
}

#[tokio::test]
async fn f11_a_worker_that_starts_before_its_engine_waits_and_goes_on_with_what_it_left() -> Result<()> {
    let mut docker = Docker::with_solvers().await?;
    let mut lane = Lane::on(docker.engine(), &[]).await?;
    let running = lane.script(UNTIL_TOLD, json!({})).await?;
    lane.until_said(&running, "line 5").await?;
    let sent = docker
        .away(libc::SIGTERM, async || {
            lane.worker()?.stop()?;
            lane.worker()?.start_again().await?;
            let sent = lane.script("echo ran\n", json!({})).await?;
            ensure_unclaimed(&lane, 1).await?;
            let held = count(&lane, "state = 'running' AND fence = 1 AND lost_attempts = 0").await?;
            ensure!(held == 1, "the claim of what runs was lost");
            ensure!(lane.worker()?.process().log()?.contains(AWAY), "the worker says nothing of it");
            anyhow::Ok(sent)
        })
        .await?;
    lane.node()?.result(&sent).await?.expect_completed()?;
    lane.signal(&running, TELL).await?;
    lane.node()?.result(&running).await?.expect_completed()?;
    ensure_gapless(&lane.log(&running).await?)?;
    ensure!(count(&lane, "lost_attempts > 0 OR attempt > 1").await? == 0, "an attempt was spent");
    lane.until_cleared(&running).await?;
    invariants(&lane.cluster).await
}

#[tokio::test]
async fn f11_a_task_whose_image_is_missing_ends_at_once_and_says_what_brings_it() -> Result<()> {
    let lane = Lane::start().await?;
    lane.until_offered(&["calculix@1", "code_aster@1", "shell@1"]).await?;
    let id = lane.submit("absent", &[], json!({})).await?;
    let failed = lane.node()?.result(&id).await?.expect_error_kind("executor")?;
    let message = failed.str_at("/error/message")?;
    ensure!(message.contains("sha256:0000") && message.contains("docker load"), "{message}");
    ensure!(lane.node()?.task(&id).await?.at("/attempt")? == json!(1), "it was tried again");
    lane.until_cleared(&id).await
}

#[tokio::test]
async fn an_image_that_comes_or_goes_changes_what_the_worker_offers() -> Result<()> {
    let (engine, folder) = (shared::docker().await?, tempfile::tempdir()?);
    let (empty, archive) = (folder.path().join("empty.tar"), folder.path().join("image.tar"));
    let (empty, archive) = (empty.to_str().context("no text")?, archive.to_str().context("no text")?);
    fs::write(empty, [0; 1024])?;
    let image = docker(engine.url(), &["import", empty])?.trim().to_owned();
    docker(engine.url(), &["save", "--output", archive, &image])?;
    docker(engine.url(), &["rmi", &image])?;
    let lane = Lane::beside(&solver("late", "plain", &image, "\"/bin/true\""), &[]).await?;
    let (without, with) =
        (["calculix@1", "code_aster@1", "shell@1"], ["calculix@1", "code_aster@1", "late@1", "shell@1"]);
    lane.until_offered(&without).await?;
    docker(engine.url(), &["load", "--input", archive])?;
    lane.until_offered(&with).await?;
    docker(engine.url(), &["rmi", &image])?;
    lane.until_offered(&without).await
}

#[tokio::test]
async fn a_task_that_no_worker_can_run_says_so_until_one_is_there() -> Result<()> {
    let mut lane = Lane::start().await?;
    lane.worker()?.stop()?;
    let id = lane.script("echo ran\n", json!({})).await?;
    let waiting = lane.node()?.task(&id).await?;
    ensure!(waiting.at("/warnings/0/code")? == json!("no_worker"), "{}", waiting.text());
    lane.worker()?.start_again().await?;
    lane.node()?.result(&id).await?.expect_completed()?;
    ensure!(lane.node()?.task(&id).await?.at("/warnings")? == json!([]));
    lane.until_cleared(&id).await
}

#[tokio::test]
async fn previews_and_sandboxes_do_not_wait_for_solvers_that_have_all_places() -> Result<()> {
    let places = PLACES.to_string();
    let mut lane = Lane::with(&[("MECAPY_CONTAINER_CORES", places.as_str())]).await?;
    lane.cluster.add_worker(&[]).await?;
    let node = lane.node()?;
    let mut busy = Vec::with_capacity(PLACES);
    for _ in 0..PLACES {
        busy.push(lane.script("echo busy\nwhile :; do :; done\n", json!({})).await?);
    }
    for id in &busy {
        lane.until_said(id, "busy").await?;
    }
    let waiting = lane.script("echo ran\n", json!({})).await?;
    let sandboxed = node.submit(&python("result = 6 * 7")).await?;
    for _ in 0..PREVIEWS {
        node.probe().await?;
    }
    node.result(&sandboxed).await?.expect_result(&json!({"result": 42}))?;
    for id in &busy {
        ensure!(node.state(id).await? == "running");
    }
    ensure!(node.state(&waiting).await? == "queued", "there was a place left");
    for id in &busy {
        node.post(&format!("/v1/tasks/{id}/cancel"), &json!({})).await?.expect(202)?;
        node.result(id).await?.expect_error_kind("cancelled")?;
    }
    node.result(&waiting).await?.expect_completed()?;
    lane.until_cleared(&waiting).await
}
