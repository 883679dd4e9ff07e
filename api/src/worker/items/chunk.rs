//! The items of one chunk as attempts of a series: inputs by the function's ports before, outputs by them after.

use super::outbox::Outbox;
use crate::functions::{Call, invalid_inputs};
use mecapy_model::{
    ErrorKind, ItemOutcome, Kernels, Limits, NonFinite, OnItemError, Outcome, TaskError, Usage, Warning, sweep::Sweep,
};
use mecapy_runtime::{Attempt, Cancel, InputFile, Items};
use mecapy_store::Clock;
use serde_json::value::RawValue;
use std::{
    collections::BTreeSet,
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// So many names of files are told that an item left.
const FILES_TOLD_MAX: usize = 5;

/// What all items of a batch share.
pub(super) struct Shared {
    /// Where the code is a call of a function.
    pub(super) call: Option<Call>,
    pub(super) files: Vec<InputFile>,
    pub(super) limits: Limits,
    /// Of the item with index 0: the others count on from it.
    pub(super) seed: u64,
    pub(super) non_finite: NonFinite,
    pub(super) kernels: Kernels,
    pub(super) on_error: OnItemError,
    /// What the platform fails is left to a later try of the chunk.
    pub(super) is_tried_again: bool,
}

/// Where inputs come from.
pub(super) enum Inputs {
    Sweep(Arc<Sweep>),
    /// In the order of the chunk's items.
    Listed(std::vec::IntoIter<Box<RawValue>>),
}

/// Hands out a chunk's items one after the other, and their outcomes to the outbox.
pub(super) struct Chunk {
    pub(super) shared: Shared,
    /// Those that have not ended, in order.
    pub(super) indexes: std::vec::IntoIter<u32>,
    pub(super) inputs: Inputs,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) cancel: Cancel,
    pub(super) outbox: Arc<Outbox>,
    pub(super) running: Option<Running>,
}

/// The item that was handed out.
pub(super) struct Running {
    index: u32,
    inputs: Arc<str>,
    flags: Vec<Warning>,
}

/// The chunk as a series has it. The pool takes a series for good when it refuses one, and the chunk is submitted again.
pub(super) struct Lent(pub(super) Arc<Mutex<Chunk>>);

impl Lent {
    fn chunk(&self) -> MutexGuard<'_, Chunk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Items for Lent {
    fn next(&mut self) -> Option<Attempt> {
        self.chunk().next()
    }

    fn told(&mut self, outcome: Outcome) -> ControlFlow<()> {
        self.chunk().told(outcome)
    }
}

impl Chunk {
    fn seed_of(&self, index: u32) -> u64 {
        self.shared.seed.wrapping_add(u64::from(index))
    }

    fn inputs_of(&mut self, index: u32) -> Result<Box<RawValue>, TaskError> {
        let lost = |_| TaskError::new(ErrorKind::Executor, "the inputs of this item can't be read");
        match &mut self.inputs {
            Inputs::Sweep(sweep) => RawValue::from_string(sweep.item(index)).map_err(lost),
            Inputs::Listed(listed) => {
                listed.next().ok_or_else(|| TaskError::new(ErrorKind::Executor, "the inputs of this item are missing"))
            }
        }
    }

    /// As the guest gets them.
    fn checked(&self, inputs: &RawValue) -> Result<(Arc<str>, Vec<Warning>), TaskError> {
        if !inputs.get().trim_start().starts_with('{') {
            return Err(TaskError::new(ErrorKind::InvalidInput, "the inputs of an item are a JSON object"));
        }
        let Some(call) = &self.shared.call else { return Ok((Arc::from(inputs.get()), Vec::new())) };
        let names: BTreeSet<&str> = self.shared.files.iter().map(|file| file.name.as_str()).collect();
        let checked = call.inputs(inputs, &names).map_err(|faults| invalid_inputs(&faults))?;
        Ok((Arc::from(checked.values.get()), checked.flags))
    }

    /// Hands over an item's end; says whether others follow. Saving it stops the other chunks where this one stops.
    fn end(&self, item: ItemOutcome) -> ControlFlow<()> {
        let stops = item.result.is_err() && self.shared.on_error == OnItemError::Stop;
        self.outbox.push(item, &self.cancel);
        if stops { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// The next item whose inputs fit.
    fn next(&mut self) -> Option<Attempt> {
        loop {
            let index = self.indexes.next()?;
            let checked = self.inputs_of(index).and_then(|inputs| self.checked(&inputs));
            let (inputs, flags) = match checked {
                Ok(checked) => checked,
                Err(error) => {
                    let (seed, usage) = (self.seed_of(index), Usage::default());
                    let refused = ItemOutcome { index, seed, result: Err(error), warnings: Vec::new(), usage };
                    if self.end(refused).is_break() {
                        return None;
                    }
                    continue;
                }
            };
            self.running = Some(Running { index, inputs: Arc::clone(&inputs), flags });
            return Some(Attempt {
                inputs,
                files: self.shared.files.clone(),
                limits: self.shared.limits,
                seed: self.seed_of(index),
                non_finite: self.shared.non_finite,
                kernels: self.shared.kernels,
                wall_clock: self.clock.now(),
            });
        }
    }

    fn told(&mut self, outcome: Outcome) -> ControlFlow<()> {
        let Some(Running { index, inputs, flags: mut warnings }) = self.running.take() else {
            return ControlFlow::Break(());
        };
        let outcome = match &self.shared.call {
            Some(call) => call.finish(outcome, &inputs, self.shared.non_finite),
            None => outcome,
        };
        if self.shared.is_tried_again
            && let Some(fault) = outcome.result.as_ref().err().filter(|error| error.kind.is_platform_fault())
        {
            self.outbox.fail(fault.clone());
            return ControlFlow::Break(());
        }
        warnings.extend(left_out(&outcome));
        let Outcome { result, warnings: told, usage, .. } = outcome;
        warnings.extend(told);
        self.end(ItemOutcome { index, seed: self.seed_of(index), result, warnings, usage })
    }
}

/// Items keep no files; that some were left is told.
fn left_out(outcome: &Outcome) -> Option<Warning> {
    let count = outcome.artifacts.len();
    if count == 0 {
        return None;
    }
    let names: Vec<&str> = outcome.artifacts.iter().take(FILES_TOLD_MAX).map(|file| file.name.as_str()).collect();
    let more = if count > FILES_TOLD_MAX { format!(" and {} more", count - FILES_TOLD_MAX) } else { String::new() };
    let message = format!(
        "items of a batch keep no files, and this one left {}{more} in /work/out: run it as a task of its own to have them",
        names.join(", ")
    );
    Some(Warning { code: "artifact_left_out".to_owned(), message, line: None, pointer: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mecapy_model::{Artifact, ArtifactName, Lane, LimitsRequest};
    use mecapy_store::SystemClock;

    /// Items `indexes` of a sweep over `d`, with these settings.
    fn chunk(indexes: &[u32], on_error: OnItemError, is_tried_again: bool) -> (Chunk, Arc<Outbox>) {
        let sweep = Sweep::parse(r#"{"sweep": {"d": [8, 10, 12, 16]}, "inputs": {"grade": "8.8"}}"#).unwrap();
        let outbox = Arc::new(Outbox::default());
        let shared = Shared {
            call: None,
            files: Vec::new(),
            limits: LimitsRequest::default().resolve(Lane::Default).unwrap(),
            seed: u64::MAX,
            non_finite: NonFinite::default(),
            kernels: Kernels::default(),
            on_error,
            is_tried_again,
        };
        let chunk = Chunk {
            shared,
            indexes: Vec::from(indexes).into_iter(),
            inputs: Inputs::Sweep(Arc::new(sweep)),
            clock: Arc::new(SystemClock::new().unwrap()),
            cancel: Cancel::new(),
            outbox: Arc::clone(&outbox),
            running: None,
        };
        (chunk, outbox)
    }

    fn failed(kind: ErrorKind) -> Outcome {
        Outcome::failed(TaskError::new(kind, "no"))
    }

    async fn saved(outbox: &Outbox) -> Vec<(u32, u64, Option<ErrorKind>)> {
        outbox.end();
        let items = outbox.next().await.unwrap_or_default();
        items.iter().map(|item| (item.index, item.seed, item.result.as_ref().err().map(|error| error.kind))).collect()
    }

    #[tokio::test]
    async fn each_item_has_its_own_inputs_and_the_seed_of_its_place_in_the_batch() {
        let (mut chunk, outbox) = chunk(&[0, 1, 3], OnItemError::Continue, true);
        for (d, seed) in [(8, u64::MAX), (10, 0), (16, 2)] {
            let attempt = chunk.next().unwrap();
            assert_eq!((&*attempt.inputs, attempt.seed), (&*format!(r#"{{"d":{d},"grade":"8.8"}}"#), seed));
            assert!(chunk.told(failed(ErrorKind::Exception)).is_continue());
        }
        assert!(chunk.next().is_none());
        let exception = Some(ErrorKind::Exception);
        assert_eq!(saved(&outbox).await, [(0, u64::MAX, exception), (1, 0, exception), (3, 2, exception)]);
    }

    #[tokio::test]
    async fn a_failed_item_is_the_last_where_the_batch_is_to_stop() {
        let (mut chunk, outbox) = chunk(&[0, 1, 2], OnItemError::Stop, true);
        chunk.next().unwrap();
        assert!(chunk.told(failed(ErrorKind::Timeout)).is_break());
        assert_eq!(saved(&outbox).await, [(0, u64::MAX, Some(ErrorKind::Timeout))]);
    }

    #[tokio::test]
    async fn what_the_platform_failed_is_left_to_the_next_try_while_there_is_one() {
        let (mut early, outbox) = chunk(&[0, 1], OnItemError::Continue, true);
        early.next().unwrap();
        assert!(early.told(failed(ErrorKind::Executor)).is_break());
        assert_eq!(outbox.sums().fault.unwrap().kind, ErrorKind::Executor);
        assert_eq!(saved(&outbox).await, []);
        let (mut late, outbox) = chunk(&[0, 1], OnItemError::Continue, false);
        late.next().unwrap();
        assert!(late.told(failed(ErrorKind::Executor)).is_continue());
        assert_eq!(saved(&outbox).await, [(0, u64::MAX, Some(ErrorKind::Executor))]);
    }

    #[tokio::test]
    async fn files_are_left_out_and_that_is_told() {
        let (mut chunk, outbox) = chunk(&[0], OnItemError::Continue, true);
        chunk.next().unwrap();
        let artifact = |name: &str| Artifact::new(ArtifactName::parse(name).unwrap(), vec![0]);
        let artifacts = (0..7).map(|number| artifact(&format!("{number}.png"))).collect();
        let _ = chunk.told(Outcome { artifacts, ..failed(ErrorKind::Exception) });
        outbox.end();
        let items = outbox.next().await.unwrap();
        let [warning] = &items[0].warnings[..] else { panic!("{:?}", items[0].warnings) };
        assert_eq!(warning.code, "artifact_left_out");
        assert!(warning.message.contains("left 0.png, 1.png, 2.png, 3.png, 4.png and 2 more in /work/out"));
    }
}
