//! The workflows of `fixtures/workflows`, each with its cases.

use crate::{Answer, Server, equal, fixture_path, until};
use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use std::{fs, time::Duration};

const DEADLINE: Duration = Duration::from_secs(60);

/// A definition, or its cases, by the path in `fixtures/workflows`.
pub fn workflow_fixture(path: &str) -> Result<Value> {
    let file = fixture_path(&format!("workflows/{path}.json"))?;
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    serde_json::from_str(&text).with_context(|| file.display().to_string())
}

/// Saves a workflow, starts each of its cases and compares how it ends.
pub async fn check_workflow(server: &Server, name: &str) -> Result<()> {
    let id = server.save_workflow(&workflow_fixture(name)?).await?;
    let all = workflow_fixture(&format!("cases/{name}"))?;
    let cases = all.get("cases").and_then(Value::as_array).context("no cases")?;
    for case in cases {
        let title = case.get("name").and_then(Value::as_str).unwrap_or(name);
        let run = server.start_run(&id, case.get("inputs").cloned().unwrap_or_default()).await?;
        for (what, approved) in [("approve", true), ("reject", false)] {
            for (key, said) in case.get(what).and_then(Value::as_object).into_iter().flatten() {
                answer(server, &run, key, approved, said).await.context(title.to_owned())?;
            }
        }
        let ended = server.run_ended(&run).await?;
        compare(&ended, case, &all).with_context(|| format!("{name}, {title}: {}", ended.text()))?;
    }
    Ok(())
}

/// Says a word to a node once it waits for one.
async fn answer(server: &Server, run: &str, key: &str, approved: bool, said: &Value) -> Result<()> {
    let path = format!("/v1/workflow-runs/{run}/nodes/{key}/approve");
    let body = json!({"approved": approved, "comment": said.get("comment")});
    until(&format!("{key} waits"), DEADLINE, || async {
        let answer = server.post(&path, &body).await?;
        Ok((answer.status != 409).then_some(answer))
    })
    .await?
    .expect(202)?;
    Ok(())
}

fn compare(ended: &Answer, case: &Value, all: &Value) -> Result<()> {
    ensure!(Some(ended.str_at("/state")?.as_str()) == case.get("state").and_then(Value::as_str));
    let object = |name: &str| case.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
    let outputs = ended.at("/outputs")?;
    let tolerance = |of: &Value, name: &str| of.get(name).and_then(Value::as_f64);
    let common = |name: &str| tolerance(case, name).or_else(|| tolerance(all, name)).unwrap_or(0.0);
    for (pointer, wanted) in object("expect") {
        let found = outputs.pointer(&pointer).with_context(|| format!("nothing at {pointer}"))?;
        let (value, rel_tol, abs_tol) = match wanted.get("value") {
            Some(value) => {
                let own = |name: &str| tolerance(&wanted, name).unwrap_or_else(|| common(name));
                (value, own("rel_tol"), own("abs_tol"))
            }
            None => (&wanted, common("rel_tol"), common("abs_tol")),
        };
        ensure!(equal(found, value, rel_tol, abs_tol), "{pointer} is {found}, not {value}");
    }
    for pointer in case.get("absent").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        ensure!(outputs.pointer(pointer).is_none_or(Value::is_null), "there is something at {pointer}");
    }
    let error: Map<String, Value> = object("error");
    for (member, wanted) in error {
        let found = ended.at("/error")?.get(&member).cloned().unwrap_or_default();
        ensure!(found == wanted, "the error's {member} is {found}, not {wanted}");
    }
    Ok(())
}
