//! `mecapy workflow`, `study` and `schedule` through the binary, as somebody reads them who pipes them.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{CommandLine, exit, until};
use serde_json::{Value, json};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(30);
const ROD: &str = "\
name: rod
inputs:
  F: {type: Force, unit: N}
  d: {type: Length, unit: mm}
nodes:
  - key: area
    code: {language: python, source: 'def main(d): return {\"area\": d * d * 0.75}'}
    inputs: {d: {from: inputs.d}}
  - key: stress
    code: {language: python, source: 'def main(F, A): return {\"stress\": F / A}'}
    inputs: {F: {from: inputs.F}, A: {from: area.area}}
outputs:
  stress: {from: stress.stress}
";
const SIGNED: &str = "\
name: signed
nodes:
  - {key: sign, approval: {message: Is it safe?}}
  - {key: report, code: {language: python, source: result = 7}, needs: [sign]}
outputs:
  report: {from: report.result}
";
const BROKEN: &str = "\
name: broken
nodes:
  - key: a
    code: {language: python, source: 'def main(): raise ValueError(\"too thin\")'}
outputs: {x: {from: a.x}}
";
const DOUBLE: &str = "def main(x):\n    return {'y': 2 * x}\n";

async fn start() -> Result<CommandLine> {
    let files = [("rod.yml", ROD), ("signed.yml", SIGNED), ("broken.yml", BROKEN), ("double.py", DOUBLE)];
    CommandLine::start(&files).await
}

fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("{pointer} is missing in {value}"))
}

/// Waits until the first node of a run asks a person.
async fn until_asked(line: &CommandLine, run: &str) -> Result<()> {
    let path = format!("/v1/workflow-runs/{run}");
    until("the node waits for a person", DEADLINE, || async {
        let shown = line.server.get(&path).await?.expect(200)?.at("/nodes/0/state")?;
        Ok((shown == json!("approval")).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_workflow_is_saved_shown_and_run() -> Result<()> {
    let line = start().await?;
    let (_, said) = line.run(&["workflow", "save", "rod.yml"], exit::COMPLETED).await?;
    ensure!(said == "saved rod as version 1\n", "{said}");
    let (listed, _) = line.run(&["workflow", "list"], exit::COMPLETED).await?;
    ensure!(listed.starts_with("WORKFLOW  VERSION  SAVED\nrod       1"), "{listed}");
    let (definition, _) = line.run(&["workflow", "show", "rod", "--definition"], exit::COMPLETED).await?;
    ensure!(
        serde_json::from_str::<Value>(&definition)?.pointer("/nodes/0/key") == Some(&json!("area")),
        "{definition}"
    );

    let (out, said) = line.run(&["workflow", "run", "rod", "-i", "F=0.3kN", "-i", "d=2cm"], exit::COMPLETED).await?;
    ensure!(out == "stress:  1.0\n" || out == "stress:  1\n", "{out}");
    for words in ["run ", "✓ area completed", "✓ stress completed", "completed in "] {
        ensure!(said.contains(words), "{words:?} is missing in\n{said}");
    }
    ensure!(said.find("area") < said.find("stress completed"), "{said}");
    let run = line
        .json(&["workflow", "run", "rod.yml", "-i", "F=300", "-i", "d=20", "--name", "M20"], exit::COMPLETED)
        .await?;
    ensure!(run.pointer("/outputs/stress").and_then(Value::as_f64) == Some(1.0), "{run}");
    ensure!(run.pointer("/version") == Some(&json!(1)), "saved again, though nothing differs: {run}");
    let (runs, _) = line.run(&["workflow", "runs", "rod"], exit::COMPLETED).await?;
    ensure!(runs.lines().count() == 3 && runs.contains("M20"), "{runs}");
    let (watched, _) = line.run(&["--json", "workflow", "watch", text(&run, "/id")?], exit::COMPLETED).await?;
    let last: Value = serde_json::from_str(watched.lines().last().unwrap_or_default())?;
    ensure!(last.pointer("/state") == Some(&json!("completed")), "{watched}");
    line.run(&["workflow", "run", "rod", "-i", "F=3mm", "-i", "d=20"], exit::REFUSED).await?;
    line.run(&["workflow", "run", "nothing"], exit::REFUSED).await?;
    line.run(&["workflow", "run", "none.yml"], exit::MISUSE).await?;
    line.run(&["workflow", "run", "rod.yml", "--version", "1"], exit::MISUSE).await?;
    Ok(())
}

#[tokio::test]
async fn faults_are_shown_in_the_file_that_has_them() -> Result<()> {
    let line = start().await?;
    std::fs::write(line.path("bad.yml"), ROD.replace("area.area", "aera.area"))?;
    let (_, said) = line.run(&["workflow", "save", "bad.yml"], exit::REFUSED).await?;
    ensure!(said.contains(" --> bad.yml:11") && said.contains("/nodes/1/inputs/A"), "{said}");
    std::fs::write(line.path("bad.json"), "{\"name\": ")?;
    let (_, said) = line.run(&["workflow", "save", "bad.json"], exit::REFUSED).await?;
    ensure!(said.contains("bad.json:1"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_person_answers_a_run_that_waits() -> Result<()> {
    let line = start().await?;
    let id = line.id(&["workflow", "run", "signed.yml", "--detach"]).await?;
    until_asked(&line, &id).await?;
    line.run(&["workflow", "approve", &id, "report"], exit::REFUSED).await?;
    line.run(&["workflow", "approve", &id, "sign", "--comment", "below 0.8"], exit::COMPLETED).await?;
    let (out, said) = line.run(&["workflow", "watch", &id], exit::COMPLETED).await?;
    ensure!(out == "report:  7\n" && said.contains("✓ sign completed"), "{out}{said}");

    let rejected = line.id(&["workflow", "run", "signed", "--detach"]).await?;
    until_asked(&line, &rejected).await?;
    line.run(&["workflow", "approve", &rejected, "sign", "--reject"], exit::COMPLETED).await?;
    let (_, said) = line.run(&["workflow", "watch", &rejected], exit::FAILED).await?;
    ensure!(said.contains("error[rejected] in sign"), "{said}");

    let stopped = line.id(&["workflow", "run", "signed", "--detach"]).await?;
    line.run(&["workflow", "cancel", &stopped], exit::COMPLETED).await?;
    line.run(&["workflow", "watch", &stopped], exit::CANCELLED).await?;
    Ok(())
}

#[tokio::test]
async fn a_run_that_fails_says_where_and_is_restarted() -> Result<()> {
    let line = start().await?;
    let (_, said) = line.run(&["workflow", "run", "broken.yml"], exit::FAILED).await?;
    for words in ["✗ a failed", "error[exception] in a: ", "too thin", "mecapy workflow restart "] {
        ensure!(said.contains(words), "{words:?} is missing in\n{said}");
    }
    let runs = line.json(&["workflow", "runs", "broken", "--state", "failed"], exit::COMPLETED).await?;
    line.run(&["workflow", "restart", text(&runs, "/runs/0/id")?], exit::FAILED).await?;
    Ok(())
}

#[tokio::test]
async fn a_study_is_a_table_of_all_that_belongs_to_it() -> Result<()> {
    let line = start().await?;
    let id = line.id(&["study", "create", "doubling", "--description", "Does it?"]).await?;
    let ended = line.json(&["batch", "double.py", "--sweep", "x=1,2,3", "--study", &id], exit::COMPLETED).await?;
    let batch = text(&ended, "/batch/id")?;
    line.json(&["workflow", "run", "rod.yml", "-i", "F=300", "-i", "d=20", "--study", &id], exit::COMPLETED).await?;
    let (shown, _) = line.run(&["study", "show", &id], exit::COMPLETED).await?;
    ensure!(shown.contains("0 tasks, 1 batches, 1 workflow runs") && shown.contains(batch), "{shown}");
    let (table, _) = line.run(&["study", "table", &id, "--format", "csv"], exit::COMPLETED).await?;
    ensure!(table.lines().count() == 5 && table.contains("result.y") && table.contains("outputs.stress"), "{table}");
    line.run(&["study", "table", &id, "--out", "all.parquet"], exit::COMPLETED).await?;
    ensure!(line.read("all.parquet")?.starts_with(b"PAR1"), "no table");
    line.run(&["study", "plot", &id, "--x", "inputs.x", "--y", "result.y", "y.png"], exit::COMPLETED).await?;
    ensure!(line.read("y.png")?.starts_with(b"\x89PNG"), "no picture");
    let (a, b) = (format!("item:{batch}:0"), format!("item:{batch}:1"));
    let (compared, _) = line.run(&["study", "compare", &id, &a, &b], exit::COMPLETED).await?;
    ensure!(compared.contains("inputs/x") && compared.contains("+100.00 %"), "{compared}");
    let (listed, _) = line.run(&["study", "list"], exit::COMPLETED).await?;
    ensure!(listed.contains("doubling"), "{listed}");
    Ok(())
}

#[tokio::test]
async fn a_schedule_is_made_paused_and_fired() -> Result<()> {
    let line = start().await?;
    let create = ["schedule", "create", "task", "double.py", "-i", "x=1", "--cron", "0 2 * * *"];
    let id = line.id(&[&create[..], &["--timezone", "Europe/Paris", "--name", "nightly"]].concat()).await?;
    let (listed, _) = line.run(&["schedule", "list"], exit::COMPLETED).await?;
    ensure!(listed.contains("nightly") && listed.contains("Europe/Paris"), "{listed}");
    line.run(&["schedule", "pause", &id], exit::COMPLETED).await?;
    let (shown, _) = line.run(&["schedule", "show", &id], exit::COMPLETED).await?;
    ensure!(shown.contains("paused"), "{shown}");
    let fired = line.json(&["schedule", "run", &id], exit::COMPLETED).await?;
    line.run(&["watch", text(&fired, "/task")?], exit::COMPLETED).await?;
    line.run(&["schedule", "resume", &id], exit::COMPLETED).await?;
    line.run(&["workflow", "save", "rod.yml"], exit::COMPLETED).await?;
    let workflow = ["schedule", "create", "workflow", "rod", "-i", "F=300", "-i", "d=20", "--cron", "@daily"];
    let nightly = line.id(&workflow).await?;
    let fired = line.json(&["schedule", "run", &nightly], exit::COMPLETED).await?;
    line.run(&["workflow", "watch", text(&fired, "/workflow_run")?], exit::COMPLETED).await?;
    let wrong = ["schedule", "create", "task", "double.py", "-i", "x=1", "--cron", "* * *"];
    line.run(&wrong, exit::REFUSED).await?;
    line.run(&["schedule", "delete", &id], exit::COMPLETED).await?;
    line.run(&["schedule", "show", &id], exit::REFUSED).await?;
    Ok(())
}
