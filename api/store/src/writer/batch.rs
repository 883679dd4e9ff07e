//! Calls that share a transaction.

use super::claim;
use super::lines;
use super::{CancelRequest, ChunksAnswer, Ending, GiveBack, NewChunks, NewRow, Note, Step, SubmitAnswer, Writer};
use crate::sql::Opening;
use crate::{Advanced, Beat, Cancelled, ClaimRef, ClaimRequest, Claims, PreviewUsage, StoreError, Written, fail_point};
use mecapy_model::{Lane, TaskId};
use std::future::Future;
use std::pin::Pin;
use tokio::sync::oneshot;

/// A question to the writer, its answer once there is one, and where it goes.
pub(crate) struct Call<I, O> {
    pub(super) input: I,
    pub(super) answer: Option<O>,
    reply: oneshot::Sender<Result<O, StoreError>>,
}

impl<I, O> Call<I, O> {
    pub(crate) fn new(input: I, reply: oneshot::Sender<Result<O, StoreError>>) -> Self {
        Self { input, answer: None, reply }
    }

    /// Sends the answer; gives it back where nobody waits for it any more.
    fn deliver(self) -> Option<O> {
        let answer = self.answer.ok_or_else(|| StoreError::corrupt("a write without an answer"));
        self.reply.send(answer).err().and_then(Result::ok)
    }

    fn fail(self, error: &StoreError) {
        // Nobody waits for the answer: then nobody misses it.
        let _ = self.reply.send(Err(error.clone()));
    }
}

/// What became of each claim of a heartbeat.
pub(super) type Beats = Vec<(TaskId, Beat)>;

/// What the writer can be asked.
pub(crate) enum Op {
    Submit(Call<Box<NewRow>, SubmitAnswer>),
    SubmitChunks(Call<Box<NewChunks>, ChunksAnswer>),
    Note(Call<Note, Written>),
    Heartbeat(Call<Vec<ClaimRef>, Beats>),
    Finish(Call<Box<Ending>, Written>),
    GiveBack(Call<(ClaimRef, GiveBack), Written>),
    Cancel(Call<CancelRequest, Cancelled>),
    Rare(Box<dyn Rare>),
    Advance(Call<Box<Step>, Advanced>),
    Claim(Call<ClaimRequest, Claims>),
    Close(oneshot::Sender<()>),
}

/// A write that is not worth a kind of its own. It may run again after a rollback.
pub(crate) trait Rare: Send {
    fn run<'a>(&'a mut self, writer: &'a mut Writer) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + 'a>>;
    fn deliver(self: Box<Self>);
    fn fail(self: Box<Self>, error: &StoreError);
}

impl<F, O> Rare for Call<F, O>
where
    F: AsyncFn(&mut Writer) -> Result<O, StoreError> + Send,
    O: Send,
{
    fn run<'a>(&'a mut self, writer: &'a mut Writer) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + 'a>> {
        Box::pin(async move {
            self.answer = Some((self.input)(writer).await?);
            Ok(())
        })
    }

    fn deliver(self: Box<Self>) {
        Call::deliver(*self);
    }

    fn fail(self: Box<Self>, error: &StoreError) {
        Call::fail(*self, error);
    }
}

fn deliver_all<I, O>(calls: Vec<Call<I, O>>) {
    for call in calls {
        // An answer that nobody waits for any more is nobody's loss: the write has happened.
        let _ = call.deliver();
    }
}

/// Calls by kind. All arrived before any was answered, so any order among them is a true one; this one lets what
/// arrives be claimed, and what ends make room, within the transaction.
#[derive(Default)]
pub(super) struct Batch {
    submits: Vec<Call<Box<NewRow>, SubmitAnswer>>,
    chunks: Vec<Call<Box<NewChunks>, ChunksAnswer>>,
    notes: Vec<Call<Note, Written>>,
    heartbeats: Vec<Call<Vec<ClaimRef>, Beats>>,
    finishes: Vec<Call<Box<Ending>, Written>>,
    give_backs: Vec<Call<(ClaimRef, GiveBack), Written>>,
    cancels: Vec<Call<CancelRequest, Cancelled>>,
    rare: Vec<Box<dyn Rare>>,
    advances: Vec<Call<Box<Step>, Advanced>>,
    claims: Vec<Call<ClaimRequest, Claims>>,
    preview_usage: Vec<PreviewUsage>,
}

impl Batch {
    /// Adds a call; answers where to report the end, if the call was to close.
    pub(super) fn add(&mut self, op: Op) -> Option<oneshot::Sender<()>> {
        match op {
            Op::Submit(call) => self.submits.push(call),
            Op::SubmitChunks(call) => self.chunks.push(call),
            Op::Note(call) => self.notes.push(call),
            Op::Heartbeat(call) => self.heartbeats.push(call),
            Op::Finish(call) => self.finishes.push(call),
            Op::GiveBack(call) => self.give_backs.push(call),
            Op::Cancel(call) => self.cancels.push(call),
            Op::Rare(call) => self.rare.push(call),
            Op::Advance(call) => self.advances.push(call),
            Op::Claim(call) => self.claims.push(call),
            Op::Close(reply) => return Some(reply),
        }
        None
    }

    pub(super) fn add_preview_usage(&mut self, usage: PreviewUsage) {
        self.preview_usage.push(usage);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many calls; the usage of all previews counts as one.
    pub(super) fn len(&self) -> usize {
        self.submits.len()
            + self.chunks.len()
            + self.notes.len()
            + self.heartbeats.len()
            + self.finishes.len()
            + self.give_backs.len()
            + self.cancels.len()
            + self.rare.len()
            + self.advances.len()
            + self.claims.len()
            + usize::from(!self.preview_usage.is_empty())
    }

    /// What PostgreSQL can give as the transaction begins. A batch of claims alone may try for its locks: what comes
    /// before claims in others must not wait with a lane in its hands.
    pub(super) fn opening(&self) -> Opening {
        let claims_alone = self.len() == self.claims.len();
        let locks =
            if claims_alone { lines::locks_of(&self.lanes()).map(|(key, _)| key).collect() } else { Vec::new() };
        let chunks: usize = self.chunks.iter().map(|call| call.input.chunks.len()).sum();
        let node_tasks: usize = self.advances.iter().map(|call| call.input.tasks.len()).sum();
        let of_chunks = self.chunks.iter().map(|call| call.input.tenant);
        let mut tenants = self.submits.iter().map(|call| call.input.tenant()).chain(of_chunks);
        // What advances runs locks those first.
        let tenant = tenants.next().filter(|first| self.advances.is_empty() && tenants.all(|tenant| tenant == *first));
        Opening { locks, numbers: self.submits.len() + chunks + node_tasks, tenant }
    }

    /// The claim that the batch consists of.
    pub(super) fn only_claim(&mut self) -> Option<&mut Call<ClaimRequest, Claims>> {
        if self.len() == 1 { self.claims.first_mut() } else { None }
    }

    /// What is claimed from.
    fn lanes(&self) -> Vec<Lane> {
        self.claims.iter().map(|call| call.input.lane).collect()
    }

    /// Executes every call within the writer's open transaction, which has begun with these locks.
    pub(super) async fn run(&mut self, writer: &mut Writer, held: &[i64]) -> Result<(), StoreError> {
        let runs = writer.lock_runs(&self.advances).await?;
        let tasks = self.submits.iter().map(|call| &*call.input);
        let tasks = tasks.chain(self.advances.iter().flat_map(|call| &call.input.tasks));
        let chunks = self.chunks.iter().map(|call| (call.input.tenant, call.input.queued_max));
        let asked = tasks.map(|row| (row.tenant(), row.queued_max())).chain(chunks);
        let mut admission = writer.admission(asked).await?;
        writer.submit_all(&mut self.submits, &mut admission).await?;
        for call in &mut self.chunks {
            call.answer = Some(writer.submit_chunks(&mut call.input, &mut admission).await?);
        }
        writer.advance_all(&mut self.advances, runs, &mut admission).await?;
        for call in &mut self.notes {
            call.answer = Some(writer.note(&call.input).await?);
        }
        for call in &mut self.heartbeats {
            call.answer = Some(writer.heartbeat(&call.input).await?);
        }
        writer.finish_all(&mut self.finishes).await?;
        for call in &mut self.give_backs {
            let (claim, how) = &call.input;
            call.answer = Some(writer.give_back(claim, *how).await?);
        }
        for call in &mut self.cancels {
            call.answer = Some(writer.cancel(&call.input).await?);
        }
        for call in &mut self.rare {
            call.run(writer).await?;
        }
        let locked = lines::try_lock(writer, &self.lanes(), held).await?;
        for call in &mut self.claims {
            let ours = locked.contains(&call.input.lane);
            call.answer = Some(if ours { claim::claim(writer, call.input).await? } else { Claims::default() });
        }
        writer.record_preview_usage(&self.preview_usage).await
    }

    /// A place for tests to crash: everything is written, and nothing committed.
    pub(super) fn is_written(&self) {
        if !self.submits.is_empty() || !self.chunks.is_empty() {
            fail_point("store.after_insert");
        }
        if !self.advances.is_empty() {
            fail_point("store.before_advance");
        }
    }

    /// A place for tests to crash: everything is committed, and nobody told.
    pub(super) fn is_committed(&self) {
        if !self.submits.is_empty() || !self.chunks.is_empty() {
            fail_point("store.after_commit");
        }
        if !self.finishes.is_empty() {
            fail_point("store.after_finish");
        }
        if !self.advances.is_empty() {
            fail_point("store.after_advance");
        }
    }

    /// Sends all answers, after the commit. What was claimed for somebody who is gone is given back in a further batch.
    pub(super) fn answer(self) -> Option<Batch> {
        deliver_all(self.submits);
        deliver_all(self.chunks);
        deliver_all(self.notes);
        deliver_all(self.heartbeats);
        deliver_all(self.finishes);
        deliver_all(self.give_backs);
        deliver_all(self.cancels);
        self.rare.into_iter().for_each(Rare::deliver);
        deliver_all(self.advances);
        let unwanted = self.claims.into_iter().filter_map(Call::deliver).flat_map(|claims| claims.claimed);
        let give_backs: Vec<_> =
            unwanted.map(|claimed| Call::new((claimed.claim, GiveBack::Released), oneshot::channel().0)).collect();
        if give_backs.is_empty() { None } else { Some(Batch { give_backs, ..Batch::default() }) }
    }

    /// Answers every call with the error.
    pub(super) fn fail(self, error: &StoreError) {
        self.submits.into_iter().for_each(|call| call.fail(error));
        self.chunks.into_iter().for_each(|call| call.fail(error));
        self.notes.into_iter().for_each(|call| call.fail(error));
        self.heartbeats.into_iter().for_each(|call| call.fail(error));
        self.finishes.into_iter().for_each(|call| call.fail(error));
        self.give_backs.into_iter().for_each(|call| call.fail(error));
        self.cancels.into_iter().for_each(|call| call.fail(error));
        self.rare.into_iter().for_each(|call| call.fail(error));
        self.advances.into_iter().for_each(|call| call.fail(error));
        self.claims.into_iter().for_each(|call| call.fail(error));
        if !self.preview_usage.is_empty() {
            tracing::warn!(usage.rows = self.preview_usage.len(), error = %error, "usage of previews is lost");
        }
    }

    /// One batch for each call, in this batch's order.
    pub(super) fn split(self) -> Vec<Batch> {
        let mut single = Vec::with_capacity(self.len());
        let ops = (self.submits.into_iter().map(Op::Submit))
            .chain(self.chunks.into_iter().map(Op::SubmitChunks))
            .chain(self.notes.into_iter().map(Op::Note))
            .chain(self.heartbeats.into_iter().map(Op::Heartbeat))
            .chain(self.finishes.into_iter().map(Op::Finish))
            .chain(self.give_backs.into_iter().map(Op::GiveBack))
            .chain(self.cancels.into_iter().map(Op::Cancel))
            .chain(self.rare.into_iter().map(Op::Rare))
            .chain(self.advances.into_iter().map(Op::Advance))
            .chain(self.claims.into_iter().map(Op::Claim));
        for op in ops {
            let mut batch = Batch::default();
            batch.add(op);
            single.push(batch);
        }
        if !self.preview_usage.is_empty() {
            single.push(Batch { preview_usage: self.preview_usage, ..Batch::default() });
        }
        single
    }
}
