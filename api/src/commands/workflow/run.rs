//! `mecapy workflow run`: a run is started, and watched to its end.

use super::{
    save::{DefinitionFile, is_file},
    watch::{Events, follow, goes_on},
};
use crate::{
    commands::{
        connection::connect,
        exit::Exit,
        inputs::{self, InputFlag, Units},
        refusal::{Misuse, Refusal},
        submit::{parse_label, random_key},
        terminal::{Format, Style, Terminal},
    },
    config::ClientFlags,
};
use anyhow::Result;
use mecapy_model::StudyId;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::{collections::BTreeMap, path::Path};

/// Start a run of a workflow and watch it. Ctrl-C stops watching and leaves the run alone
#[derive(Debug, clap::Args)]
pub(super) struct RunArguments {
    /// A saved workflow, or a file with a definition, which is saved first
    #[arg(value_name = "NAME|FILE")]
    workflow: String,
    /// One input; the value is JSON where it reads as JSON, a number with its unit, as 12mm, and else text; may be given
    /// several times
    #[arg(long = "input", short = 'i', value_name = "NAME=VALUE")]
    input: Vec<InputFlag>,
    /// All inputs as a JSON object: the text itself, @FILE, or - for the standard input
    #[arg(long, value_name = "JSON|@FILE|-")]
    inputs: Option<String>,
    /// A version of a saved workflow [default: the newest]
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// Print the run's id and don't wait
    #[arg(long)]
    detach: bool,
    /// A name for people [default: the workflow's]
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// A label to find it by; may be given several times
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_label)]
    labels: Vec<(String, String)>,
    /// The study that it belongs to, as `study create` printed it
    #[arg(long, value_name = "ID")]
    study: Option<StudyId>,
    /// Starting again with the same key gives the same run [default: a new key]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Serialize)]
struct RunBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    inputs: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    study: Option<StudyId>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'a str, &'a str>,
}

pub(super) async fn run(arguments: RunArguments, terminal: &Terminal) -> Result<Exit> {
    let inputs = inputs::combine(arguments.inputs.as_deref(), &arguments.input, Units::AreRead)?;
    let file = match is_file(&arguments.workflow) {
        true if arguments.version.is_some() => {
            return Err(Misuse::new("--version is for a saved workflow: a file is its newest one").into());
        }
        true => Some(DefinitionFile::read(Path::new(&arguments.workflow))?),
        false => None,
    };
    let client = connect(&arguments.client)?;
    let (workflow, version) = match file {
        Some(file) => {
            let saved = file.save(&client).await?.value;
            (saved.id.to_string(), Some(saved.version))
        }
        None => (arguments.workflow.clone(), arguments.version),
    };
    let body = to_raw_value(&arguments.body(&inputs, version))?;
    let key = arguments.idempotency_key.clone().map_or_else(random_key, Ok)?;
    let started = client.start_run(&workflow, &body, &key).await.map_err(|error| Refusal::with_source(error, None))?;
    let id = started.value.line.id;
    if arguments.detach {
        match terminal.format {
            Format::Json => terminal.print(started.text.get()),
            Format::Human => {
                terminal.print(&id.to_string());
                terminal.note(&terminal.err.paint(Style::Dim, &goes_on(id)));
            }
        }
        return Ok(Exit::Completed);
    }
    terminal.note(&format!("{} {id}", terminal.err.paint(Style::Dim, "run")));
    follow(&client, started, Events::Kept, terminal).await
}

impl RunArguments {
    fn body<'a>(&'a self, inputs: &'a RawValue, version: Option<u32>) -> RunBody<'a> {
        RunBody {
            name: self.name.as_deref(),
            inputs,
            version,
            study: self.study,
            labels: self.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect(),
        }
    }
}
