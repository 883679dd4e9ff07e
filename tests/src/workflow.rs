//! Workflows on a live server: saved, started, waited for.

use crate::{Answer, EventStream, Server, until};
use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

const RUN_DEADLINE: Duration = Duration::from_secs(60);

/// A node that runs inline Python.
pub fn node(key: &str, source: &str, inputs: Value) -> Value {
    json!({"key": key, "code": {"language": "python", "source": source}, "inputs": inputs})
}

impl Server {
    /// Saves a workflow, which must be sound, and answers its id.
    pub async fn save_workflow(&self, definition: &Value) -> Result<String> {
        let saved = self.post("/v1/workflows", definition).await?;
        anyhow::ensure!([200, 201].contains(&saved.status), "not saved: {}", saved.text());
        saved.str_at("/id")
    }

    /// Starts a run of a workflow, by its id or name, and answers the run's id.
    pub async fn start_run(&self, workflow: &str, inputs: Value) -> Result<String> {
        let path = format!("/v1/workflows/{workflow}/runs");
        self.post(&path, &json!({"inputs": inputs})).await?.expect(202)?.str_at("/id")
    }

    /// Saves a workflow and starts a run of it.
    pub async fn run_workflow(&self, definition: &Value, inputs: Value) -> Result<String> {
        let id = self.save_workflow(definition).await?;
        self.start_run(&id, inputs).await
    }

    pub async fn workflow_run(&self, id: &str) -> Result<Answer> {
        self.get(&format!("/v1/workflow-runs/{id}")).await?.expect(200)
    }

    /// The run once it has ended.
    pub async fn run_ended(&self, id: &str) -> Result<Answer> {
        until(&format!("run {id} has ended"), RUN_DEADLINE, || async move {
            let run = self.workflow_run(id).await?;
            Ok((run.str_at("/state")? != "running").then_some(run))
        })
        .await
    }

    /// The run once one of its nodes is in this state.
    pub async fn until_node(&self, run: &str, key: &str, state: &str) -> Result<Answer> {
        until(&format!("node {key} of run {run} is {state}"), RUN_DEADLINE, || async move {
            let shown = self.workflow_run(run).await?;
            Ok((node_of(&shown, key)?.get("state") == Some(&json!(state))).then_some(shown))
        })
        .await
    }

    /// The events of a run, from the start or after `last_event_id`.
    pub async fn run_events(&self, id: &str, last_event_id: Option<&str>) -> Result<EventStream> {
        let mut request = self.request(Method::GET, &format!("/v1/workflow-runs/{id}/events"));
        if let Some(last) = last_event_id {
            request = request.header("last-event-id", last);
        }
        EventStream::of(request.send().await?)
    }

    /// The tasks that a run has started, by its timeline: (key, index, attempt) → task.
    pub async fn run_tasks(&self, id: &str) -> Result<BTreeMap<(String, Option<u64>, u64), String>> {
        let timeline = self.get(&format!("/v1/workflow-runs/{id}/timeline")).await?.expect(200)?;
        let bars = timeline.at("/bars")?.as_array().cloned().unwrap_or_default();
        let bar = |bar: &Value| {
            let key = bar.get("key")?.as_str()?.to_owned();
            let index = bar.get("index").and_then(Value::as_u64);
            Some(((key, index, bar.get("attempt")?.as_u64()?), bar.get("task")?.as_str()?.to_owned()))
        };
        Ok(bars.iter().filter_map(bar).collect())
    }
}

/// A node of a run as it is shown.
pub fn node_of(run: &Answer, key: &str) -> Result<Value> {
    let nodes = run.at("/nodes")?.as_array().cloned().unwrap_or_default();
    let found = nodes.into_iter().find(|node| node.get("key").and_then(Value::as_str) == Some(key));
    found.with_context(|| format!("no node {key} in {}", run.text()))
}
