//! Code_Aster's adapter over whole runs of the stand-in, which speaks the solver's protocol and computes nothing: from a
//! request to what its user is told. No number here means anything.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Answer, Lane, fixture_path, merge};
use reqwest::Method;
use serde_json::{Value, json};
use std::{fs, io::Write as _, time::Duration};
use tempfile::NamedTempFile;

const DEADLINE: Duration = Duration::from_secs(60);
/// Each run's work folder, bytes: no file is longer.
const DISK_BYTES: u64 = 64 << 20;

/// How a study ends that has one directive.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// With the boxes of newer versions, and the exit code that belongs to the diagnostic.
    New,
    /// With the boxes of older versions, and the exit code 0: a launcher may end with it whatever happened.
    OldWith0,
}

use Way::{New, OldWith0};

/// Directives, how the study ends, and what its user is told: nothing where it completes.
const ENDINGS: [(&str, &[Way], Option<&str>); 17] = [
    ("diagnostic OK", &[New], None),
    ("diagnostic <A>_ALARM", &[New], None),
    ("alarm CALCULEL_8", &[OldWith0], None),
    ("diagnostic NOOK_TEST_RESU", &[New], Some("1 of 1 tests are out of tolerance: NOOK ANALYTIQUE")),
    ("tests 3 2", &[OldWith0], Some("2 of 5 tests are out of tolerance: NOOK ANALYTIQUE")),
    ("diagnostic NO_TEST_RESU", &[New, OldWith0], Some("it was run as a test case, and has no TEST_RESU")),
    (
        "diagnostic <S>_ERROR",
        &[New, OldWith0],
        Some("Le calcul est interrompu, le pas courant est conservé. [STANDIN_2] (<S>_ERROR)"),
    ),
    ("diagnostic <S>_CPU_LIMIT", &[New, OldWith0], Some("the solver's time limit of 91 s was used up: ask for more")),
    ("diagnostic <S>_NO_CONVERGENCE", &[New], Some("did not converge: Le nombre d'itérations de Newton est atteint")),
    (
        "diagnostic <S>_NO_CONVERGENCE\n# stand-in: steps 3 every 0",
        &[OldWith0],
        Some(
            "Newton's iterations did not converge at time 1.000000000000E+00 (step 3); after iteration 10 \
             RESI_GLOB_RELA 3.20000E-02, RESI_GLOB_MAXI 1.40000E+03 (<S>_NO_CONVERGENCE)",
        ),
    ),
    ("diagnostic <S>_MEMORY_ERROR", &[New, OldWith0], Some("needs more than its 128 MB of memory: ask for more")),
    ("diagnostic <F>_ERROR", &[New, OldWith0], Some("Le groupe de mailles BEAM n'existe pas dans le maillage.")),
    (
        "diagnostic <F>_SYNTAX_ERROR",
        &[New],
        Some("a.comm, line 4: the command file has a syntax error: '(' was never closed"),
    ),
    ("diagnostic <F>_ABNORMAL_ABORT", &[New, OldWith0], Some("process ended abnormally with exit code 139")),
    ("signal ABRT", &[New], Some("process ended abnormally with exit code 134")),
    ("diagnostic none", &[New], Some("Code_Aster ended with exit code 1 and without a diagnostic")),
    ("diagnostic none", &[OldWith0], Some("Code_Aster ended with exit code 0 and without a diagnostic")),
];

fn study(directive: &str, way: Way) -> String {
    let (boxes, exit) = match way {
        New => ("new", ""),
        OldWith0 => ("old", "# stand-in: exit 0\n"),
    };
    format!("DEBUT()\n# stand-in: boxes {boxes}\n# stand-in: {directive}\nFIN()\n{exit}")
}

/// What the times and sizes in messages come from.
fn limits(memory_mib: u64) -> Value {
    json!({"limits": {"timeout_ms": 120_000, "memory_bytes": memory_mib << 20}})
}

/// Submits a study of one command file.
async fn submit(lane: &Lane, comm: &str) -> Result<String> {
    lane.submit("code_aster", &[("a.comm", comm.as_bytes().to_vec())], limits(256)).await
}

fn fixtures<'n>(names: &[&'n str]) -> Result<Vec<(&'n str, Vec<u8>)>> {
    let path = |name: &str| fixture_path(&format!("solvers/code_aster/cantilever/{name}"));
    names.iter().map(|name| anyhow::Ok((*name, fs::read(path(name)?)?))).collect()
}

/// The study completed, or failed with these words and the solver's own.
fn ensure_told(answer: Answer, told: Option<&str>) -> Result<()> {
    let Some(told) = told else {
        let result = answer.expect_completed()?.at("/result")?;
        let alarms = u64::from(result.pointer("/diagnostic") == Some(&json!("<A>_ALARM")));
        ensure!(result.pointer("/alarms") == Some(&json!(alarms)), "{result}");
        return Ok(());
    };
    let answer = answer.expect_error_kind("solver")?;
    let message = answer.str_at("/error/message")?;
    ensure!(message.contains(told), "{message}");
    ensure!(!answer.str_at("/error/traceback")?.trim().is_empty(), "{}", answer.text());
    Ok(())
}

#[tokio::test]
async fn every_diagnostic_is_understood_whatever_the_exit_code_and_the_boxes() -> Result<()> {
    let lane = Lane::start().await?;
    let mut sent = Vec::new();
    for (directive, ways, told) in ENDINGS {
        for way in ways.iter().copied() {
            sent.push((submit(&lane, &study(directive, way)).await?, directive, way, told));
        }
    }
    let broken = submit(&lane, "# stand-in: exit 0\nDEBUT()\n\nM = AFFE_MODELE(\n").await?;
    for (id, directive, way, told) in sent {
        ensure_told(lane.node()?.result(&id).await?, told).with_context(|| format!("{directive:?}, {way:?}"))?;
    }
    // Python found the fault in a changed copy with more lines: the user is told their own.
    let broken = lane.node()?.result(&broken).await?.expect_error_kind("solver")?;
    ensure!(broken.at("/error/line")? == json!(4), "{}", broken.text());
    let message = broken.str_at("/error/message")?;
    ensure!(message.starts_with("a.comm, line 4: the command file has a syntax error"), "{message}");
    Ok(())
}

#[tokio::test]
async fn steps_and_residuals_are_followed_in_both_languages() -> Result<()> {
    let lane = Lane::start().await?;
    let node = lane.node()?;
    for language in ["fr", "en"] {
        let head = format!("DEBUT()\n# stand-in: language {language}\n");
        // It stays in its first step: whoever follows it sees that, however slow they are.
        let id = submit(&lane, &format!("{head}# stand-in: steps 2 every 600\nFIN()\n")).await?;
        let mut events = node.events(&id, None).await?;
        let told = loop {
            let event = events.next(DEADLINE).await?.context("the stream ended without a residual")?;
            if event.event == "progress" && event.data.contains("iteration") {
                break event.json()?;
            }
        };
        let expected = "time 0.500000000000E+00, iteration 0: RESI_GLOB_RELA 9.10000E-01, RESI_GLOB_MAXI 1.40000E+04";
        ensure!(told.pointer("/message") == Some(&json!(expected)), "{language}: {told}");
        ensure!(told.pointer("/fraction") == Some(&json!(0.5)), "{language}: {told}");
        node.post(&format!("/v1/tasks/{id}/cancel"), &json!({})).await?.expect(202)?;
        node.result(&id).await?.expect_error_kind("cancelled")?;

        let id = submit(&lane, &format!("{head}# stand-in: steps 4 every 0\nFIN()\n")).await?;
        let done = node.result(&id).await?.expect_completed()?;
        let steps = r#""time_steps":{"count":4,"cut":0,"last":1.000000000000E+00,"iterations":8,"last_iteration":{"iteration":1,"relative":2.50000E-09,"maximum":3.80000E-05}}"#;
        ensure!(done.text().contains(steps), "{language}: {}", done.text());
    }
    Ok(())
}

#[tokio::test]
async fn the_study_of_the_fixtures_runs_with_and_without_its_export() -> Result<()> {
    let lane = Lane::start().await?;
    let loose = fixtures(&["cantilever.comm", "cantilever.mail"])?;
    let whole = fixtures(&["cantilever.comm", "cantilever.mail", "cantilever.export"])?;
    let inputs = json!({"results": {"tip.csv": 38, "clamp.table": 39}, "parameters": {"force_n": 150.0}});
    for (files, inputs) in [(whole, json!({})), (loose, inputs)] {
        let mut more = limits(1024);
        merge(&mut more, json!({"inputs": inputs}));
        let id = lane.submit("code_aster", &files, more).await?;
        let done = lane.node()?.result(&id).await?.expect_completed()?;
        // The stand-in's own digits: Fortran's exponent has become JSON's, and nothing else has changed.
        let row = r#"["TIP","N2",1,0.00000000000000E+00,-1.90476190476190E+00]"#;
        ensure!(done.text().contains(row), "{}", done.text());
        let result = done.at("/result")?;
        for (pointer, expected) in [
            ("/diagnostic", json!("OK")),
            ("/version", json!("17.4.0")),
            ("/tables/tip/columns/4", json!("DY")),
            ("/tables/clamp/title", json!("STAND-IN: FIXED NUMBERS")),
            ("/commands/8/name", json!("MECA_STATIQUE")),
            ("/commands_ended", json!(16)),
            ("/times/elapsed", json!(2.0)),
        ] {
            ensure!(result.pointer(pointer) == Some(&expected), "{pointer} is not {expected}: {result}");
        }
        let kept = lane.artifacts(&id).await?;
        let expected = ["cantilever.mess", "cantilever.resu", "cantilever.rmed", "clamp.table", "tip.csv"];
        ensure!(kept.keys().eq(expected), "{kept:?}");
        ensure!(lane.node()?.task(&id).await?.at("/warnings")? == json!([]));
        lane.until_cleared(&id).await?;
    }
    Ok(())
}

#[tokio::test]
async fn two_command_files_run_in_a_row_and_a_further_task_goes_on_from_their_base() -> Result<()> {
    let lane = Lane::start().await?;
    let node = lane.node()?;
    let files = fixtures(&["cantilever.comm", "further.comm", "cantilever.mail", "further.export"])?;
    let id = lane.submit("code_aster", &files, limits(1024)).await?;
    let result = node.result(&id).await?.expect_completed()?.at("/result")?;
    ensure!(result.pointer("/commands/16/name") == Some(&json!("POURSUITE")), "{result}");
    ensure!(result.pointer("/commands_ended") == Some(&json!(21)), "{result}");
    let kept = lane.artifacts(&id).await?;
    let base = ["base/glob.1", "base/pick.1"];
    let others = ["cantilever.rmed", "clamp.table", "further.mess", "tip.csv", "twice.csv"];
    ensure!(kept.keys().eq(base.iter().chain(&others)), "{kept:?}");

    let mut files = vec![("a.comm", b"POURSUITE()\nFIN()\n".to_vec())];
    for name in base {
        let url = kept.get(name).and_then(|artifact| artifact.get("url")?.as_str()).context("no URL")?;
        files.push((name, node.send(node.anonymous(Method::GET, url)).await?.expect(200)?.bytes));
    }
    let id = lane.submit("code_aster", &files, limits(256)).await?;
    let result = node.result(&id).await?.expect_completed()?.at("/result")?;
    ensure!(result.pointer("/commands/0/name") == Some(&json!("POURSUITE")), "{result}");
    Ok(())
}

#[tokio::test]
async fn security_12_what_a_study_plants_among_its_results_fails_it_and_is_not_read() -> Result<()> {
    let lane = Lane::start().await?;
    let rows = [
        // A declared result, which would be read and kept.
        ("link a.resu /etc/passwd", "a.resu"),
        ("hardlink copy.csv a.comm", "it is a hard link"),
        ("fifo pipe", "pipe"),
        // Security line 13: it is shown, and does not turn the line around.
        ("file evil\u{202e}gnp.exe 0", "\\u{202e}"),
    ];
    let mut sent = Vec::new();
    for (directive, told) in rows {
        let comm = format!("DEBUT()\n# stand-in: {directive}\nFIN()\n");
        sent.push((submit(&lane, &comm).await?, directive, told));
    }
    for (id, directive, told) in sent {
        let failed = lane.node()?.result(&id).await?.expect_error_kind("invalid_artifact").context(directive)?;
        let message = failed.str_at("/error/message")?;
        ensure!(message.contains(told) && message.contains("can't be kept"), "{directive}: {message}");
        ensure!(!message.contains('\u{202e}'), "{directive}: {message:?}");
        let kept = lane.artifacts(&id).await?;
        let harmless = ["a.mess", "a.resu", "a.rmed"];
        let planted = |name: &str| !harmless.contains(&name) || directive.contains(name);
        ensure!(!kept.keys().any(|name| planted(name)), "{directive}: {kept:?}");
    }
    Ok(())
}

#[tokio::test]
async fn security_23_a_hostile_study_is_contained_and_what_it_says_is_harmless() -> Result<()> {
    const LINES: usize = 20_000;
    let lane = Lane::start().await?;
    let mut canary = NamedTempFile::new()?;
    canary.write_all(b"of the host alone")?;
    let hostile = format!(
        "DEBUT()\n# stand-in: flood {LINES}\n# stand-in: latin1\n# stand-in: hog 20\n\
         # stand-in: sparse a.rmed 5000\n# stand-in: files 20\n# stand-in: fork 5\n\
         # stand-in: read /proc/1/environ\n# stand-in: read {}\nFIN()\n\
         # stand-in: diagnostic <F>_ABNORMAL_ABORT\n# stand-in: exit 0\n",
        canary.path().display()
    );
    let hostile = submit(&lane, &hostile).await?;
    // More processes than a container may have, in memory that they would fit into.
    let bomb = [("a.comm", b"DEBUT()\n# stand-in: fork 600\nFIN()\n".to_vec())];
    let bomb = lane.submit("code_aster", &bomb, limits(1024)).await?;
    let endless = submit(&lane, "DEBUT()\n# stand-in: flood 0\nFIN()\n").await?;

    for (id, told) in [(&hostile, "(<F>_ABNORMAL_ABORT)"), (&bomb, "without a diagnostic"), (&endless, "more output")] {
        let message = lane.node()?.result(id).await?.expect_error_kind("solver")?.str_at("/error/message")?;
        ensure!(message.contains(told), "{told}: {message}");
        lane.node()?.probe().await?;
    }
    let log = lane.log(&hostile).await?;
    ensure!(log.matches("a study that says too much").count() == LINES, "a part of the log is missing");
    for said in ["arr\u{fffd}t \u{241b}[31m rouge", "5 processes", "No such file"] {
        ensure!(log.contains(said), "nothing of {said}");
    }
    for unsaid in ["\u{1b}", "MECAPY_", "of the host alone"] {
        ensure!(!log.contains(unsaid), "it says {unsaid:?}");
    }
    ensure!(!lane.log(&bomb).await?.contains("600 processes"));
    // The file was longer than its disk: what is left of it is not.
    let kept = lane.artifacts(&hostile).await?;
    let bytes = |artifact: &Value| artifact.get("size_bytes").and_then(Value::as_u64);
    ensure!(kept.keys().eq(["a.rmed"]) && kept.values().all(|it| bytes(it).is_some_and(|bytes| bytes < DISK_BYTES)));
    for id in [&hostile, &bomb, &endless] {
        lane.until_cleared(id).await?;
    }
    Ok(())
}
