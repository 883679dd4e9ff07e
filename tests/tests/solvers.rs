//! Solvers in containers, from a request to results: through servers that never see the engine, and a worker that has one.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Lane, check_workflow, fixture_path, invariants, node_of, until};
use serde_json::{Value, json};
use std::{fs, time::Duration};

const DEADLINE: Duration = Duration::from_secs(60);
/// The numbered lines of a run that is disturbed.
const LINES: usize = 60;
/// Runs that are queued while their worker is killed, how often it is, and how long all of it may take.
const RUNS: usize = 200;
const KILLS: usize = 5;
const RUNS_DEADLINE: Duration = Duration::from_secs(240);

/// A script that says numbered lines, slowly.
fn counting() -> String {
    format!("i=0; while [ $i -lt {LINES} ]; do echo line $i; i=$((i+1)); sleep 0.1; done; echo done > out.txt\n")
}

/// The log has each line of [`counting`] once, in order.
fn ensure_counted(log: &str) -> Result<()> {
    let lines: Vec<&str> = log.lines().collect();
    let expected: Vec<String> = (0..LINES).map(|number| format!("line {number}")).collect();
    ensure!(lines == expected, "{log}");
    Ok(())
}

fn case(name: &str, file: &str) -> Result<Vec<u8>> {
    Ok(fs::read(fixture_path(&format!("solvers/calculix/{name}/{file}"))?)?)
}

/// Each case is run by the real solver and compared with theory, number by number.
#[tokio::test]
async fn calculix_agrees_with_beam_and_plate_theory_and_draws_the_stress() -> Result<()> {
    let lane = Lane::start().await?;
    for name in ["cantilever", "plate_with_hole", "cantilever_modes"] {
        let expected: Value = serde_json::from_slice(&case(name, "expected.json")?)?;
        let deck = expected.pointer("/deck").and_then(Value::as_str).context("no deck")?;
        let id = lane.submit("calculix", &[(deck, case(name, deck)?)], json!({})).await?;
        let result = lane.node()?.result(&id).await?.expect_completed()?.at("/result")?;
        for quantity in expected.pointer("/quantities").and_then(Value::as_array).context("no quantities")? {
            let number = |name: &str| quantity.get(name).and_then(Value::as_f64).context("no number");
            let pointer = quantity.get("pointer").and_then(Value::as_str).context("no pointer")?;
            let found = result.pointer(pointer).and_then(Value::as_f64);
            let found = found.with_context(|| format!("{name}: nothing at {pointer} of {result}"))?;
            let (value, tolerance) = (number("value")?, number("tolerance")?);
            ensure!((found - value).abs() <= tolerance * value.abs(), "{name}{pointer}: {found}, not {value}");
        }
        let kept = lane.artifacts(&id).await?;
        let has = |ending: &str| kept.keys().any(|name| name.ends_with(ending));
        ensure!(has(".frd") && has(".dat") && has(".png"), "{name}: {kept:?}");
        ensure!(lane.log(&id).await?.contains("Job finished"), "{name}");
        lane.until_cleared(&id).await?;
    }
    Ok(())
}

/// A closed form in a sandbox against the solver in a container: undisturbed, and while all that works on it is killed.
#[tokio::test]
async fn a_workflow_of_sandboxes_and_a_container_ends_the_same_though_everything_is_killed() -> Result<()> {
    const WORKFLOW: &str = "closed_form_against_calculix";
    let mut lane = Lane::start().await?;
    lane.cluster.add_worker(&[]).await?;
    check_workflow(lane.node()?, WORKFLOW).await?;
    let run = lane.node()?.start_run(WORKFLOW, json!({})).await?;
    let undisturbed = lane.node()?.run_ended(&run).await?.at("/outputs")?;
    for key in ["deck", "calculix", "compare"] {
        let run = lane.node()?.start_run(WORKFLOW, json!({})).await?;
        until(&format!("{key} has begun"), DEADLINE, || async {
            let shown = lane.node()?.workflow_run(&run).await?;
            Ok((node_of(&shown, key)?.get("state") != Some(&json!("pending"))).then_some(()))
        })
        .await?;
        for number in 0..2 {
            lane.cluster.worker(number)?.kill()?;
        }
        lane.cluster.node_mut(0)?.kill_and_restart().await?;
        for number in 0..2 {
            lane.cluster.worker(number)?.start_again().await?;
        }
        let ended = lane.node()?.run_ended(&run).await?;
        ensure!(ended.at("/outputs")? == undisturbed, "{key}: {}", ended.text());
        let tasks = lane.node()?.run_tasks(&run).await?;
        ensure!(tasks.len() == 4, "{key}: {tasks:?}");
    }
    invariants(&lane.cluster).await
}

#[tokio::test]
async fn f1_a_worker_that_is_killed_in_the_middle_of_a_run_goes_on_with_it_when_it_is_back() -> Result<()> {
    let mut lane = Lane::start().await?;
    let id = lane.script(&counting(), json!({})).await?;
    lane.until_said(&id, "line 10").await?;
    lane.worker()?.kill()?;
    lane.worker()?.start_again().await?;
    let done = lane.node()?.result(&id).await?.expect_completed()?;
    ensure!(done.at("/result")? == json!({"exit_code": 0}), "{}", done.text());
    ensure_counted(&lane.log(&id).await?)?;
    ensure!(lane.node()?.task(&id).await?.at("/attempt")? == json!(1), "it was run again");
    lane.until_cleared(&id).await
}

#[tokio::test]
async fn f14_a_worker_that_ends_leaves_its_containers_to_the_one_that_follows() -> Result<()> {
    let mut lane = Lane::start().await?;
    let id = lane.script(&counting(), json!({})).await?;
    lane.until_said(&id, "line 5").await?;
    lane.worker()?.stop()?;
    // Longer than a lease: it was extended.
    tokio::time::sleep(Duration::from_secs(5)).await;
    ensure!(lane.node()?.state(&id).await? == "running");
    lane.worker()?.start_again().await?;
    lane.node()?.result(&id).await?.expect_completed()?;
    ensure_counted(&lane.log(&id).await?)?;
    ensure!(lane.node()?.task(&id).await?.at("/attempt")? == json!(1), "it was run again");
    lane.until_cleared(&id).await
}

/// What is being stopped is seen to its end, which takes longer than a lease lasts.
#[tokio::test]
async fn f14_a_worker_that_takes_its_time_to_end_holds_what_it_leaves() -> Result<()> {
    let mut lane = Lane::start().await?;
    let id = lane.script(&counting(), json!({})).await?;
    let deaf = lane.script("trap '' TERM; echo begun; while :; do sleep 0.1; done\n", json!({})).await?;
    lane.until_said(&id, "line 5").await?;
    lane.until_said(&deaf, "begun").await?;
    lane.node()?.post(&format!("/v1/tasks/{deaf}/cancel"), &json!({})).await?.expect(202)?;
    let worker = lane.worker()?;
    let process = &*worker.process();
    until("its container is being stopped", DEADLINE, || async {
        Ok(process.log()?.contains("container.stopping").then_some(()))
    })
    .await?;
    worker.stop()?;
    lane.node()?.result(&deaf).await?.expect_error_kind("cancelled")?;
    ensure!(lane.node()?.state(&id).await? == "running");
    lane.worker()?.start_again().await?;
    lane.node()?.result(&id).await?.expect_completed()?;
    ensure_counted(&lane.log(&id).await?)?;
    ensure!(lane.node()?.task(&id).await?.at("/attempt")? == json!(1), "it was run again");
    lane.until_cleared(&id).await
}

#[tokio::test]
async fn f7_a_crash_after_the_containers_start_loses_nothing() -> Result<()> {
    let mut lane = Lane::with(&[("MECAPY_FAIL_POINTS", "worker.after_container_start=1*return")]).await?;
    let id = lane.script(&counting(), json!({})).await?;
    lane.worker()?.process().ended().await?;
    ensure!(lane.containers(&id).await?.len() == 1);
    // It fails once for each process: the one that goes on starts no container.
    lane.worker()?.start_again().await?;
    lane.node()?.result(&id).await?.expect_completed()?;
    ensure_counted(&lane.log(&id).await?)?;
    lane.until_cleared(&id).await
}

#[tokio::test]
async fn f2_a_worker_that_lost_its_lease_stops_its_container_and_writes_nothing() -> Result<()> {
    let mut lane = Lane::start().await?;
    let id = lane.script("echo begun; sleep 20; echo late\n", json!({})).await?;
    lane.until_said(&id, "begun").await?;
    let container = lane.containers(&id).await?;
    lane.worker()?.process().pause()?;
    // A lease is 3 s here; a worker of another kind puts back what lost it, and can't run it.
    lane.cluster.add_worker(&[]).await?;
    lane.node()?.until_state(&id, "queued").await?;
    lane.worker()?.process().resume()?;
    until("the first container is gone", DEADLINE, || async {
        Ok((!lane.containers(&id).await?.contains(container.first().context("no container")?)).then_some(()))
    })
    .await?;
    lane.node()?.result(&id).await?.expect_completed()?;
    ensure!(lane.log(&id).await?.matches("late").count() == 1);
    lane.until_cleared(&id).await
}

#[tokio::test]
async fn a_cancel_the_deadline_and_the_memorys_end_are_told_apart() -> Result<()> {
    let lane = Lane::start().await?;
    let node = lane.node()?;
    let cancelled = lane.script("trap 'exit 0' TERM; echo begun; while :; do sleep 0.1; done\n", json!({})).await?;
    lane.until_said(&cancelled, "begun").await?;
    node.post(&format!("/v1/tasks/{cancelled}/cancel"), &json!({})).await?.expect(202)?;
    node.result(&cancelled).await?.expect_error_kind("cancelled")?;
    let late = lane.script("sleep 60\n", json!({"limits": {"timeout_ms": 1000}})).await?;
    node.result(&late).await?.expect_error_kind("timeout")?;
    // It keeps what it may still have to print.
    let hungry = "mkfifo /tmp/zeros; cat /dev/zero > /tmp/zeros & exec tail -c 400M /tmp/zeros\n";
    let hungry = lane.script(hungry, json!({"limits": {"memory_bytes": 67_108_864}})).await?;
    node.result(&hungry).await?.expect_error_kind("out_of_memory")?;
    Ok(())
}

#[tokio::test]
async fn security_12_a_link_among_the_outputs_fails_the_run_and_is_not_read() -> Result<()> {
    let lane = Lane::start().await?;
    for planted in ["ln -s /etc/passwd out.dat", "mkfifo out.dat", "echo x > a; ln a out.dat"] {
        let id = lane.script(planted, json!({})).await?;
        let failed = lane.node()?.result(&id).await?.expect_error_kind("invalid_artifact")?;
        ensure!(failed.str_at("/error/message")?.contains("can't be kept"), "{}", failed.text());
    }
    Ok(())
}

#[tokio::test]
async fn security_24_the_name_of_a_file_stays_a_name() -> Result<()> {
    let lane = Lane::start().await?;
    let node = lane.node()?;
    let upload = node.upload("file", b"x".to_vec()).await?;
    for name in ["--privileged", "sub/-v", "../x", "a\u{202e}b"] {
        let answer = node.post("/v1/tasks", &json!({"code": {"solver": "shell", "files": {name: upload}}})).await?;
        answer.expect_fault_code(&format!("/code/files/{}", name.replace('/', "~1")), "invalid_name")?;
    }
    let name = "a; reboot $(id) `id` '\" | & --rm.txt";
    let script = b"tr '\\0' '|' < /proc/$$/cmdline; echo; ls\n".to_vec();
    let id = lane.submit("shell", &[("run.sh", script), (name, b"x".to_vec())], json!({})).await?;
    lane.node()?.result(&id).await?.expect_completed()?;
    let log = lane.log(&id).await?;
    let lines: Vec<&str> = log.lines().collect();
    ensure!(lines.contains(&"/bin/sh|run.sh|") && lines.contains(&name), "{log}");
    Ok(())
}

/// What fits is not started before the older one that needs more has had its turn.
#[tokio::test]
async fn a_large_run_waits_for_its_room_and_is_not_passed_over() -> Result<()> {
    let lane = Lane::with(&[("MECAPY_CONTAINER_CORES", "2"), ("MECAPY_CONTAINER_MEMORY_BYTES", "1073741824")]).await?;
    let small = |seconds: u32| format!("sleep {seconds}\n");
    let first = lane.script(&small(3), json!({})).await?;
    lane.node()?.until_state(&first, "running").await?;
    let large = lane.script(&small(1), json!({"limits": {"cpus": 2}})).await?;
    let last = lane.script(&small(0), json!({})).await?;
    lane.node()?.until_state(&large, "running").await?;
    ensure!(lane.node()?.state(&first).await? == "completed");
    ensure!(lane.node()?.state(&last).await? == "queued");
    for id in [&large, &last] {
        lane.node()?.result(id).await?.expect_completed()?;
    }
    Ok(())
}

#[tokio::test]
async fn two_hundred_runs_in_two_places_end_once_each_though_their_worker_is_killed_five_times() -> Result<()> {
    let mut lane = Lane::with(&[("MECAPY_CONTAINER_CORES", "2")]).await?;
    let upload = lane.node()?.upload("run.sh", b"echo ran".to_vec()).await?;
    let body = json!({"code": {"solver": "shell", "files": {"run.sh": upload}}});
    let mut ids = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        ids.push(lane.node()?.submit(&body).await?);
    }
    let ended = async |lane: &Lane| {
        let sql = "SELECT count(*) FROM tasks WHERE state = 'completed'";
        Ok::<usize, anyhow::Error>(lane.cluster.rows(sql).await?.lines().last().unwrap_or_default().trim().parse()?)
    };
    for kill in 1..=KILLS {
        let enough = kill * RUNS / (KILLS + 2);
        until("more runs have ended", RUNS_DEADLINE, || async { Ok((ended(&lane).await? >= enough).then_some(())) })
            .await?;
        lane.worker()?.kill()?;
        lane.worker()?.start_again().await?;
    }
    until("all runs have ended", RUNS_DEADLINE, || async { Ok((ended(&lane).await? == RUNS).then_some(())) }).await?;
    for id in &ids {
        ensure!(lane.log(id).await? == "ran\n", "{id}");
        lane.until_cleared(id).await?;
    }
    invariants(&lane.cluster).await
}

/// How soon is the benchmark's to say.
#[tokio::test]
async fn a_line_reaches_a_client_that_follows_while_the_run_goes_on() -> Result<()> {
    let lane = Lane::start().await?;
    let until_told = "trap 'told=yes' USR1; echo said; while [ -z \"$told\" ]; do sleep 0.1; done; echo end\n";
    let id = lane.script(until_told, json!({})).await?;
    let mut events = lane.node()?.events(&id, None).await?;
    while !events.next(DEADLINE).await?.context("the stream ended")?.data.contains("said") {}
    lane.signal(&id, "USR1").await?;
    lane.node()?.result(&id).await?.expect_completed()?;
    ensure!(lane.log(&id).await? == "said\nend\n");
    Ok(())
}
