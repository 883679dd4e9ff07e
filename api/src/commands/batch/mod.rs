//! `mecapy batch`: one computation for many inputs, in one request.

mod ending;
mod follow;
mod items;
mod rows;
mod sweep;

pub(super) use ending::{Wanted, inputs, show_ending};
pub(super) use follow::{Events, follow};

use super::{
    computation::{Computation, ComputationBody, ComputationFlags, ProgramFile, SentCode},
    connection::{Sent, connect, send_parts},
    exit::Exit,
    inputs::Units,
    refusal::{Misuse, Refusal},
    report::show_warnings,
    submit::{parse_label, random_key},
    tables::{PlotFile, TableFormat},
    terminal::{Format, Style, Terminal, neutralise_line},
};
use crate::config::ClientFlags;
use anyhow::Result;
use mecapy_model::{Lane, StudyId};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::{collections::BTreeMap, path::PathBuf};
use sweep::SweepFlag;

/// Run a file or a published function for many inputs, and show what came out
///
/// What varies is a sweep of the flags, every value with every other, or a file with a row for each item. All of it is
/// accepted, or nothing. An item that fails has an error of its own, and the others go on.
#[derive(Debug, clap::Args)]
pub(super) struct BatchArguments {
    #[command(flatten)]
    computation: ComputationFlags,
    #[command(flatten)]
    varied: VariedFlags,
    #[command(flatten)]
    running: RunningFlags,
    #[command(flatten)]
    shown: ShownFlags,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Debug, clap::Args)]
struct VariedFlags {
    /// An input and its values: 8,10,12; a range from:to:count, both ends among them; log:from:to:count at equal ratios;
    /// step:from:to:step; a JSON array. With --random or --lhs also uniform:low:high, normal:mean:std and
    /// lognormal:mean:std. May be given several times, the last one varies fastest
    #[arg(long = "sweep", value_name = "NAME=VALUES", help_heading = "What varies")]
    sweep: Vec<SweepFlag>,
    /// Side by side: the first values together, then the second, …
    #[arg(long, requires = "sweep", help_heading = "What varies")]
    zip: bool,
    /// So many items, drawn by the seed
    #[arg(long, value_name = "N", requires = "sweep", conflicts_with = "zip", help_heading = "What varies")]
    random: Option<u32>,
    /// So many items in a Latin hypercube: each input is spread evenly over its range
    #[arg(long, value_name = "N", requires = "sweep", conflicts_with_all = ["zip", "random"], help_heading = "What varies")]
    lhs: Option<u32>,
    /// Items from a file: .json (an array of objects), .ndjson, or .csv (a column for each input)
    #[arg(long, value_name = "FILE", conflicts_with = "sweep", help_heading = "What varies")]
    items: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct RunningFlags {
    /// item: a fresh sandbox for each; batch: quicker, one sandbox for many, where what a source changes in imported
    /// modules stays from item to item [default: item]
    #[arg(long, value_name = "item|batch", value_parser = ["item", "batch"], hide_possible_values = true)]
    isolation: Option<String>,
    /// stop: the first item that fails is the last that begins [default: continue]
    #[arg(long, value_name = "continue|stop", value_parser = ["continue", "stop"], hide_possible_values = true)]
    on_error: Option<String>,
    /// Items whose inputs a function can't take: reject refuses the batch, record lets them fail by themselves
    /// [default: reject]
    #[arg(long, value_name = "reject|record", value_parser = ["reject", "record"], hide_possible_values = true)]
    invalid_items: Option<String>,
    /// default or long_running [default: default, or long_running where the timeout is above 5 min]
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
    /// The study that it belongs to, as `study create` printed it
    #[arg(long, value_name = "ID")]
    study: Option<StudyId>,
    /// Submitting again with the same key gives the same batch [default: a new key]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

#[derive(Debug, clap::Args)]
struct ShownFlags {
    /// Print the batch's id and don't wait
    #[arg(long, conflicts_with_all = ["out", "plot", "strict"])]
    detach: bool,
    /// Exit with 1 where items failed, also where the others went on
    #[arg(long)]
    strict: bool,
    /// Write all results to a file: .csv, .parquet, .arrow, .ndjson or .json
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Draw one column over another, a line for each value of the third, into a .png or .svg
    #[arg(long, num_args = 2, value_names = ["X,Y[,GROUP]", "FILE"])]
    plot: Option<Vec<String>>,
}

#[derive(Serialize)]
struct BatchBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(flatten)]
    computation: ComputationBody<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sweep: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    samples: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    isolation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invalid_items: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lane: Option<Lane>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    study: Option<StudyId>,
}

/// What varies, as a request has it.
#[derive(Debug)]
enum Varied {
    Sweep { axes: Box<RawValue>, mode: Option<&'static str>, samples: Option<u32> },
    Items(Box<RawValue>),
}

pub(super) async fn batch(arguments: BatchArguments, terminal: &Terminal) -> Result<Exit> {
    let BatchArguments { computation, varied, running, shown, client } = arguments;
    let computation = computation.load()?;
    let is_function = matches!(computation.program, ProgramFile::Function(_));
    let varied = varied.read(if is_function { Units::AreRead } else { Units::AreText })?;
    let detach = shown.detach;
    // What can't be written is told before anything runs.
    let wanted = shown.wanted()?;
    let client = connect(&client)?;
    let sent = send_parts(&client, &computation, terminal).await?;
    let body = running.body(&varied, &computation, sent)?;
    let key = running.idempotency_key.map_or_else(random_key, Ok)?;
    let bar = terminal.spinner();
    bar.set_message("submitting");
    let answer = client.submit_batch(&body, &key).await;
    bar.finish_and_clear();
    let answer = answer.map_err(|error| Refusal::with_source(error, computation.source_text()))?;
    let id = answer.value.id;
    if detach {
        match terminal.format {
            Format::Json => terminal.print(answer.text.get()),
            Format::Human => {
                terminal.print(&id.to_string());
                show_warnings(&answer.value.warnings, computation.source_text(), terminal);
                let name = answer.value.name.as_deref().map(|name| format!("{}: ", neutralise_line(name)));
                let text =
                    format!("{}{} items; {}", name.unwrap_or_default(), answer.value.counts.total, follow::goes_on(id));
                terminal.note(&terminal.err.paint(Style::Dim, &text));
            }
        }
        return Ok(Exit::Completed);
    }
    terminal.note(&format!("{} {id}", terminal.err.paint(Style::Dim, "batch")));
    match follow(&client, id, Events::Kept, terminal).await? {
        Some(exit) => Ok(exit),
        None => show_ending(&client, id, &wanted, terminal).await,
    }
}

impl VariedFlags {
    fn read(self, units: Units) -> Result<Varied, Misuse> {
        if let Some(path) = &self.items {
            return Ok(Varied::Items(items::read(path, units)?));
        }
        if self.sweep.is_empty() {
            return Err(Misuse::new(
                "say what varies: --sweep d=8,10,12 (several make a grid), or --items FILE; for one computation there is \
                 `mecapy submit`",
            ));
        }
        let (mode, samples) = match (self.zip, self.random, self.lhs) {
            (true, ..) => (Some("zip"), None),
            (_, Some(samples), _) => (Some("random"), Some(samples)),
            (.., Some(samples)) => (Some("lhs"), Some(samples)),
            _ => (None, None),
        };
        Ok(Varied::Sweep { axes: sweep::document(&self.sweep, units)?, mode, samples })
    }
}

impl RunningFlags {
    fn body(&self, varied: &Varied, computation: &Computation, sent: Sent) -> Result<Box<RawValue>> {
        let Sent { code, files } = sent;
        Ok(to_raw_value(&self.request(varied, (computation, &code), files))?)
    }

    fn request<'a>(
        &'a self,
        varied: &'a Varied,
        (computation, code): (&'a Computation, &'a SentCode),
        files: BTreeMap<String, mecapy_model::UploadId>,
    ) -> BatchBody<'a> {
        let (sweep, mode, samples, items) = match varied {
            Varied::Sweep { axes, mode, samples } => (Some(&**axes), *mode, *samples, None),
            Varied::Items(items) => (None, None, None, Some(&**items)),
        };
        BatchBody {
            name: self.name.as_deref(),
            computation: computation.body(code, files),
            sweep,
            mode,
            samples,
            items,
            isolation: self.isolation.as_deref(),
            on_error: self.on_error.as_deref(),
            invalid_items: self.invalid_items.as_deref(),
            lane: self.lane,
            priority: self.priority,
            labels: self.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect(),
            study: self.study,
        }
    }
}

impl ShownFlags {
    fn wanted(self) -> Result<Wanted, Misuse> {
        let out = self.out.map(|path| TableFormat::of_path(&path).map(|format| (format, path))).transpose()?;
        let plot = self.plot.map(|values| PlotFile::of_flag(&values)).transpose()?;
        Ok(Wanted { out, plot, strict: self.strict })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use mecapy_model::Code;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        batch: BatchArguments,
    }

    fn body(more: &[&str]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rod.py");
        std::fs::write(&path, "def main(d, F=1, E=1): return d").unwrap();
        let line = ["mecapy", path.to_str().unwrap()];
        let batch = Cli::try_parse_from(line.iter().chain(more)).map_err(|error| error.to_string())?.batch;
        let computation = batch.computation.load().unwrap();
        let varied = batch.varied.read(Units::AreText).map_err(|error| error.to_string())?;
        let code = SentCode::Own(Code::Python { source: "x".to_owned(), entry: None });
        let sent = Sent { code, files: BTreeMap::new() };
        Ok(batch.running.body(&varied, &computation, sent).unwrap().get().to_owned())
    }

    #[test]
    fn the_body_is_that_of_the_contract() {
        let code = r#""code":{"language":"python","source":"x"}"#;
        let rows: [(&[&str], &str); 3] = [
            (
                &["--sweep", "d=8,10", "--sweep", "F=0:5e4:50", "-i", "E=2.1e5", "--isolation", "batch", "--seed", "7"],
                r#""inputs":{"E": 2.1e5},"seed":7,"sweep":{"d": [8, 10], "F": {"from": 0, "to": 5e4, "count": 50}},"isolation":"batch""#,
            ),
            (
                &["--sweep", "d=uniform:8:12", "--lhs", "100", "--on-error", "stop"],
                r#""inputs":{},"sweep":{"d": {"random": {"distribution": "uniform", "low": 8, "high": 12}}},"mode":"lhs","samples":100,"on_error":"stop""#,
            ),
            (
                &["--sweep", "d=1,2", "--sweep", "F=3,4", "--zip"],
                r#""inputs":{},"sweep":{"d": [1, 2], "F": [3, 4]},"mode":"zip""#,
            ),
        ];
        for (arguments, expected) in rows {
            assert_eq!(body(arguments).unwrap(), format!("{{{code},{expected}}}"), "{arguments:?}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let rows: [(&[&str], &str); 6] = [
            (&[], "say what varies"),
            (&["--sweep", "d=1", "--items", "a.csv"], "cannot be used with"),
            (&["--random", "5"], "--sweep"),
            (&["--sweep", "d=1", "--random", "5", "--lhs", "5"], "cannot be used with"),
            (&["--sweep", "d=1", "--detach", "--out", "a.csv"], "cannot be used with"),
            (&["--sweep", "d=1", "--isolation", "none"], "item, batch"),
        ];
        for (arguments, said) in rows {
            let error = body(arguments).unwrap_err();
            assert!(error.contains(said), "{arguments:?}: {error}");
        }
    }
}
