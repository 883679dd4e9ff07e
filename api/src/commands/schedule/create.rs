//! `mecapy schedule create`: of a task, or of a workflow.

use crate::{
    commands::{
        computation::{ComputationBody, ComputationFlags},
        connection::{connect, send_parts},
        exit::Exit,
        inputs::{self, InputFlag, Units},
        refusal::{Refusal, SourceText},
        terminal::{Format, Style, Terminal},
    },
    config::ClientFlags,
};
use anyhow::Result;
use mecapy_model::StudyId;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// Make a schedule of a task or of a workflow
#[derive(Debug, clap::Args)]
pub(super) struct CreateArguments {
    #[command(subcommand)]
    work: CreateCommand,
}

#[derive(Debug, clap::Subcommand)]
enum CreateCommand {
    Task(Box<TaskArguments>),
    Workflow(Box<WorkflowArguments>),
}

/// Submit a file or a published function at each of the times, as `submit` does
#[derive(Debug, clap::Args)]
struct TaskArguments {
    #[command(flatten)]
    computation: ComputationFlags,
    #[command(flatten)]
    times: TimesFlags,
}

/// Start a run of a saved workflow at each of the times
#[derive(Debug, clap::Args)]
struct WorkflowArguments {
    /// Its name or its id
    workflow: String,
    /// One input, as `workflow run` takes it; may be given several times
    #[arg(long = "input", short = 'i', value_name = "NAME=VALUE")]
    input: Vec<InputFlag>,
    /// All inputs as a JSON object: the text itself, @FILE, or - for the standard input
    #[arg(long, value_name = "JSON|@FILE|-")]
    inputs: Option<String>,
    /// A version of the workflow [default: the newest at each of the times]
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    #[command(flatten)]
    times: TimesFlags,
}

#[derive(Debug, clap::Args)]
struct TimesFlags {
    /// Minute, hour, day, month and weekday, as '0 2 * * MON-FRI', or @hourly, @daily, @weekly, @monthly, @yearly
    #[arg(long, value_name = "PATTERN")]
    cron: String,
    /// A name of the time zone database, as Europe/Paris [default: UTC]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// A name for people
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Times that passed while no worker was there: skip, or run_once for all of them together [default: skip]
    #[arg(long, value_name = "skip|run_once", value_parser = ["skip", "run_once"], hide_possible_values = true)]
    missed: Option<String>,
    /// A time at which what was started last has not ended: skip, allow, or queue it [default: skip]
    #[arg(long, value_name = "skip|allow|queue", value_parser = ["skip", "allow", "queue"], hide_possible_values = true)]
    overlap: Option<String>,
    /// It fires only when it is asked to, until it is resumed
    #[arg(long)]
    paused: bool,
    /// The study that all of it belongs to, as `study create` printed it
    #[arg(long, value_name = "ID")]
    study: Option<StudyId>,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Serialize)]
struct ScheduleBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    cron: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missed: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    paused: bool,
    #[serde(flatten)]
    work: Work<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Work<'a> {
    Task(&'a RawValue),
    Workflow(&'a RawValue),
}

#[derive(Serialize)]
struct TaskBody<'a> {
    #[serde(flatten)]
    computation: ComputationBody<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    study: Option<StudyId>,
}

#[derive(Serialize)]
struct RunBody<'a> {
    id: &'a str,
    inputs: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    study: Option<StudyId>,
}

pub(super) async fn create(arguments: CreateArguments, terminal: &Terminal) -> Result<Exit> {
    match arguments.work {
        CreateCommand::Task(arguments) => {
            let TaskArguments { computation, times } = *arguments;
            let computation = computation.load()?;
            let sent = send_parts(&connect(&times.client)?, &computation, terminal).await?;
            let body = TaskBody { computation: computation.body(&sent.code, sent.files), study: times.study };
            let body = to_raw_value(&body)?;
            times.create(Work::Task(&body), computation.source_text(), terminal).await
        }
        CreateCommand::Workflow(arguments) => {
            let WorkflowArguments { workflow, input, inputs, version, times } = *arguments;
            let inputs = inputs::combine(inputs.as_deref(), &input, Units::AreRead)?;
            let body = RunBody { id: &workflow, inputs: &inputs, version, study: times.study };
            let body = to_raw_value(&body)?;
            times.create(Work::Workflow(&body), None, terminal).await
        }
    }
}

impl TimesFlags {
    fn body<'a>(&'a self, work: Work<'a>) -> ScheduleBody<'a> {
        ScheduleBody {
            name: self.name.as_deref(),
            cron: &self.cron,
            timezone: self.timezone.as_deref(),
            missed: self.missed.as_deref(),
            overlap: self.overlap.as_deref(),
            paused: self.paused,
            work,
        }
    }

    async fn create(&self, work: Work<'_>, source: Option<&SourceText>, terminal: &Terminal) -> Result<Exit> {
        let body = to_raw_value(&self.body(work))?;
        let created = connect(&self.client)?.create_schedule(&body).await;
        let created = created.map_err(|error| Refusal::with_source(error, source))?;
        match terminal.format {
            Format::Json => terminal.print(created.text.get()),
            Format::Human => {
                terminal.print(&created.value.id.to_string());
                terminal.note(&terminal.err.paint(Style::Dim, &super::show::next(&created.value)));
            }
        }
        Ok(Exit::Completed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        create: CreateArguments,
    }

    #[test]
    fn the_body_is_that_of_the_contract() {
        let line =
            ["mecapy", "workflow", "rod", "--cron", "0 2 * * *", "--timezone", "Europe/Paris", "--missed", "run_once"];
        let CreateCommand::Workflow(arguments) = Cli::parse_from(line).create.work else { panic!("no workflow") };
        let inputs = RawValue::from_string("{\"F\": 1.50}".to_owned()).unwrap();
        let run = RunBody { id: &arguments.workflow, inputs: &inputs, version: None, study: None };
        let run = to_raw_value(&run).unwrap();
        let body = to_raw_value(&arguments.times.body(Work::Workflow(&run))).unwrap();
        assert_eq!(
            body.get(),
            r#"{"cron":"0 2 * * *","timezone":"Europe/Paris","missed":"run_once","workflow":{"id":"rod","inputs":{"F": 1.50}}}"#
        );
        assert!(Cli::try_parse_from(["mecapy", "workflow", "rod"]).is_err());
        assert!(Cli::try_parse_from(["mecapy", "task", "rod.py", "--cron", "@daily", "--overlap", "never"]).is_err());
    }
}
