//! Solvers in containers, from a request to results: through servers that never see the engine, and a worker that has one.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{
    Cluster, ClusterOptions, Server, Worker, fixture_path, invariants, merge,
    services::{Engine, docker, shared},
    until,
};
use serde_json::{Value, json};
use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);
/// The numbered lines of a run that is disturbed.
const LINES: usize = 60;
/// Runs that are queued while their worker is killed, how often it is, and how long all of it may take.
const RUNS: usize = 200;
const KILLS: usize = 5;
const RUNS_DEADLINE: Duration = Duration::from_secs(240);
/// Samples of a line's way to a client.
const LIVE_LINES: usize = 40;
const LIVE_MAX: Duration = Duration::from_millis(300);
/// An image that no engine has.
const ABSENT: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
/// Until a change of the images is known everywhere: shorter than the time between two looks that nothing calls for.
const OFFERED_DEADLINE: Duration = Duration::from_secs(20);

/// A server, a worker with the shared engine, and a catalogue.
struct Lane {
    cluster: Cluster,
    /// The worker's state folder and the catalogue.
    home: TempDir,
    engine: &'static Engine,
}

impl Lane {
    async fn start() -> Result<Self> {
        Self::with(&[]).await
    }

    /// With variables of the worker's own.
    async fn with(variables: &[(&str, &str)]) -> Result<Self> {
        Self::beside("", variables).await
    }

    /// With more solvers, as the catalogue's text.
    async fn beside(more: &str, variables: &[(&str, &str)]) -> Result<Self> {
        let engine = shared::docker().await?;
        let home = tempfile::Builder::new().prefix("mecapy-lane-").tempdir()?;
        let catalogue = home.path().join("solvers.toml");
        let (ccx, stand_in) = (engine.image("mecapy/calculix:2.20")?, engine.image("mecapy/code-aster-stand-in:1")?);
        let text = [
            solver("calculix", "calculix", &ccx, "\"/usr/bin/ccx\""),
            solver("code_aster", "code_aster", &stand_in, "\"/bin/sh\", \"/usr/bin/run_aster\""),
            solver("shell", "plain", &ccx, "\"/bin/sh\", \"run.sh\""),
            solver("absent", "plain", ABSENT, "\"/bin/true\""),
        ];
        fs::write(&catalogue, text.concat() + more)?;
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let named = pair("MECAPY_SOLVERS", &catalogue.display().to_string());
        let options = ClusterOptions { api_nodes: 1, variables: vec![named], ..ClusterOptions::default() };
        let mut cluster = Cluster::with(options).await?;
        let mut own = vec![
            pair("MECAPY_DOCKER_URL", engine.url()),
            pair("MECAPY_CONTAINER_STATE_DIR", &home.path().join("state").display().to_string()),
            pair("MECAPY_CONTAINER_DISK_BYTES", "67108864"),
        ];
        own.extend(variables.iter().map(|(name, value)| pair(name, value)));
        cluster.add_worker(&own).await?;
        Ok(Self { cluster, home, engine })
    }

    fn node(&self) -> Result<&Server> {
        self.cluster.node(0)
    }

    fn worker(&mut self) -> Result<&mut Worker> {
        self.cluster.worker(0)
    }

    /// Submits a task with these files, sent as they are.
    async fn submit(&self, solver: &str, files: &[(&str, Vec<u8>)], more: Value) -> Result<String> {
        let node = self.node()?;
        let mut sent = serde_json::Map::new();
        for (name, bytes) in files {
            sent.insert((*name).to_owned(), json!(node.upload("file", bytes.clone()).await?));
        }
        let mut body = json!({"code": {"solver": solver, "files": sent}});
        merge(&mut body, more);
        node.submit(&body).await
    }

    async fn script(&self, script: &str, more: Value) -> Result<String> {
        self.submit("shell", &[("run.sh", script.as_bytes().to_vec())], more).await
    }

    async fn log(&self, id: &str) -> Result<String> {
        let page = self.node()?.get(&format!("/v1/tasks/{id}/logs")).await?.expect(200)?;
        let entries = page.at("/entries")?;
        Ok(entries.as_array().into_iter().flatten().filter_map(|entry| entry.get("text")?.as_str()).collect())
    }

    async fn until_said(&self, id: &str, what: &str) -> Result<()> {
        until(&format!("the run says {what}"), DEADLINE, || async {
            Ok(self.log(id).await?.contains(what).then_some(()))
        })
        .await
    }

    /// Waits until the worker says that it can run these and no others, each as `name@version`.
    async fn until_offered(&self, versions: &[&str]) -> Result<()> {
        until(&format!("{versions:?} are offered"), OFFERED_DEADLINE, || async {
            let workers = self.node()?.get("/v1/workers").await?.expect(200)?.at("/workers")?;
            let offers = |it: &Value| it.get("solvers") == Some(&json!(versions));
            Ok(workers.as_array().is_some_and(|workers| workers.iter().any(offers)).then_some(()))
        })
        .await
    }

    /// The ids of the task's containers, running or not.
    async fn containers(&self, id: &str) -> Result<Vec<String>> {
        let said =
            docker(self.engine.url(), &["ps", "--all", "--quiet", "--filter", &format!("label=mecapy.task={id}")])?;
        Ok(said.split_whitespace().map(str::to_owned).collect())
    }

    /// Waits until nothing is left of a task on the engine and in the worker's folders.
    async fn until_cleared(&self, id: &str) -> Result<()> {
        until("nothing is left of the run", DEADLINE, || async {
            let mut left = self.containers(id).await?;
            for folder in ["claims", "volumes"] {
                let entries = fs::read_dir(self.home.path().join("state").join(folder))?;
                left.extend(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()));
            }
            Ok(left.is_empty().then_some(()))
        })
        .await
    }
}

impl Drop for Lane {
    /// What a test leaves in the middle of a run: its containers, and then the work folders, which are mounted.
    fn drop(&mut self) {
        let _ = self.worker().and_then(Worker::kill);
        let state = self.home.path().join("state");
        let owner = fs::read_to_string(state.join("owner")).unwrap_or_default();
        let owned = format!("label=mecapy.owner={owner}");
        let ids = docker(self.engine.url(), &["ps", "--all", "--quiet", "--filter", &owned]).unwrap_or_default();
        for id in ids.split_whitespace() {
            let _ = docker(self.engine.url(), &["rm", "--force", id]);
        }
        let folders = fs::read_dir(state.join("volumes")).into_iter().flatten().flatten();
        for folder in folders.map(|entry| entry.path()).filter(|path| path.is_dir()) {
            let _ = Command::new("umount").arg(folder).output();
        }
    }
}

/// One of the catalogue, in one version.
fn solver(name: &str, adapter: &str, image: &str, command: &str) -> String {
    format!(
        "[[solver]]\nname = \"{name}\"\ntitle = \"{name}\"\nadapter = \"{adapter}\"\nlicence = \"GPL\"\n\
         default_version = \"1\"\n[[solver.version]]\nversion = \"1\"\nimage = \"{image}\"\n\
         command = [{command}]\nmemory_bytes_default = 268435456\n"
    )
}

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
        let kept = lane.node()?.get(&format!("/v1/tasks/{id}/artifacts")).await?.expect(200)?.json()?;
        let names: Vec<&str> =
            kept.as_array().into_iter().flatten().filter_map(|it| it.get("name")?.as_str()).collect();
        let has = |ending: &str| names.iter().any(|name| name.ends_with(ending));
        ensure!(has(".frd") && has(".dat") && has(".png"), "{name}: {names:?}");
        ensure!(lane.log(&id).await?.contains("Job finished"), "{name}");
        lane.until_cleared(&id).await?;
    }
    Ok(())
}

#[tokio::test]
async fn code_asters_study_is_followed_and_its_tables_become_numbers() -> Result<()> {
    let lane = Lane::start().await?;
    let study = |name: &str| anyhow::Ok(fs::read(fixture_path(&format!("solvers/code_aster/cantilever/{name}"))?)?);
    let names = ["cantilever.comm", "cantilever.mail", "cantilever.export"];
    let files = [(names[0], study(names[0])?), (names[1], study(names[1])?), (names[2], study(names[2])?)];
    let id = lane.submit("code_aster", &files, json!({"limits": {"timeout_ms": 120_000}})).await?;
    let result = lane.node()?.result(&id).await?.expect_completed()?.at("/result")?;
    ensure!(result.pointer("/diagnostic") == Some(&json!("OK")), "{result}");
    // The stand-in's own number.
    ensure!(result.pointer("/tables/tip/rows/0/4") == Some(&json!(-1.9047619047619)), "{result}");

    let broken = b"DEBUT()\n\nM = AFFE_MODELE(\n".to_vec();
    let id = lane.submit("code_aster", &[("a.comm", broken)], json!({})).await?;
    let failed = lane.node()?.result(&id).await?.expect_error_kind("solver")?;
    ensure!(failed.str_at("/error/message")?.contains("line 3"), "{}", failed.text());
    lane.until_cleared(&id).await
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
    let hungry = "exec tail -c 400M /dev/zero\n";
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

/// From the solver's line to a client that follows the task: the line says when it was said, by the machine's own clock.
#[tokio::test]
async fn a_line_reaches_a_client_that_follows_within_300_ms() -> Result<()> {
    let lane = Lane::start().await?;
    let script = format!("i=0; while [ $i -lt {LIVE_LINES} ]; do date +at=%s.%N; i=$((i+1)); sleep 0.15; done");
    let id = lane.script(&script, json!({})).await?;
    let mut events = lane.node()?.events(&id, None).await?;
    let mut waits = Vec::with_capacity(LIVE_LINES);
    let started = Instant::now();
    while waits.len() < LIVE_LINES && started.elapsed() < DEADLINE {
        let event = events.next(DEADLINE).await?.context("the stream ended")?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs_f64();
        for said in event.data.split("at=").skip(1) {
            let digits: String = said.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            waits.push(Duration::from_secs_f64((now - digits.parse::<f64>()?).max(0.0)));
        }
    }
    waits.sort();
    let p95 = waits.get(waits.len() * 95 / 100).context("no line was heard")?;
    ensure!(*p95 <= LIVE_MAX, "{waits:?}");
    Ok(())
}

#[tokio::test]
async fn f11_a_task_whose_image_is_missing_ends_at_once_and_says_what_brings_it() -> Result<()> {
    let lane = Lane::start().await?;
    lane.until_offered(&["calculix@1", "code_aster@1", "shell@1"]).await?;
    let id = lane.submit("absent", &[], json!({})).await?;
    let failed = lane.node()?.result(&id).await?.expect_error_kind("executor")?;
    let message = failed.str_at("/error/message")?;
    ensure!(message.contains(ABSENT) && message.contains("docker load"), "{message}");
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
