//! The one connection that writes. Calls from everywhere queue up for it; it executes what is waiting in one
//! transaction, commits, and only then answers.
//!
//! A statement that fails rolls the whole transaction back; its calls are then executed one by one, so that only the
//! one at fault fails. What is wrong with a call itself is found out before its statements.

mod admission;
mod adopt;
mod batch;
mod cancel;
mod chunks;
mod claim;
mod compiled;
mod copies;
mod ending;
mod events;
mod firing;
mod give_back;
mod items;
mod lines;
mod logs;
mod mail;
mod note;
mod numbers;
mod only_line;
mod preview_usage;
mod runs;
mod standing;
mod state;
mod submit;
mod tally;

pub(crate) use batch::{Call, Op};
pub(crate) use cancel::CancelRequest;
pub(crate) use chunks::{ChunksAnswer, ChunksOf, NewBatchRow, NewChunk, NewChunks};
pub(crate) use compiled::{CompiledRow, HandOn};
pub(crate) use ending::Ending;
pub(crate) use firing::{FireStep, FireWhen, Work};
pub(crate) use give_back::{GiveBack, LostAttempt};
pub(crate) use items::{NewItem, NewItems};
pub(crate) use logs::LogPiece;
pub(crate) use note::Note;
pub(crate) use runs::{NewRunRow, RunStart, Step};
use state::Failure;
pub(crate) use state::Writer;
pub(crate) use submit::{NewRow, SubmitAnswer, SubmitRefusal, earlier};

use crate::folder::DataFolder;
use crate::{PreviewUsage, StoreError};
use batch::Batch;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How many calls may wait; beyond that callers wait to enter.
pub(crate) const CALLS_MAX: usize = 4_096;
/// How many calls share a transaction at most.
const BATCH_CALLS_MAX: usize = 256;
/// How many previews' usage may wait; beyond that it is dropped and counted.
pub(crate) const PREVIEW_USAGE_MAX: usize = 32_768;
/// How long a preview's usage waits for company before it is written.
const PREVIEW_USAGE_EVERY: Duration = Duration::from_secs(1);

/// What the writer listens to.
pub(crate) struct Inbox {
    pub(crate) calls: mpsc::Receiver<Op>,
    pub(crate) preview_usage: mpsc::Receiver<PreviewUsage>,
}

/// Starts the writer on a thread of its own, so that neither a busy server nor a busy disk delays the other.
///
/// It ends after [`Op::Close`], or when nobody can call any more. The folder's lock is let go after that.
pub(crate) fn start(writer: Writer, inbox: Inbox, folder: DataFolder) -> Result<(), StoreError> {
    let failed = || StoreError::io("starting the store's writer");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed())?;
    let work = move || {
        let closing = runtime.block_on(serve(writer, inbox));
        drop(folder);
        if let Some(reply) = closing {
            // Whoever asked may be gone.
            let _ = reply.send(());
        }
    };
    std::thread::Builder::new().name("mecapy-store".to_owned()).spawn(work).map_err(failed())?;
    Ok(())
}

/// Works until it is told to close; answers whom to tell that it has.
async fn serve(mut writer: Writer, mut inbox: Inbox) -> Option<oneshot::Sender<()>> {
    let mut closing = None;
    let mut waiting = Vec::with_capacity(BATCH_CALLS_MAX);
    let mut usage_written = Instant::now();
    while closing.is_none() {
        let received = inbox.calls.recv_many(&mut waiting, BATCH_CALLS_MAX);
        let nobody_left = matches!(tokio::time::timeout(PREVIEW_USAGE_EVERY, received).await, Ok(0));
        let mut batch = Batch::default();
        for op in waiting.drain(..) {
            closing = batch.add(op).or(closing);
        }
        if closing.is_some() || nobody_left {
            inbox.calls.close();
            while let Ok(op) = inbox.calls.try_recv() {
                batch.add(op);
            }
        }
        let usage_due = closing.is_some() || nobody_left || usage_written.elapsed() >= PREVIEW_USAGE_EVERY;
        if usage_due && !inbox.preview_usage.is_empty() {
            while let Ok(usage) = inbox.preview_usage.try_recv() {
                batch.add_preview_usage(usage);
            }
            usage_written = Instant::now();
        }
        execute(&mut writer, batch).await;
        if nobody_left {
            break;
        }
    }
    writer.close().await;
    closing
}

/// Executes a batch in one transaction, or, where that fails, its calls one by one; and whatever they leave to do.
async fn execute(writer: &mut Writer, batch: Batch) {
    let mut batches = vec![batch];
    while let Some(mut batch) = batches.pop() {
        if batch.is_empty() {
            continue;
        }
        match writer.transact(&mut batch).await {
            Ok(()) => batches.extend(batch.answer()),
            Err(Failure::Beginning(error)) => {
                tracing::warn!(error = %error, cause = ?error, calls = batch.len(), "no write transaction can begin");
                batch.fail(&error);
            }
            Err(Failure::Within(error)) if batch.len() == 1 => {
                tracing::warn!(error = %error, cause = ?error, "a write failed");
                batch.fail(&error);
            }
            Err(Failure::Within(error)) => {
                tracing::warn!(error = %error, calls = batch.len(), "a group of writes failed and is tried one by one");
                batches.extend(batch.split().into_iter().rev());
            }
        }
    }
}
