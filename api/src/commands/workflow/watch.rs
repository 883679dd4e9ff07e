//! `mecapy workflow watch`: a run's nodes, live, and its outputs at the end.

use super::dag::View;
use crate::{
    client::{
        Answer, Client, ClientError, Events as Stream, Followed, Patience, RunAnswer, RunEvent, RunNode, RunState,
        ServerSentEvent,
    },
    commands::{
        connection::connect,
        exit::Exit,
        following::print_event,
        interrupt::Interrupt,
        terminal::{Block, Format, Severity, Style, Terminal, duration, neutralise_line, result_lines},
    },
    config::ClientFlags,
};
use anyhow::Result;
use mecapy_model::RunId;
use mecapy_store::{Clock, SystemClock};
use serde::Serialize;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Between two questions for the run, however many events come: nobody reads faster.
const ASK_INTERVAL: Duration = Duration::from_millis(200);
/// Times that go on are drawn anew so often.
const REDRAW_INTERVAL: Duration = Duration::from_secs(1);
/// Lines of the terminal that the nodes leave free: the head, the cursor, and what was there.
const ROWS_KEPT: usize = 4;

/// Follow a run to its end: its nodes layer by layer, then its outputs. Ctrl-C stops watching and leaves it alone
#[derive(Debug, clap::Args)]
pub(super) struct WatchArguments {
    /// The run's id, as `workflow run` printed it
    run: RunId,
    #[command(flatten)]
    client: ClientFlags,
}

/// Whether a program is told each event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Events {
    Printed,
    Kept,
}

pub(super) async fn watch(arguments: WatchArguments, terminal: &Terminal) -> Result<Exit> {
    let client = connect(&arguments.client)?;
    let run = client.run(arguments.run).await?;
    follow(&client, run, Events::Printed, terminal).await
}

/// Shows the run live until it has ended, then its outputs. Ctrl-C leaves the run alone.
pub(super) async fn follow(
    client: &Client,
    mut run: Answer<RunAnswer>,
    events: Events,
    terminal: &Terminal,
) -> Result<Exit> {
    let id = run.value.line.id;
    let mut interrupt = Interrupt::listen()?;
    let mut showing = Showing { terminal, block: terminal.block(), clock: SystemClock::new()?, told: HashMap::new() };
    let mut following =
        Following { client, id, events, terminal, asked: Instant::now(), patience: Patience::default() };
    let mut stream = client.run_events(id);
    showing.show(&run.value);
    while run.value.line.state == RunState::Running {
        let work = async {
            let followed = stream.next().await?;
            following.take(followed).await
        };
        tokio::pin!(work);
        let heard = loop {
            tokio::select! {
                heard = &mut work => break heard,
                // Times go on while nothing is said.
                () = tokio::time::sleep(REDRAW_INTERVAL) => showing.show(&run.value),
                () = interrupt.next() => {
                    showing.block.clear();
                    return Ok(detached(id, terminal));
                }
            }
        };
        if let Some(newer) = heard.inspect_err(|_| showing.block.clear())? {
            run = newer;
        }
        showing.show(&run.value);
    }
    following.rest(&mut stream).await;
    showing.end(&run.value);
    Ok(finish(&run, terminal))
}

/// Asks how a run is when something has happened to it.
struct Following<'a> {
    client: &'a Client,
    id: RunId,
    events: Events,
    terminal: &'a Terminal,
    asked: Instant,
    patience: Patience,
}

impl Following<'_> {
    /// The run after this; `None` where it can't be asked for just now.
    async fn take(&mut self, followed: Followed<RunEvent>) -> Result<Option<Answer<RunAnswer>>, ClientError> {
        // A stream that breaks off may have ended with its run.
        if let Followed::Event { received, .. } = &followed {
            self.print(received);
        }
        tokio::time::sleep(ASK_INTERVAL.saturating_sub(self.asked.elapsed())).await;
        self.asked = Instant::now();
        match self.client.run(self.id).await {
            Ok(run) => {
                self.patience.restore();
                Ok(Some(run))
            }
            Err(error) => {
                tokio::time::sleep(self.patience.wait_after(error)?).await;
                Ok(None)
            }
        }
    }

    /// Events that were received before the run was known to have ended.
    async fn rest(&self, stream: &mut Stream<'_, RunEvent>) {
        if self.terminal.format == Format::Human || self.events == Events::Kept {
            return;
        }
        while let Ok(Ok(Followed::Event { event, received })) =
            tokio::time::timeout(REDRAW_INTERVAL, stream.next()).await
        {
            self.print(&received);
            if event.name == "ended" {
                return;
            }
        }
    }

    fn print(&self, received: &ServerSentEvent) {
        if self.terminal.format == Format::Json && self.events == Events::Printed {
            print_event(received, self.terminal);
        }
    }
}

struct Showing<'a> {
    terminal: &'a Terminal,
    block: Block<'a>,
    clock: SystemClock,
    /// The states that were told already, by node.
    told: HashMap<String, String>,
}

impl Showing<'_> {
    fn show(&mut self, run: &RunAnswer) {
        let nodes = run.nodes.as_deref().unwrap_or_default();
        let view = self.view();
        for node in nodes {
            if node.state == "pending" || self.told.get(&node.key) == Some(&node.state) {
                continue;
            }
            self.told.insert(node.key.clone(), node.state.clone());
            if !self.terminal.is_animated() {
                self.terminal.note(&view.told(node));
            }
            if node.state == "approval" {
                // Above the block, whole and to stay: it is there to be copied.
                self.block.clear();
                self.terminal.note(&hint(run.line.id, node));
            }
        }
        if self.terminal.is_animated() {
            let mut lines = vec![view.fitted(&head(run, nodes, self.terminal))];
            lines.extend(view.lines(nodes));
            self.block.draw(&lines);
        }
    }

    /// The nodes stay where they are, and what comes is written below.
    fn end(&mut self, run: &RunAnswer) {
        self.show(run);
        if self.terminal.is_animated() {
            self.block.clear();
            let view = View { rows: usize::MAX, ..self.view() };
            view.lines(run.nodes.as_deref().unwrap_or_default()).iter().for_each(|line| self.terminal.note(line));
        }
    }

    fn view(&self) -> View {
        let (rows, columns) = self.terminal.err_size();
        let rows = rows.saturating_sub(ROWS_KEPT);
        View { rows, columns, painter: self.terminal.err, now: self.clock.now() }
    }
}

/// How the run as a whole is.
fn head(run: &RunAnswer, nodes: &[RunNode], terminal: &Terminal) -> String {
    let is_ended = |node: &&RunNode| matches!(node.state.as_str(), "completed" | "failed" | "skipped" | "cancelled");
    let name = run.line.name.as_deref().map_or_else(|| run.line.id.to_string(), neutralise_line);
    let state = if run.stopping { "stopping" } else { run.line.state.as_str() };
    let count = format!("{} of {} nodes", nodes.iter().filter(is_ended).count(), nodes.len());
    format!("{} v{}: {state}, {count}", terminal.err.paint(Style::Bold, &name), run.line.version)
}

/// What a person who is asked can do.
fn hint(id: RunId, node: &RunNode) -> String {
    format!("→ mecapy workflow approve {id} {} [--reject]", neutralise_line(&node.key))
}

/// Shows how the run ended.
fn finish(run: &Answer<RunAnswer>, terminal: &Terminal) -> Exit {
    let RunAnswer { line, outputs, error, .. } = &run.value;
    if terminal.format == Format::Json {
        terminal.print(run.text.get());
        return exit(line.state);
    }
    if let Some(outputs) = outputs.as_deref() {
        for line in result_lines(outputs, terminal.out, terminal.columns) {
            terminal.print(&line);
        }
    }
    if let Some(error) = error {
        let word = Severity::Error.word(terminal.err);
        let node = error.key.as_deref().map(|key| format!(" in {}", neutralise_line(key))).unwrap_or_default();
        let (kind, message) = (neutralise_line(&error.kind), neutralise_line(&error.message));
        terminal.note(&format!("{word}[{kind}]{node}: {message}"));
    }
    let (from, to) = (super::dag::at(Some(&line.created_at)), super::dag::at(line.completed_at.as_deref()));
    let took = from.zip(to).map(|(from, to)| format!(" in {}", duration((to - from).as_seconds_f64() * 1_000.0)));
    let mut text = format!("{}{}", line.state.as_str(), took.unwrap_or_default());
    if matches!(line.state, RunState::Failed | RunState::Cancelled) {
        text += &format!("; `mecapy workflow restart {}` goes on from what had not completed", line.id);
    }
    terminal.note(&terminal.err.paint(Style::Dim, &text));
    exit(line.state)
}

fn exit(state: RunState) -> Exit {
    match state {
        RunState::Completed | RunState::Running => Exit::Completed,
        RunState::Failed => Exit::Failed,
        RunState::Cancelled => Exit::Cancelled,
    }
}

/// A run that is left alone, for programs.
#[derive(Serialize)]
struct Detached {
    id: RunId,
    detail: &'static str,
}

fn detached(id: RunId, terminal: &Terminal) -> Exit {
    match terminal.format {
        Format::Json => terminal.print_json(&Detached { id, detail: "interrupted; the run goes on" }),
        Format::Human => terminal.note(&terminal.err.paint(Style::Yellow, &format!("interrupted; {}", goes_on(id)))),
    }
    Exit::Interrupted
}

/// How to come back to a run, and how to stop it.
pub(super) fn goes_on(id: RunId) -> String {
    format!("the run goes on: `mecapy workflow watch {id}` returns to it, `mecapy workflow cancel {id}` stops it")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = r#"{"id":"018bcfe5-6800-7707-8707-070707070707","workflow":"018bcfe5-6800-7707-8707-070707070708",
        "version":3,"name":"rod\u001b","state":"running","created_at":"2026-01-01T00:00:00Z","completed_at":null,
        "inputs":{},"outputs":null,"error":null,"stopping":false,"nodes":[
        {"key":"a","kind":"task","state":"completed","counts":{"completed":1},"after":[]},
        {"key":"sign","kind":"approval","state":"approval","counts":{},"message":"ok?","after":["a"]}]}"#;

    #[test]
    fn the_head_says_how_far_it_is_and_the_hint_what_to_do() {
        let run: RunAnswer = serde_json::from_str(RUN).unwrap();
        let nodes = run.nodes.as_deref().unwrap();
        assert_eq!(head(&run, nodes, &Terminal::new(Format::Json)), "rod␛ v3: running, 1 of 2 nodes");
        let expected = "→ mecapy workflow approve 018bcfe5-6800-7707-8707-070707070707 sign [--reject]";
        assert_eq!(hint(run.line.id, &nodes[1]), expected);
    }

    #[test]
    fn a_run_may_have_lost_its_nodes_and_tells_why_it_failed() {
        let text = RUN.replace("\"error\":null", r#""error":{"key":"a","kind":"exception","message":"too thin"}"#);
        let start = text.find("\"nodes\":").unwrap();
        let text = format!("{}\"nodes\":null}}", &text[..start]);
        let run: RunAnswer = serde_json::from_str(&text).unwrap();
        assert!(run.nodes.is_none());
        assert_eq!(run.error.unwrap().key.as_deref(), Some("a"));
    }
}
