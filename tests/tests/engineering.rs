//! The engineering fixtures give their expected values in the sandbox, as previews and as tasks.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Fixture, Server, merge, python};
use serde_json::{Map, Value, json};
use std::fs;

#[tokio::test]
async fn every_case_of_every_fixture_gives_its_expected_values() -> Result<()> {
    let server = Server::start().await?;
    let fixtures = Fixture::all("engineering")?;
    for needed in ["truss", "beam", "bolt", "fatigue", "frame", "vessel", "tensile"] {
        ensure!(fixtures.iter().any(|fixture| fixture.name.contains(needed)), "no fixture about {needed}");
    }
    let mut faults = Vec::new();
    for fixture in &fixtures {
        let body = body_of(&server, fixture).await?;
        for case in &fixture.cases {
            let mut body = body.clone();
            merge(&mut body, json!({"inputs": case.inputs}));
            let answer = server.preview(&body).await?.expect(200).with_context(|| fixture.name.clone())?;
            if let Err(fault) = case.check(&answer) {
                faults.push(format!("{}, {}: {fault:#}", fixture.name, case.name));
            }
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

#[tokio::test]
async fn a_fixture_gives_the_same_as_a_task_and_as_a_preview() -> Result<()> {
    let server = Server::start().await?;
    for fixture in Fixture::all("engineering")? {
        let mut body = body_of(&server, &fixture).await?;
        let case = fixture.cases.first().context("no case")?;
        merge(&mut body, json!({"inputs": case.inputs, "seed": 1}));
        let preview = server.preview(&body).await?.expect_completed().with_context(|| fixture.name.clone())?;
        let id = server.submit(&body).await?;
        let result = server.result(&id).await?;
        ensure!(result.at("/result")? == preview.at("/result")?, "{}: the results differ", fixture.name);
        let artifacts = server.get(&format!("/v1/tasks/{id}/artifacts")).await?.expect(200)?.json()?;
        let names = |list: &Value| -> Vec<Value> {
            list.as_array().into_iter().flatten().filter_map(|item| item.get("name").cloned()).collect()
        };
        ensure!(names(&artifacts) == names(&preview.at("/artifacts")?), "{}: {artifacts}", fixture.name);
    }
    Ok(())
}

/// The fixture's code with its files sent.
async fn body_of(server: &Server, fixture: &Fixture) -> Result<Value> {
    let mut body = python(&fs::read_to_string(fixture.folder.join("task.py"))?);
    let mut files = Map::new();
    for name in &fixture.files {
        let upload = server.upload(name, fs::read(fixture.folder.join(name))?).await?;
        files.insert(name.clone(), upload.into());
    }
    if !files.is_empty() {
        merge(&mut body, json!({"files": files}));
    }
    Ok(body)
}
