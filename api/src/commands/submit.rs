//! `mecapy submit`: hands a task to a server's queue.

use super::{
    computation::{Computation, ComputationBody, ComputationFlags},
    connection::{connect, send_parts},
    exit::Exit,
    following::{FollowOptions, follow, wait_quietly},
    refusal::{Misuse, Refusal},
    report::show_warnings,
    terminal::{Format, Style, Terminal, neutralise_line},
};
use crate::{
    client::{Answer, Client, TaskAnswer},
    config::ClientFlags,
};
use anyhow::Result;
use mecapy_model::Lane;
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// Hand a file or a published function to a server's queue, and print the task's id
#[derive(Debug, clap::Args)]
pub(crate) struct SubmitArguments {
    #[command(flatten)]
    computation: ComputationFlags,
    /// Wait for the end, and show the result; Ctrl-C stops waiting and leaves the task alone
    #[arg(long, conflicts_with = "watch")]
    wait: bool,
    /// The same with live progress and log
    #[arg(long)]
    watch: bool,
    /// With --wait: give up waiting after so many seconds (exit code 5); the task goes on
    #[arg(long, value_name = "SECONDS", requires = "wait", value_parser = clap::value_parser!(u64).range(1..))]
    wait_at_most: Option<u64>,
    /// With --wait or --watch: download artifacts into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// high_priority, default or long_running [default: default, or long_running where the timeout is above 5 min]
    #[arg(long, value_name = "LANE")]
    lane: Option<Lane>,
    /// From 0 (last) to 9 (first) [default: 5]
    #[arg(long, value_name = "0-9", value_parser = clap::value_parser!(u8).range(0..=9))]
    priority: Option<u8>,
    /// A name for people
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// A label to find it by; may be given several times
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_label)]
    labels: Vec<(String, String)>,
    /// Submitting again with the same key gives the same task [default: a new key]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Serialize)]
struct TaskBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(flatten)]
    computation: ComputationBody<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lane: Option<Lane>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'a str, &'a str>,
}

pub(crate) async fn submit(mut arguments: SubmitArguments, terminal: &Terminal) -> Result<Exit> {
    if arguments.out.is_some() && !arguments.wait && !arguments.watch {
        return Err(Misuse::new("--out needs --wait or --watch: there are no artifacts before the end").into());
    }
    let key = match arguments.idempotency_key.take() {
        Some(key) => key,
        None => random_key()?,
    };
    let client = connect(&arguments.client)?;
    let (computation, request) = Request::of(arguments)?;
    let answer = request.send(&client, &computation, &key, terminal).await?;
    let id = answer.value.id;
    let options = FollowOptions { out: request.out, source: computation.source_text() };
    if request.watch {
        terminal.note(&format!("{} {id}", terminal.err.paint(Style::Dim, "task")));
        return follow(&client, id, &options, terminal).await;
    }
    if request.wait {
        terminal.note(&format!("{} {id}", terminal.err.paint(Style::Dim, "task")));
        return wait_quietly(&client, id, (&options, request.wait_at_most), terminal).await;
    }
    match terminal.format {
        Format::Json => terminal.print(answer.text.get()),
        Format::Human => {
            terminal.print(&id.to_string());
            show_warnings(&answer.value.warnings, computation.source_text(), terminal);
            terminal.note(&terminal.err.paint(Style::Dim, &standing(&answer.value)));
        }
    }
    Ok(Exit::Completed)
}

/// What remains of the arguments once the program and its inputs are read.
struct Request {
    name: Option<String>,
    lane: Option<Lane>,
    priority: Option<u8>,
    labels: Vec<(String, String)>,
    wait: bool,
    watch: bool,
    wait_at_most: Option<Duration>,
    out: Option<PathBuf>,
}

impl Request {
    fn of(arguments: SubmitArguments) -> Result<(Computation, Self)> {
        let SubmitArguments { computation, wait, watch, wait_at_most, out, lane, priority, name, labels, .. } =
            arguments;
        let wait_at_most = wait_at_most.map(Duration::from_secs);
        Ok((computation.load()?, Self { name, lane, priority, labels, wait, watch, wait_at_most, out }))
    }

    async fn send(
        &self,
        client: &Client,
        computation: &Computation,
        key: &str,
        terminal: &Terminal,
    ) -> Result<Answer<TaskAnswer>> {
        let sent = send_parts(client, computation, terminal).await?;
        let body = TaskBody {
            name: self.name.as_deref(),
            computation: computation.body(&sent.code, sent.files),
            lane: self.lane,
            priority: self.priority,
            labels: self.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect(),
        };
        let body = serde_json::value::to_raw_value(&body)?;
        let answer = client.submit(&body, key).await;
        answer.map_err(|error| Refusal::with_source(error, computation.source_text()))
    }
}

/// Where the task stands, for people.
fn standing(task: &TaskAnswer) -> String {
    let name = task.name.as_deref().map_or_else(String::new, |name| format!("{}: ", neutralise_line(name)));
    let place = match task.queue_position {
        Some(0) => ", next in line".to_owned(),
        Some(ahead) => format!(", {ahead} ahead of it"),
        None => String::new(),
    };
    format!("{name}{} in lane {}{place}; follow it with `mecapy watch {}`", task.state, task.lane, task.id)
}

pub(crate) fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is no label: write key=value")),
    }
}

/// A key that no other submission has.
pub(crate) fn random_key() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::computation::SentCode;
    use mecapy_model::{Code, LimitsRequest};
    use serde_json::value::RawValue;

    #[test]
    fn a_task_is_a_computation_with_its_place_in_the_queue() {
        let code = SentCode::Own(Code::Python { source: "x".to_owned(), entry: None });
        let inputs = RawValue::from_string("{\"F\": 1.50}".to_owned()).unwrap();
        let computation = ComputationBody {
            code: &code,
            inputs: &inputs,
            files: BTreeMap::new(),
            limits: LimitsRequest::default(),
            seed: None,
            non_finite: None,
            kernels: None,
        };
        let labels = BTreeMap::from([("project", "A320")]);
        let body = TaskBody { name: Some("M12"), computation, lane: Some(Lane::Default), priority: Some(9), labels };
        assert_eq!(
            serde_json::value::to_raw_value(&body).unwrap().get(),
            r#"{"name":"M12","code":{"language":"python","source":"x"},"inputs":{"F": 1.50},"lane":"default","priority":9,"labels":{"project":"A320"}}"#
        );
    }

    #[test]
    fn labels_have_a_key() {
        assert_eq!(parse_label("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(parse_label("=b").is_err() && parse_label("a").is_err());
    }

    #[test]
    fn keys_differ() {
        assert_ne!(random_key().unwrap(), random_key().unwrap());
    }
}
