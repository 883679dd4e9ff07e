//! A batch on its way: how many items have ended, how many failed, how fast it goes and how long it will take.

use crate::{
    client::{BatchCounts, BatchEvent, Client, Followed},
    commands::{
        exit::Exit,
        following::{print_event, show_outage},
        interrupt::Interrupt,
        terminal::{Format, Style, Terminal, duration},
    },
};
use anyhow::Result;
use indicatif::ProgressBar;
use mecapy_model::BatchId;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Where nobody watches, a line is written when so much more of the batch has ended.
const TOLD_PERCENT: u64 = 10;
/// A rate over less than this says nothing.
const RATE_OVER_MIN: Duration = Duration::from_millis(500);

/// Whether a program is told each event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Events {
    Printed,
    Kept,
}

/// Follows the batch until it has ended; `Some` where the user looks away before.
pub(in crate::commands) async fn follow(
    client: &Client,
    id: BatchId,
    events: Events,
    terminal: &Terminal,
) -> Result<Option<Exit>> {
    let mut interrupt = Interrupt::listen()?;
    let bar = terminal.steps_bar(0);
    let mut showing = Showing { bar: &bar, terminal, began: None, told: None };
    let mut stream = client.batch_events(id);
    loop {
        let followed = tokio::select! {
            followed = stream.next() => followed.inspect_err(|_| bar.finish_and_clear())?,
            () = interrupt.next() => {
                bar.finish_and_clear();
                return Ok(Some(detached(id, terminal)));
            }
        };
        match followed {
            Followed::Event { event, received } => match (terminal.format, events) {
                (Format::Human, _) => showing.show(&event),
                (Format::Json, Events::Printed) => print_event(&received, terminal),
                (Format::Json, Events::Kept) => {}
            },
            Followed::Interrupted { wait, first } => show_outage(&bar, (wait, first), terminal),
            Followed::End => break,
        }
    }
    bar.finish_and_clear();
    Ok(None)
}

/// A batch that is left alone, for programs.
#[derive(Serialize)]
struct Detached {
    id: BatchId,
    detail: &'static str,
}

/// The user looks away; the batch goes on.
fn detached(id: BatchId, terminal: &Terminal) -> Exit {
    match terminal.format {
        Format::Json => terminal.print_json(&Detached { id, detail: "interrupted; the batch goes on" }),
        Format::Human => terminal.note(&terminal.err.paint(Style::Yellow, &format!("interrupted; {}", goes_on(id)))),
    }
    Exit::Interrupted
}

/// How to come back to a batch, and how to stop it.
pub(super) fn goes_on(id: BatchId) -> String {
    format!("the batch goes on: `mecapy batches watch {id}` returns to it, `mecapy batches cancel {id}` stops it")
}

struct Showing<'a> {
    bar: &'a ProgressBar,
    terminal: &'a Terminal,
    /// When the first event came, and what had ended by then.
    began: Option<(Instant, u64)>,
    /// The tens of percent that the last line told.
    told: Option<u64>,
}

impl Showing<'_> {
    fn show(&mut self, event: &BatchEvent) {
        let counts = event.counts;
        let (began, before) = *self.began.get_or_insert_with(|| (Instant::now(), counts.ended()));
        let pace = pace(&counts, before, began.elapsed());
        if self.terminal.is_animated() {
            self.bar.set_length(counts.total);
            self.bar.set_position(counts.ended());
            self.bar.set_message(message(&counts, event.state.as_str(), pace));
            return;
        }
        let tens = counts.ended() * 100 / counts.total.max(1) / TOLD_PERCENT;
        if self.told.is_none_or(|told| tens > told) {
            self.told = Some(tens);
            let (ended, total) = (counts.ended(), counts.total);
            let text = format!("{ended}/{total}  {}", message(&counts, event.state.as_str(), pace));
            self.terminal.note(text.trim_end());
        }
    }
}

/// Items a second, and how long the rest takes at that rate.
fn pace(counts: &BatchCounts, before: u64, elapsed: Duration) -> Option<(f64, Duration)> {
    let done = counts.ended().saturating_sub(before);
    if elapsed < RATE_OVER_MIN || done == 0 {
        return None;
    }
    let rate = done as f64 / elapsed.as_secs_f64();
    let left = counts.total.saturating_sub(counts.ended()) as f64 / rate;
    Some((rate, Duration::try_from_secs_f64(left).ok()?))
}

fn message(counts: &BatchCounts, state: &str, pace: Option<(f64, Duration)>) -> String {
    let mut parts = Vec::new();
    // Once it moves, its state says nothing that the numbers don't.
    if counts.ended() == 0 || counts.ended() == counts.total {
        parts.push(state.to_owned());
    }
    for (count, what) in [(counts.failed, "failed"), (counts.cancelled, "cancelled")] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    if let Some((rate, left)) = pace.filter(|_| counts.ended() < counts.total) {
        let rate = if rate < 10.0 { format!("{rate:.1}/s") } else { format!("{rate:.0}/s") };
        parts.push(format!("{rate}, {} left", duration(left.as_secs_f64() * 1_000.0)));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_counts_from_where_watching_began() {
        let counts = BatchCounts { total: 1_000, completed: 380, failed: 20, ..BatchCounts::default() };
        let pace_now = pace(&counts, 200, Duration::from_secs(2));
        assert_eq!(message(&counts, "running", pace_now), "20 failed, 100/s, 6.00 s left");
        assert_eq!(pace(&counts, 400, Duration::from_secs(2)), None);
        assert_eq!(pace(&counts, 0, Duration::from_millis(100)), None);
        let begun = BatchCounts { total: 10, ..BatchCounts::default() };
        assert_eq!(message(&begun, "queued", None), "queued");
        let ended = BatchCounts { total: 10, completed: 9, failed: 1, ..BatchCounts::default() };
        assert_eq!(message(&ended, "completed", Some((5.0, Duration::ZERO))), "completed, 1 failed");
    }
}
