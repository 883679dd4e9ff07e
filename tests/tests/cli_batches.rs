//! `mecapy batch` and `batches`: sweeps and files of items from the command line, and what comes out of them.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{CommandLine, exit};
use serde_json::{Value, json};

const ROD: &str = "\
def main(d, F=1.0, E=1.0):
    if d < 0:
        raise ValueError('too thin')
    return {'stress': F / d, 'strain': F / d / E}
";
const SLOW: &str = "import time\ndef main(x):\n    time.sleep(60)\n";
const CASES: &str = "d,F\n1,8\n-1,8\n2,8\n-2,8\n";
const MANIFEST: &str = "\
version: \"1\"
package: {name: rods, version: 1.0.0, visibility: internal}
runtime: {kind: python}
functions:
  rod:
    handler: rods:rod
    inputs:
      F: {type: Force, unit: N}
      d: {type: Length, unit: mm}
    outputs:
      stress: {type: Stress, unit: MPa}
";

async fn start() -> Result<CommandLine> {
    CommandLine::start(&[("rod.py", ROD), ("slow.py", SLOW), ("cases.csv", CASES)]).await
}

fn at<'a>(value: &'a Value, pointer: &str) -> Result<&'a Value> {
    value.pointer(pointer).with_context(|| format!("{pointer} is missing in {value}"))
}

#[tokio::test]
async fn a_sweep_is_run_and_shown_and_written_and_drawn() -> Result<()> {
    let line = start().await?;
    let sweep = ["batch", "rod.py", "--sweep", "d=1,2,4", "--sweep", "F=0:8:5", "-i", "E=2.0"];
    let files = ["--out", "rods.csv", "--plot", "F,stress,d", "rods.png"];
    let (out, said) = line.run(&[&sweep[..], &files].concat(), exit::COMPLETED).await?;
    for words in
        ["#   d  F    E    stress  strain", "0   1  0.0  2.0  0.0     0.0", "…", "14  4  8.0  2.0  2.0     1.0"]
    {
        ensure!(out.contains(words), "{words:?} is missing in\n{out}");
    }
    ensure!(out.contains("RESULT") && out.contains("0 (#0)") && out.contains("8 (#4)"), "{out}");
    ensure!(said.contains("15/15") && said.contains("completed: 15 of 15 items completed"), "{said}");
    let table = String::from_utf8(line.read("rods.csv")?)?;
    ensure!(table.lines().count() == 16 && table.contains("inputs.d") && table.contains("result.stress"), "{table}");
    ensure!(line.read("rods.png")?.starts_with(b"\x89PNG"), "no picture");
    Ok(())
}

#[tokio::test]
async fn programs_get_one_document_and_tables_of_each_kind() -> Result<()> {
    let line = start().await?;
    let ended =
        line.json(&["batch", "rod.py", "--sweep", "d=1,2", "--sweep", "F=3,4", "--zip"], exit::COMPLETED).await?;
    ensure!(at(&ended, "/batch/total")? == 2 && at(&ended, "/errors")? == &json!([]), "{ended}");
    ensure!(at(&ended, "/summary/fields/0/max")?.as_f64() == Some(3.0), "{ended}");
    let id = at(&ended, "/batch/id")?.as_str().context("no id")?;
    let (csv, _) = line.run(&["batches", "results", id], exit::COMPLETED).await?;
    ensure!(csv.lines().count() == 3 && csv.contains("result.stress"), "{csv}");
    let (array, _) = line.run(&["batches", "results", id, "--format", "json"], exit::COMPLETED).await?;
    let array: Value = serde_json::from_str(&array)?;
    ensure!(
        at(&array, "/1/inputs")? == &json!({"d": 2, "F": 4}) && array.as_array().map(Vec::len) == Some(2),
        "{array}"
    );
    let (lines, _) = line.run(&["batches", "results", id, "--format", "ndjson"], exit::COMPLETED).await?;
    ensure!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{lines}");
    for (name, begin) in [("t.parquet", &b"PAR1"[..]), ("t.arrow", b"\xff\xff\xff\xff"), ("t.ndjson", b"{")] {
        line.run(&["batches", "results", id, "--out", name], exit::COMPLETED).await?;
        ensure!(line.read(name)?.starts_with(begin), "{name}");
    }
    line.run(&["batches", "plot", id, "--x", "d", "--y", "stress", "rods.svg"], exit::COMPLETED).await?;
    ensure!(String::from_utf8(line.read("rods.svg")?)?.contains("<svg"), "no picture");
    line.run(&["batches", "plot", id, "--x", "d", "--y", "nothing", "none.svg"], exit::REFUSED).await?;
    ensure!(!line.path("none.svg").exists() && !line.path(".none.svg.part").exists(), "a file was left");
    let listed = line.json(&["batches", "list", "--state", "completed"], exit::COMPLETED).await?;
    ensure!(at(&listed, "/batches/0/id")? == id && at(&listed, "/complete")? == true, "{listed}");
    let (shown, _) = line.run(&["batches", "show", id], exit::COMPLETED).await?;
    ensure!(shown.contains("stress"), "{shown}");
    let (watched, _) = line.run(&["--json", "batches", "watch", id], exit::COMPLETED).await?;
    let (first, last) = (watched.lines().next().unwrap_or_default(), watched.lines().last().unwrap_or_default());
    ensure!(at(&serde_json::from_str(first)?, "/event")? == "done", "{watched}");
    ensure!(at(&serde_json::from_str(last)?, "/batch/id")? == id, "{watched}");
    line.run(&["batches", "delete", id], exit::COMPLETED).await?;
    line.run(&["batches", "show", id], exit::REFUSED).await?;
    Ok(())
}

#[tokio::test]
async fn what_fails_is_told_together_and_runs_again() -> Result<()> {
    let line = start().await?;
    let items = ["batch", "rod.py", "--items", "cases.csv"];
    let (out, said) = line.run(&items, exit::COMPLETED).await?;
    ensure!(out.contains("STATE") && out.contains("exception"), "{out}");
    ensure!(said.contains("2 × exception: ValueError: too thin (first #1)"), "{said}");
    ensure!(said.contains("completed: 2 of 4 items completed, 2 failed; `mecapy batches retry "), "{said}");
    let ended = line.json(&[&items[..], &["--strict"]].concat(), exit::FAILED).await?;
    ensure!(at(&ended, "/errors/0/count")? == 2, "{ended}");
    let id = at(&ended, "/batch/id")?.as_str().context("no id")?;
    let (failed, _) = line.run(&["batches", "results", id, "--failed", "--format", "ndjson"], exit::COMPLETED).await?;
    ensure!(failed.lines().count() == 2, "{failed}");
    let again = line.json(&["batches", "retry", id], exit::COMPLETED).await?;
    ensure!(at(&again, "/batch/failed")? == 2 && at(&again, "/batch/id")? == id, "{again}");
    line.run(&[&items[..], &["--on-error", "stop"]].concat(), exit::FAILED).await?;
    Ok(())
}

#[tokio::test]
async fn a_batch_is_left_alone_and_cancelled() -> Result<()> {
    let line = start().await?;
    let id = line.id(&["batch", "slow.py", "--sweep", "x=1,2,3", "--detach", "--name", "long"]).await?;
    let (shown, _) = line.run(&["batches", "show", &id], exit::COMPLETED).await?;
    ensure!(shown.contains("0/3") && shown.contains("long"), "{shown}");
    line.run(&["batches", "cancel", &id], exit::COMPLETED).await?;
    let (_, said) = line.run(&["batches", "watch", &id], exit::CANCELLED).await?;
    ensure!(said.contains("3 were cancelled"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_published_function_takes_values_with_units() -> Result<()> {
    let line = CommandLine::start(&[
        ("mecapy.yml", MANIFEST),
        ("rods.py", "def rod(F, d):\n    return {'stress': F / d**2}\n"),
        ("cases.csv", "F,d\n1 kN,10mm\n400,0.02 m\n"),
    ])
    .await?;
    line.run(&["publish", "."], exit::COMPLETED).await?;
    let reference = "default/rods@1.0.0#rod";
    let ended =
        line.json(&["batch", reference, "--sweep", "d=10mm,0.02m", "--sweep", "F=0:1000:2"], exit::COMPLETED).await?;
    ensure!(at(&ended, "/summary/fields/0/max")?.as_f64() == Some(10.0), "{ended}");
    let ended = line.json(&["batch", reference, "--items", "cases.csv"], exit::COMPLETED).await?;
    ensure!(at(&ended, "/summary/fields/0/min")?.as_f64() == Some(1.0), "{ended}");
    let wrong = ["batch", reference, "--sweep", "d=10mm,3kg", "-i", "F=1"];
    let refused = line.json(&wrong, exit::REFUSED).await?;
    ensure!(at(&refused, "/errors/0/pointer")?.as_str().is_some_and(|at| at.starts_with("/sweep/d")), "{refused}");
    let ended = line.json(&[&wrong[..], &["--invalid-items", "record"]].concat(), exit::COMPLETED).await?;
    ensure!(at(&ended, "/errors/0/kind")? == "invalid_input", "{ended}");
    Ok(())
}

#[tokio::test]
async fn what_can_not_be_meant_is_refused_before_anything_runs() -> Result<()> {
    let line = start().await?;
    let misuse: [&[&str]; 6] = [
        &["batch", "rod.py"],
        &["batch", "rod.py", "--sweep", "d=1:2"],
        &["batch", "rod.py", "--items", "none.csv"],
        &["batch", "rod.py", "--sweep", "d=1", "--out", "rods.xlsx"],
        &["batch", "rod.py", "--sweep", "d=1", "--plot", "d", "rods.png"],
        &["batch", "rod.py", "--sweep", "d=1", "--sweep", "d=2"],
    ];
    for arguments in misuse {
        line.run(arguments, exit::MISUSE).await?;
    }
    let (_, said) = line.run(&["batch", "rod.py", "--sweep", "d=0:1:1000000000"], exit::REFUSED).await?;
    ensure!(said.contains("1000000000") && said.contains("100000"), "{said}");
    let listed = line.json(&["batches", "list"], exit::COMPLETED).await?;
    ensure!(at(&listed, "/batches")? == &json!([]), "{listed}");
    let (help, _) = line.run(&["batch", "--help"], exit::COMPLETED).await?;
    for words in ["--sweep d=8,10,12 --sweep F=0:50000:50", "unless --strict is given", "Exit codes:"] {
        ensure!(help.contains(words), "{words:?} is missing in\n{help}");
    }
    Ok(())
}
