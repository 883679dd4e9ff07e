//! How runs end, and what they say until then.

use crate::bench::{Bench, Cuttable, MIB, SIZES, watch};
use mecapy_model::LogStream::{Stderr, Stdout};
use mecapy_runtime::{
    Cancel,
    container::{Run, Sizes},
    solver::Stopped,
};
use std::time::{Duration, Instant};

#[tokio::test]
async fn output_comes_in_order_by_lines_whatever_its_bytes() {
    let bench = Bench::new().await;
    let script = r"
        echo one; echo two >&2; sleep 0.05; printf 'th'; sleep 0.05; printf 'ree\n\n'; sleep 0.05
        printf 'bad \377 byte\n' >&2; sleep 0.05; head -c 40000 /dev/zero | tr '\0' y; echo; printf 'no end'; exit 3";
    let said = bench.run(script, SIZES).await;
    assert_eq!((said.watched.exit_code, said.watched.stopped), (3, None));
    let long = "y".repeat(40_000);
    let expected = [
        (Stdout, "one"),
        (Stderr, "two"),
        (Stdout, "three"),
        (Stdout, ""),
        (Stderr, "bad \u{fffd} byte"),
        (Stdout, &long),
        (Stdout, "no end"),
    ];
    let mut lines: Vec<_> = said.lines.iter().map(|(of, line)| (*of, line.as_str())).collect();
    // The first two are written to two pipes within a moment: either may come first.
    lines[..2].sort_by_key(|(of, _)| *of == Stderr);
    assert_eq!(lines, expected);
    // The engine keeps the bad byte as the three of its replacement.
    assert_eq!(said.watched.output_bytes, 40_035);
    said.remove().await;
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_cancel_asks_with_term_and_ends_with_kill() {
    let bench = Bench::new().await;
    let cancel = Cancel::new();
    let polite = "trap 'echo saved; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let deaf = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    let later = cancel.clone();
    let cancelling = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        later.cancel();
    });
    let started = Instant::now();
    let (polite, deaf) = tokio::join!(bench.run_until(polite, SIZES, &cancel), bench.run_until(deaf, SIZES, &cancel));
    cancelling.await.unwrap();
    assert_eq!((polite.watched.exit_code, polite.watched.stopped), (7, Some(Stopped::Cancelled)));
    assert_eq!(polite.stdout(), ["ready", "saved"]);
    assert!(polite.watched.wall < Duration::from_secs(5), "{:?}", polite.watched);
    assert_eq!((deaf.watched.exit_code, deaf.watched.stopped), (137, Some(Stopped::Cancelled)));
    assert!((9..14).contains(&deaf.watched.wall.as_secs()), "{:?}", deaf.watched);
    assert!(started.elapsed() < Duration::from_secs(25));
    polite.remove().await;
    deaf.remove().await;
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_deadline_ends_it() {
    let bench = Bench::new().await;
    let said = bench.run("sleep 100", Sizes { wall: Duration::from_millis(500), ..SIZES }).await;
    assert_eq!((said.watched.exit_code, said.watched.stopped), (143, Some(Stopped::Timeout)));
    assert!(said.watched.wall < Duration::from_secs(5), "{:?}", said.watched);
    said.remove().await;
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn memory_that_is_used_up_is_told_from_a_child_that_its_parent_survived() {
    let bench = Bench::new().await;
    let eat = r"x=$(head -c 300000000 /dev/zero | tr '\0' x)";
    let said = bench.run(eat, SIZES).await;
    assert_eq!((said.watched.exit_code, said.watched.stopped), (137, Some(Stopped::OutOfMemory)), "{:?}", said.lines);
    said.remove().await;
    let said = bench.run(&format!("({eat}; true); echo survived; exit 0"), SIZES).await;
    assert_eq!((said.watched.exit_code, said.watched.stopped, said.stdout()), (0, None, vec!["survived"]));
    said.remove().await;
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn security_06_a_flood_is_stopped_and_what_is_kept_of_it_is_capped() {
    let bench = Bench::new().await;
    let sizes = Sizes { output_bytes_max: 100_000, ..SIZES };
    for script in ["yes", "yes '' >&2", "cat /dev/zero"] {
        let started = Instant::now();
        let said = bench.run(script, sizes).await;
        assert_eq!(said.watched.stopped, Some(Stopped::Flood), "{script}");
        assert!(started.elapsed() < Duration::from_secs(10), "{script}: {:?}", started.elapsed());
        let kept: usize = said.lines.iter().map(|(_, line)| line.len()).sum();
        assert!(kept <= 100_000, "{script}: {kept}");
        said.remove().await;
    }
    // It ends before it can be stopped: it is told all the same.
    let said = bench.run("head -c 200000 /dev/zero | tr '\\0' z", sizes).await;
    assert_eq!(said.watched.stopped, Some(Stopped::Flood));
    said.remove().await;
    bench.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_goes_away_and_comes_back_costs_no_line_and_doubles_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut cuttable = Cuttable::new(folder.path());
    let bench = Bench::at(&cuttable.url).await;
    let script = "i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); sleep 0.01; done; exit 5";
    let volume = bench.volumes.create("v", SIZES.disk_bytes).await.unwrap();
    let run = Run::launch(&bench.engine, &bench.launch(script, SIZES, &volume)).await.unwrap();
    let cancel = Cancel::new();
    let (watched, ()) = tokio::join!(watch(&run, &cancel), async {
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            cuttable.cut().await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            cuttable.open();
        }
    });
    let (watched, lines) = watched.unwrap();
    assert_eq!((watched.exit_code, watched.stopped), (5, None));
    let expected: Vec<_> = (0..400).map(|index| (Stdout, format!("line {index}"))).collect();
    assert_eq!(lines, expected);
    run.remove().await.unwrap();
    volume.remove().await.unwrap();
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_line_is_told_within_moments() {
    let bench = Bench::new().await;
    let volume = bench.volumes.create("v", SIZES.disk_bytes).await.unwrap();
    // Each line says when it was said, by the clock that both share, to the hundredth of a second.
    let script = "i=0; while [ $i -lt 40 ]; do cat /proc/uptime; i=$((i+1)); sleep 0.02; done";
    let run = Run::launch(&bench.engine, &bench.launch(script, SIZES, &volume)).await.unwrap();
    let mut lags = Vec::new();
    let mut follower = |_, line: &str| {
        let seconds = |text: &str| text.split(' ').next().unwrap().parse::<f64>().unwrap();
        lags.push(seconds(&std::fs::read_to_string("/proc/uptime").unwrap()) - seconds(line));
    };
    run.watch(&mut follower, &Cancel::new()).await.unwrap();
    // The first lines may wait for the stream to be opened.
    let mut later = lags.split_off(5);
    later.sort_by(f64::total_cmp);
    assert!(later[later.len() * 95 / 100] < 0.2, "{later:?}");
    run.remove().await.unwrap();
    volume.remove().await.unwrap();
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn what_is_said_in_the_last_moment_is_told() {
    let bench = Bench::new().await;
    for round in 0..5 {
        let script = "i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done";
        let said = bench.run(script, Sizes { output_bytes_max: MIB, ..SIZES }).await;
        assert_eq!(said.lines.len(), 2000, "round {round}");
        said.remove().await;
    }
    bench.nothing_is_left().await;
}
