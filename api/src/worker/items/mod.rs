//! A claim on a chunk of a batch: its items, one after the other on one thread of the pool.
//!
//! Each outcome is saved under the claim's fence while the next items run, so that whoever claims the chunk after a crash
//! runs what is left. The chunk itself ends as any task does, with an empty result and the sums of its items' usage.

mod chunk;
mod outbox;

use super::{
    attempt::{admit, cancelled, input_files, refusal, until_cancelled},
    claims::Live,
    ending::{Persist, storage},
    lanes::Sandboxed,
};
use chunk::{Chunk, Inputs, Lent, Shared};
use mecapy_model::{BatchId, Code, ErrorKind, ItemOutcome, Outcome, Progress, TaskError, sweep::Sweep};
use mecapy_runtime::{Observer, Program, Series, SeriesEnd};
use mecapy_store::{BatchSource, BatchSpec, Claimed, SpoolRoom, Store, StoreError, Written, fail_point};
use outbox::{Outbox, SAVE_EVERY, Sums};
use serde_json::value::RawValue;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{sync::oneshot, time::Instant};

/// Sweeps that are remembered: chunks of one batch follow each other.
const SWEEPS_MAX: usize = 8;

/// The sweeps of the batches that were worked on last.
#[derive(Default)]
pub(super) struct Sweeps(Mutex<VecDeque<(BatchId, Arc<Sweep>)>>);

/// What a chunk's items need.
struct Ready {
    spec: Arc<BatchSpec>,
    program: Program,
    shared: Shared,
    inputs: Inputs,
    /// Of the items that have not ended, in order.
    indexes: Vec<u32>,
    /// The files': given back when the items have ended.
    _room: SpoolRoom,
}

/// The chunk that a claim is on.
struct Asked<'a> {
    batch: BatchId,
    /// Where the chunk begins that its items are of.
    first: u32,
    /// Of all its items.
    indexes: Vec<u32>,
    claimed: &'a Claimed,
}

impl<'a> Asked<'a> {
    fn of(claimed: &'a Claimed) -> Option<Self> {
        let Code::Items { batch, first, count, indexes } = &claimed.task.code else { return None };
        let neighbours = || (*first..first.saturating_add(*count)).collect();
        Some(Self { batch: *batch, first: *first, indexes: indexes.clone().unwrap_or_else(neighbours), claimed })
    }
}

/// Runs the items that have not ended, and saves how each does. An error is the platform's, not an item's.
pub(super) async fn run(
    sandboxed: &Sandboxed,
    store: &Store,
    claimed: &Claimed,
    live: &Live,
) -> Result<Outcome, TaskError> {
    let asked = Asked::of(claimed).ok_or_else(|| TaskError::new(ErrorKind::Executor, "these are no items"))?;
    let ready = until_cancelled(&live.cancel, prepare(sandboxed, store, &asked, live)).await?;
    let Ready { spec, program, shared, inputs, indexes, _room } = ready;
    let (all, left) = (asked.indexes.len(), indexes.len());
    let outbox = Arc::new(Outbox::default());
    let chunk = Arc::new(Mutex::new(Chunk {
        shared,
        indexes: indexes.into_iter(),
        inputs,
        clock: Arc::clone(store.clock()),
        cancel: live.cancel.clone(),
        outbox: Arc::clone(&outbox),
        running: None,
    }));
    let mut told = None;
    let submit = || {
        let (tell, receiver) = oneshot::channel();
        told = Some(receiver);
        sandboxed.sandboxes.submit_series(Series {
            program: program.clone(),
            isolation: spec.isolation,
            lane: claimed.task.lane,
            tenant: claimed.task.tenant,
            cancel: live.cancel.clone(),
            items: Box::new(Lent(Arc::clone(&chunk))),
            done: Box::new(move |end| drop(tell.send(end))),
        })
    };
    admit(&live.cancel, submit).await.map_err(|refused| refusal(live, refused))?;
    let ended = async {
        let end = match told {
            Some(told) => told.await.ok(),
            None => None,
        };
        outbox.end();
        end.unwrap_or_else(|| {
            SeriesEnd::Failed(TaskError::new(ErrorKind::Executor, "the sandbox ended without an outcome"))
        })
    };
    let saving = Saving { store, live, outbox: &outbox, before: all - left, all };
    let (end, saved) = tokio::join!(ended, saving.to_the_end());
    saved.map_err(storage)?;
    Ok(outcome_of(end, outbox.sums()))
}

/// The chunk's own outcome.
fn outcome_of(end: SeriesEnd, sums: Sums) -> Outcome {
    let error = match (end, sums.fault) {
        (SeriesEnd::Through, None) => None,
        (SeriesEnd::Through, Some(error)) | (SeriesEnd::NoRoom(error) | SeriesEnd::Failed(error), _) => Some(error),
        (SeriesEnd::Cancelled, _) => Some(cancelled()),
    };
    let mut outcome = Outcome { usage: sums.usage, ..Outcome::failed(cancelled()) };
    outcome.result = match error {
        Some(error) => Err(error),
        None => RawValue::from_string("{}".to_owned())
            .map_err(|error| TaskError::new(ErrorKind::Executor, error.to_string())),
    };
    outcome
}

async fn prepare(sandboxed: &Sandboxed, store: &Store, asked: &Asked<'_>, live: &Live) -> Result<Ready, TaskError> {
    let gone = || TaskError::new(ErrorKind::InvalidInput, "the batch is not there any more");
    let spec = store.batch_spec(asked.batch).await.map_err(storage)?.ok_or_else(gone)?;
    let ended = store.ended_items(&live.claim).await.map_err(storage)?;
    let indexes: Vec<u32> = asked.indexes.iter().copied().filter(|index| !ended.contains(index)).collect();
    let inputs = match &spec.source {
        BatchSource::Sweep(text) => Inputs::Sweep(sandboxed.sweeps.of(asked.batch, text)?),
        BatchSource::Items(_) => Inputs::Listed(listed(store, asked, &indexes).await?.into_iter()),
    };
    let tenant = asked.claimed.task.tenant;
    let (program, call) = sandboxed.programs.load(tenant, &spec.code).await?;
    let (files, _room) = input_files(store, tenant, &spec.files).await?;
    let shared = Shared {
        call,
        files,
        limits: spec.limits,
        seed: spec.seed,
        non_finite: spec.non_finite,
        kernels: spec.kernels,
        on_error: spec.on_error,
        is_tried_again: store.fault_backoff(asked.claimed).is_some(),
    };
    Ok(Ready { spec, program, shared, inputs, indexes, _room })
}

/// The inputs of some items of a chunk that has its items written out.
async fn listed(store: &Store, asked: &Asked<'_>, indexes: &[u32]) -> Result<Vec<Box<RawValue>>, TaskError> {
    let missing = || TaskError::new(ErrorKind::Executor, "the inputs of the batch's items are missing");
    let text = store.batch_chunk_inputs(asked.batch, asked.first).await.map_err(storage)?.ok_or_else(missing)?;
    let all: Vec<&RawValue> = serde_json::from_str(&text).map_err(|_| missing())?;
    let of = |index: &u32| index.checked_sub(asked.first).and_then(|place| all.get(place as usize));
    indexes.iter().map(|index| of(index).map(|inputs| (*inputs).to_owned()).ok_or_else(missing)).collect()
}

/// What saves the outcomes of one series.
struct Saving<'a> {
    store: &'a Store,
    live: &'a Live,
    outbox: &'a Outbox,
    /// Items of the chunk that had ended before.
    before: usize,
    all: usize,
}

impl Saving<'_> {
    /// Saves whatever comes until nothing more does. Where the claim is lost, or nothing can be saved, the series is
    /// stopped: what it would compute would be computed again.
    async fn to_the_end(&self) -> Result<(), StoreError> {
        let mut ended = self.before;
        let mut told = Instant::now();
        while let Some(items) = self.outbox.next().await {
            let count = items.len();
            match self.save(items).await {
                Ok(Written::Stale) => {
                    self.give_up();
                    return Ok(());
                }
                Err(error) => {
                    self.give_up();
                    return Err(error);
                }
                Ok(_) => {}
            }
            fail_point("worker.after_items");
            ended += count;
            // A chunk that is soon through has nothing to tell before it is.
            if told.elapsed() >= SAVE_EVERY && !self.outbox.has_ended() {
                told = Instant::now();
                let fraction = ended as f64 / self.all.max(1) as f64;
                self.live.follow.progress(Progress { fraction, message: None });
            }
        }
        Ok(())
    }

    async fn save(&self, items: Vec<ItemOutcome>) -> Result<Written, StoreError> {
        if !self.live.hold.is_trusted() {
            return Ok(Written::Stale);
        }
        let persist = Persist::of(self.store, self.live);
        persist.write(|| self.store.save_items(self.live.claim.clone(), items.clone())).await
    }

    fn give_up(&self) {
        self.live.cancel.cancel();
        self.outbox.shut();
    }
}

impl Sweeps {
    /// The sweep of a batch, which its text describes.
    fn of(&self, batch: BatchId, text: &str) -> Result<Arc<Sweep>, TaskError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, sweep)) = known.iter().find(|(of, _)| *of == batch) {
            return Ok(Arc::clone(sweep));
        }
        let unreadable = |_| TaskError::new(ErrorKind::Executor, "the batch's sweep can't be read");
        let sweep = Arc::new(Sweep::parse(text).map_err(unreadable)?);
        if known.len() >= SWEEPS_MAX {
            known.pop_front();
        }
        known.push_back((batch, Arc::clone(&sweep)));
        Ok(sweep)
    }
}
