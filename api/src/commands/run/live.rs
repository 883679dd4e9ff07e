//! Shows an attempt's output while it runs, and stops it on Ctrl-C.

use super::local::Prepared;
use crate::commands::{
    following::show_log,
    interrupt::Interrupt,
    terminal::{FRACTION_STEPS, Format, Terminal, neutralise_line},
};
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use mecapy_model::{LogStream, Outcome, Progress};
use mecapy_runtime::{Cancel, Observer};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// What a running attempt says. The guest's output is capped, and so is what can wait here.
enum Said {
    Log(LogStream, String),
    Progress(Progress),
}

struct Teller(mpsc::UnboundedSender<Said>);

impl Observer for Teller {
    fn log(&self, stream: LogStream, text: &str) {
        // A receiver that is gone has stopped listening, on purpose.
        let _ = self.0.send(Said::Log(stream, text.to_owned()));
    }

    fn progress(&self, progress: Progress) {
        let _ = self.0.send(Said::Progress(progress));
    }
}

/// Runs it to its end.
pub(super) async fn watch(prepared: Prepared, terminal: &Terminal) -> Result<Outcome> {
    let (tell, mut said) = mpsc::unbounded_channel();
    let (done, mut ended) = oneshot::channel();
    let cancel = Cancel::new();
    let observer = (terminal.format == Format::Human).then(|| Arc::new(Teller(tell)) as Arc<dyn Observer>);
    let _sandboxes = prepared.start(cancel.clone(), observer, move |outcome| drop(done.send(outcome)))?;
    let mut interrupt = Interrupt::listen()?;
    let bar = terminal.fraction_bar();
    let outcome = loop {
        tokio::select! {
            biased;
            Some(what) = said.recv() => show(&what, &bar, terminal),
            outcome = &mut ended => break outcome,
            // The guest stops within a tick; a second Ctrl-C finds the same switch.
            () = interrupt.next() => cancel.cancel(),
        }
    };
    while let Ok(what) = said.try_recv() {
        show(&what, &bar, terminal);
    }
    bar.finish_and_clear();
    outcome.context("the sandbox ended without an outcome")
}

fn show(said: &Said, bar: &ProgressBar, terminal: &Terminal) {
    match said {
        Said::Log(stream, text) => bar.suspend(|| show_log(*stream, text, terminal)),
        Said::Progress(progress) => {
            bar.set_position((progress.fraction.clamp(0.0, 1.0) * FRACTION_STEPS as f64).round() as u64);
            bar.set_message(neutralise_line(progress.message.as_deref().unwrap_or_default()));
        }
    }
}
