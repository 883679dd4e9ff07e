//! Follows a task to its end: quietly, or with its progress and log as they come.

use super::{
    artifacts::{OutFolder, SavedArtifact},
    exit::Exit,
    interrupt::Interrupt,
    refusal::SourceText,
    report::{Report, Shown},
    terminal::{FRACTION_STEPS, Format, Style, Terminal, neutralise, neutralise_line},
};
use crate::client::{
    Answer, Client, ClientError, Followed, PATIENCE_SHOWN, Patience, RESULT_WAIT_S_MAX, ResultAnswer, ServerSentEvent,
    TaskEvent,
};
use anyhow::Result;
use indicatif::ProgressBar;
use mecapy_model::{LogStream, TaskId, TaskState};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{path::PathBuf, time::Duration};
use tokio::time::timeout;

/// Between two questions for a result, beside the time that the server itself waits.
const ASK_INTERVAL: Duration = Duration::from_millis(200);

/// How a task's end is shown.
pub(crate) struct FollowOptions<'a> {
    /// Download artifacts into this folder; without it they are listed.
    pub out: Option<PathBuf>,
    /// What the task's line numbers count in, where it is known.
    pub source: Option<&'a SourceText>,
}

/// Shows the task live until it has ended, then its result. Ctrl-C leaves the task alone.
pub(crate) async fn follow(
    client: &Client,
    id: TaskId,
    options: &FollowOptions<'_>,
    terminal: &Terminal,
) -> Result<Exit> {
    let mut interrupt = Interrupt::listen()?;
    let bar = terminal.fraction_bar();
    let mut events = client.events(id);
    loop {
        let followed = tokio::select! {
            followed = events.next() => followed.inspect_err(|_| bar.finish_and_clear())?,
            () = interrupt.next() => {
                bar.finish_and_clear();
                return Ok(detached(id, terminal));
            }
        };
        match followed {
            Followed::Event { event, received } => match terminal.format {
                Format::Human => show_event(&event, &bar, terminal),
                Format::Json => print_event(&received, terminal),
            },
            Followed::Interrupted { wait, first } => show_outage(&bar, (wait, first), terminal),
            Followed::End => break,
        }
    }
    let result = tokio::select! {
        result = result_at_last(client, id, &bar, terminal) => Some(result),
        () = interrupt.next() => None,
    };
    bar.finish_and_clear();
    match result {
        Some(result) => finish(client, id, (result?, options, Shown::Live), terminal).await,
        None => Ok(detached(id, terminal)),
    }
}

/// Waits for the end without showing the way there.
pub(crate) async fn wait_quietly(
    client: &Client,
    id: TaskId,
    (options, at_most): (&FollowOptions<'_>, Option<Duration>),
    terminal: &Terminal,
) -> Result<Exit> {
    let mut interrupt = Interrupt::listen()?;
    let bar = terminal.spinner();
    let waited = tokio::select! {
        waited = timeout(at_most.unwrap_or(Duration::MAX), result_at_last(client, id, &bar, terminal)) => Some(waited),
        () = interrupt.next() => None,
    };
    bar.finish_and_clear();
    match waited {
        Some(Ok(result)) => finish(client, id, (result?, options, Shown::Live), terminal).await,
        Some(Err(_)) => Ok(timed_out(client, id, terminal).await),
        None => Ok(detached(id, terminal)),
    }
}

/// The result, however long it takes; gives up where the server can't be reached for long.
async fn result_at_last(
    client: &Client,
    id: TaskId,
    bar: &ProgressBar,
    terminal: &Terminal,
) -> Result<Answer<ResultAnswer>, ClientError> {
    let mut patience = Patience::default();
    loop {
        bar.set_message("waiting for the result");
        match client.result(id, RESULT_WAIT_S_MAX).await {
            Ok(Some(result)) => return Ok(result),
            Ok(None) => {
                patience.restore();
                // One that is stopping answers at once.
                tokio::time::sleep(ASK_INTERVAL).await;
            }
            Err(error) => {
                let wait = patience.wait_after(error)?;
                show_outage(bar, (wait, patience.is_first()), terminal);
                tokio::time::sleep(wait).await;
            }
        }
    }
}

/// Says that the server does not answer as it should: where somebody watches each time, else once.
pub(crate) fn show_outage(bar: &ProgressBar, (wait, first): (Duration, bool), terminal: &Terminal) {
    if terminal.is_animated() {
        bar.set_message(format!("the server is busy or out of reach, trying again in {} s", wait.as_secs().max(1)));
    } else if first {
        terminal.note(&format!("the server is busy or out of reach; trying again for {PATIENCE_SHOWN}"));
    }
}

/// Puts together and shows how the task ended.
async fn finish(
    client: &Client,
    id: TaskId,
    (result, options, shown): (Answer<ResultAnswer>, &FollowOptions<'_>, Shown),
    terminal: &Terminal,
) -> Result<Exit> {
    let task = client.task(id).await?.value;
    let stored = client.artifacts(id).await?;
    let artifacts = match &options.out {
        None => stored.iter().map(SavedArtifact::of).collect(),
        Some(folder) => {
            let mut folder = OutFolder::new(Some(folder));
            let mut saved = Vec::new();
            let bytes = stored.iter().fold(0, |sum: u64, artifact| sum.saturating_add(artifact.size_bytes));
            let bar = terminal.bytes_bar(bytes);
            for artifact in &stored {
                let downloaded = folder.download(client, artifact, &bar).await;
                saved.push(downloaded.inspect_err(|_| bar.finish_and_clear())?);
            }
            bar.finish_and_clear();
            saved
        }
    };
    let ResultAnswer { state, result, error } = result.value;
    let report = Report {
        id: Some(id),
        state,
        result,
        error: error.or(task.error),
        warnings: task.warnings,
        seed: task.seed,
        output: None,
        usage: task.usage,
        artifacts,
    };
    Ok(report.show(terminal, options.source, shown))
}

/// A task that is left alone, for programs.
#[derive(Serialize)]
struct Detached {
    id: TaskId,
    detail: &'static str,
}

/// The user looks away; the task goes on.
pub(crate) fn detached(id: TaskId, terminal: &Terminal) -> Exit {
    match terminal.format {
        Format::Json => terminal.print_json(&Detached { id, detail: "interrupted; the task goes on" }),
        Format::Human => {
            terminal.note(&terminal.err.paint(Style::Yellow, &format!("interrupted; {}", goes_on(id))));
        }
    }
    Exit::Interrupted
}

fn goes_on(id: TaskId) -> String {
    format!("the task goes on: `mecapy watch {id}` returns to it, `mecapy cancel {id}` stops it")
}

async fn timed_out(client: &Client, id: TaskId, terminal: &Terminal) -> Exit {
    match terminal.format {
        Format::Json => match client.task(id).await {
            Ok(task) => terminal.print(task.text.get()),
            // The time is over whether the server answers or not.
            Err(_) => terminal.print_json(&Detached { id, detail: "not finished in time; the task goes on" }),
        },
        Format::Human => {
            terminal.note(&terminal.err.paint(Style::Yellow, &format!("not finished in time; {}", goes_on(id))));
        }
    }
    Exit::Limit
}

fn show_event(event: &TaskEvent, bar: &ProgressBar, terminal: &Terminal) {
    match event {
        TaskEvent::State { state } | TaskEvent::Done { state } => match (*state, terminal.is_animated()) {
            (TaskState::Running, true) => bar.set_message(""),
            (state, true) => bar.set_message(state.to_string()),
            (state, false) => terminal.note(state.as_str()),
        },
        TaskEvent::Progress(progress) => {
            let steps = (progress.fraction.clamp(0.0, 1.0) * FRACTION_STEPS as f64).round() as u64;
            let message = neutralise_line(progress.message.as_deref().unwrap_or_default());
            if terminal.is_animated() {
                bar.set_position(steps);
                bar.set_message(message);
            } else {
                terminal.note(format!("{:>3.0} %  {message}", progress.fraction * 100.0).trim_end());
            }
        }
        TaskEvent::Log { stream, text } => bar.suspend(|| show_log(*stream, text, terminal)),
    }
}

/// A guest's stdout goes to stdout and its stderr to stderr, each entry on lines of its own.
pub(crate) fn show_log(stream: LogStream, text: &str, terminal: &Terminal) {
    let text = neutralise(text);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    match stream {
        LogStream::Stdout => terminal.print(text),
        LogStream::Stderr => terminal.note(text),
    }
}

#[derive(Serialize)]
struct EventLine<'a> {
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    data: &'a RawValue,
}

/// One event as a line of JSON.
pub(crate) fn print_event(received: &ServerSentEvent, terminal: &Terminal) {
    let ServerSentEvent { id, event, data } = received;
    if let Ok(data) = serde_json::from_str::<&RawValue>(data) {
        // JSON may be laid out over lines, and a line feed can only stand between its tokens.
        let on_one_line = data.get().replace(['\n', '\r'], " ");
        if let Ok(data) = RawValue::from_string(on_one_line) {
            terminal.print_json(&EventLine { event, id: id.as_deref(), data: &data });
        }
    }
}
