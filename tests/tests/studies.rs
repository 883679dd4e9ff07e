//! The routes under `/v1/studies`: what belongs to one, its cases as a table and as a picture, two of them side by side.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Server, merge, node, python};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const NOBODYS_ID: &str = "018bcfe5-6800-7707-8707-070707070707";
/// A rod's stress; no rod has no diameter.
const ROD: &str = "def main(d, F=25000.0):\n    if d == 0:\n        raise ValueError('no rod')\n    return {'stress': F / d**2, 'size': {'d': d}}";

/// A study and its members, all of which have ended.
struct Study {
    id: String,
    tasks: Vec<String>,
    batch: String,
    run: String,
}

impl Study {
    async fn on(server: &Server) -> Result<Self> {
        let id = server.post("/v1/studies", &json!({"name": "rods", "description": "Which one?"})).await?;
        let id = id.expect(201)?.str_at("/id")?;
        let mut tasks = Vec::new();
        for (d, name) in [(8, "thin"), (10, "thick"), (0, "none")] {
            let mut body = python(ROD);
            merge(&mut body, json!({"name": name, "inputs": {"d": d}, "study": id, "labels": {"case": name}}));
            tasks.push(server.submit(&body).await?);
        }
        let mut sweep = python(ROD);
        merge(&mut sweep, json!({"name": "sweep", "sweep": {"d": {"from": 1, "to": 12, "step": 1}}, "study": id}));
        let batch = server.submit_batch(&sweep).await?;
        let workflow = json!({
            "name": "rod", "inputs": {"d": {"type": "Float"}},
            "nodes": [node("stress", ROD, json!({"d": {"from": "inputs.d"}}))],
            "outputs": {"margin": {"expr": "400 / stress.stress"}},
        });
        server.save_workflow(&workflow).await?;
        let run = server.post("/v1/workflows/rod/runs", &json!({"inputs": {"d": 10}, "study": id})).await?;
        let run = run.expect(202)?.str_at("/id")?;
        for task in &tasks {
            server.result(task).await?;
        }
        server.ended_batch(&batch).await?;
        ensure!(server.run_ended(&run).await?.str_at("/state")? == "completed");
        Ok(Self { id, tasks, batch, run })
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/studies/{}{rest}", self.id)
    }
}

#[tokio::test]
async fn what_names_a_study_belongs_to_it_until_the_study_is_gone() -> Result<()> {
    let server = Server::start().await?;
    let study = Study::on(&server).await?;
    let shown = server.get(&study.path("")).await?.expect(200)?;
    ensure!(shown.at("/counts")? == json!({"tasks": 3, "batches": 1, "workflow_runs": 1}), "{}", shown.text());
    let (mut members, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let page = server.get(&study.path(&format!("?limit=2&cursor={cursor}"))).await?.expect(200)?;
        for member in page.at("/members")?.as_array().context("no members")? {
            let link = member["link"].as_str().context("no link")?;
            let found = server.get(link).await?.expect(200)?;
            ensure!(found.str_at("/study")? == study.id && found.at("/state")? == member["state"], "{member}");
            ensure!(members.insert(link.to_owned()), "{link} twice");
        }
        match page.at("/next_cursor")?.as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    // Neither the work of the batch nor that of the run is a member of its own.
    ensure!(members.len() == 5, "{members:?}");
    let listed = server.get(&format!("/v1/tasks?study={}", study.id)).await?.expect(200)?.at("/tasks")?;
    let listed: BTreeSet<_> = listed.as_array().into_iter().flatten().filter_map(|task| task["id"].as_str()).collect();
    ensure!(study.tasks.iter().all(|task| listed.contains(task.as_str())), "{listed:?}");

    let change = server.request(Method::PATCH, &study.path("")).json(&json!({"description": "The thick one."}));
    let changed = server.send(change).await?.expect(200)?;
    ensure!(changed.str_at("/name")? == "rods" && changed.str_at("/description")? == "The thick one.");
    ensure!(server.get("/v1/studies").await?.at("/studies/0/id")? == json!(study.id));

    server.delete(&study.path("")).await?.expect(204)?;
    for rest in ["", "/table", "/table?format=csv", "/plot?x=inputs.d&y=result.stress", "/compare?a=task:x&b=task:x"] {
        server.get(&study.path(rest)).await?.expect_problem(404)?;
    }
    for link in members {
        ensure!(server.get(&link).await?.expect(200)?.at("/study")?.is_null(), "{link} still belongs to it");
    }
    Ok(())
}

#[tokio::test]
async fn the_table_has_a_row_for_each_task_run_and_item() -> Result<()> {
    let server = Server::start().await?;
    let study = Study::on(&server).await?;
    let document = server.get(&study.path("/table")).await?.expect(200)?.json()?;
    let rows = document["rows"].as_array().context("no rows")?;
    let of = |kind: &str| rows.iter().filter(|row| row["kind"] == json!(kind)).collect::<Vec<_>>();
    ensure!((of("task").len(), of("item").len(), of("workflow_run").len()) == (3, 12, 1), "{document}");
    for (item, index) in of("item").into_iter().zip(0..) {
        ensure!(item["id"] == json!(study.batch) && item["index"] == json!(index) && item["name"] == json!("sweep"));
        let d = index + 1;
        ensure!(item["inputs"] == json!({"d": d}) && item["result"]["stress"] == json!(25000.0 / f64::from(d * d)));
    }
    let none = of("task").into_iter().find(|row| row["labels"]["case"] == json!("none")).context("no failed task")?;
    ensure!(none["state"] == json!("failed") && none["error"]["kind"] == json!("exception"), "{none}");
    let run = of("workflow_run").into_iter().next().context("no run")?;
    ensure!(run["outputs"]["margin"] == json!(1.6) && run["id"] == json!(study.run), "{run}");

    let lines = server.get(&study.path("/table?format=ndjson")).await?.expect(200)?.text();
    let lines: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(&lines == rows, "NDJSON has other rows");
    let csv = server.get(&study.path("/table?format=csv")).await?.expect(200)?;
    ensure!(csv.header("content-disposition").is_some_and(|text| text.contains(".csv")));
    let text = csv.text();
    let head: Vec<_> = text.lines().next().context("no head")?.split(',').collect();
    for column in
        ["kind", "index", "labels.case", "inputs.d", "result.stress", "result.size.d", "outputs.margin", "usage.fuel"]
    {
        ensure!(head.contains(&column), "no {column} in {head:?}");
    }
    ensure!(text.lines().count() == 17, "{text}");
    let parquet = server.get(&study.path("/table?format=parquet")).await?.expect(200)?;
    ensure!(parquet.bytes.starts_with(b"PAR1") && parquet.bytes.ends_with(b"PAR1"), "no Parquet file");
    ensure!(!server.get(&study.path("/table?format=arrow")).await?.expect(200)?.bytes.is_empty());
    server.get(&study.path("/table?format=xlsx")).await?.expect_fault("/format")?;

    let empty = server.post("/v1/studies", &json!({"name": "empty"})).await?.str_at("/id")?;
    ensure!(server.get(&format!("/v1/studies/{empty}/table")).await?.json()? == json!({"rows": []}));
    Ok(())
}

#[tokio::test]
async fn cases_are_drawn_against_one_another() -> Result<()> {
    let server = Server::start().await?;
    let study = Study::on(&server).await?;
    let png = server.get(&study.path("/plot?x=inputs.d&y=result.stress&group=kind")).await?.expect(200)?;
    ensure!(png.header("content-type") == Some("image/png") && png.bytes.starts_with(b"\x89PNG\r\n"), "no PNG");
    let svg = server.get(&study.path("/plot?x=inputs.d&y=result.stress&format=svg")).await?.expect(200)?;
    ensure!(svg.header("content-type") == Some("image/svg+xml") && svg.text().contains("<svg"), "no SVG");
    let fault = server.get(&study.path("/plot?x=inputs.diameter&y=result.stress")).await?;
    let fault = fault.expect_fault_code("/x", "unknown_column")?;
    ensure!(fault["message"].as_str().is_some_and(|text| text.contains("inputs.d")), "{fault}");
    Ok(())
}

#[tokio::test]
async fn two_cases_are_compared_field_by_field() -> Result<()> {
    let server = Server::start().await?;
    let study = Study::on(&server).await?;
    let compare = async |a: &str, b: &str| server.get(&study.path(&format!("/compare?a={a}&b={b}"))).await;
    let [thin, thick, ..] = study.tasks.as_slice() else { anyhow::bail!("no tasks") };
    let compared = compare(&format!("task:{thin}"), &format!("task:{thick}")).await?.expect(200)?;
    ensure!(compared.str_at("/a/name")? == "thin" && compared.str_at("/b/state")? == "completed");
    let d = json!({"pointer": "/d", "status": "changed", "a": 8, "b": 10, "difference": 2.0, "relative": 0.25});
    ensure!(compared.at("/inputs/fields")? == json!([d]), "{}", compared.text());
    let stress = compared.at("/outputs/fields/0")?;
    ensure!(stress["pointer"] == json!("/stress") && stress["difference"] == json!(250.0 - 390.625), "{stress}");
    ensure!(compared.at("/outputs/changed")? == json!(2), "{}", compared.text());

    // The tenth item has the thick rod's diameter.
    let item = format!("item:{}:9", study.batch);
    let compared = compare(&format!("task:{thick}"), &item).await?.expect(200)?;
    ensure!(compared.at("/outputs/equal")? == json!(2) && compared.at("/b/index")? == json!(9), "{}", compared.text());
    let compared = compare(&item, &format!("workflow_run:{}", study.run)).await?.expect(200)?;
    ensure!(compared.at("/outputs/only_in_b")? == json!(1), "{}", compared.text());

    let mut foreign = python(ROD);
    merge(&mut foreign, json!({"inputs": {"d": 8}}));
    let foreign = server.submit(&foreign).await?;
    let task = format!("task:{thin}");
    for (a, code) in [
        (format!("task:{foreign}"), "unknown_case"),
        (format!("task:{NOBODYS_ID}"), "unknown_case"),
        (format!("item:{}:12", study.batch), "unknown_case"),
        (format!("batch:{}", study.batch), "invalid"),
        (String::new(), "required"),
    ] {
        compare(&a, &task).await?.expect_fault_code("/a", code)?;
        compare(&task, &a).await?.expect_fault_code("/b", code)?;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_a_study_is_told_with_its_place() -> Result<()> {
    let server = Server::start().await?;
    for (body, pointer) in [
        (json!({}), "/name"),
        (json!({"name": ""}), "/name"),
        (json!({"name": "x".repeat(201)}), "/name"),
        (json!({"name": "a\u{0}b"}), "/name"),
        (json!({"name": "a", "description": 7}), "/description"),
        (json!({"name": "a", "members": []}), "/members"),
    ] {
        server.post("/v1/studies", &body).await?.expect_fault(pointer)?;
    }
    let mut task = python("result = 1");
    merge(&mut task, json!({"study": NOBODYS_ID}));
    server.post("/v1/tasks", &task).await?.expect_fault_code("/study", "unknown_study")?;
    merge(&mut task, json!({"sweep": {"x": [1]}}));
    server.post("/v1/batches", &task).await?.expect_fault_code("/study", "unknown_study")?;
    server.get("/v1/studies/x").await?.expect_problem(404)?;
    Ok(())
}
