//! How batches and their items are shown.

use crate::http::{
    schema::CodeRequest,
    shown::{CodeShown, time},
};
use mecapy_model::{
    BatchId, BatchState, Isolation, Kernels, Lane, Limits, LimitsRequest, NonFinite, OnItemError, Progress, StudyId,
    TaskError, TaskId, TaskState, Usage, Warning,
};
use mecapy_store::{BatchRow, BatchSource};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One computation for many inputs, with what became of them so far.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Batch)]
pub(super) struct BatchShown<'a> {
    #[schema(value_type = uuid::Uuid)]
    id: BatchId,
    name: Option<&'a str>,
    /// `completed` also where items failed under `on_error: "continue"`; `failed`: stopped by an item's error.
    state: BatchState,
    /// Items.
    total: u32,
    queued: u32,
    running: u32,
    completed: u32,
    failed: u32,
    cancelled: u32,
    /// The part of the items that has ended.
    progress: Progress,
    lane: Lane,
    priority: u8,
    #[schema(value_type = CodeRequest)]
    code: CodeShown<'a>,
    /// What the items are made of; null where they were given one by one.
    #[schema(value_type = Option<Object>)]
    sweep: Option<&'a RawValue>,
    isolation: Isolation,
    on_error: OnItemError,
    /// Of each item.
    #[schema(value_type = LimitsRequest)]
    limits: Limits,
    /// Item `i` has this plus `i`.
    seed: u64,
    non_finite: NonFinite,
    kernels: Kernels,
    warnings: &'a [Warning],
    labels: &'a BTreeMap<String, String>,
    #[schema(value_type = Option<uuid::Uuid>)]
    study: Option<StudyId>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    started_at: Option<String>,
    #[schema(format = DateTime)]
    completed_at: Option<String>,
    links: Links,
}

/// Where to go from a batch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchLinks)]
struct Links {
    #[serde(rename = "self")]
    batch: String,
    results: String,
    summary: String,
    plot: String,
    events: String,
    cancel: String,
    retry: String,
}

impl<'a> BatchShown<'a> {
    pub(super) fn new(batch: &'a BatchRow) -> Self {
        Self {
            id: batch.id,
            name: batch.name.as_deref(),
            state: batch.state,
            total: batch.total,
            queued: batch.queued,
            running: batch.running,
            completed: batch.completed,
            failed: batch.failed,
            cancelled: batch.cancelled,
            progress: Progress { fraction: batch.progress(), message: None },
            lane: batch.lane,
            priority: batch.priority,
            code: CodeShown::of(&batch.code, &batch.files),
            sweep: match &batch.source {
                BatchSource::Sweep(text) => serde_json::from_str(text).ok(),
                BatchSource::Items(_) => None,
            },
            isolation: batch.isolation,
            on_error: batch.on_error,
            limits: batch.limits,
            seed: batch.seed,
            non_finite: batch.non_finite,
            kernels: batch.kernels,
            warnings: &batch.warnings,
            labels: &batch.labels,
            study: batch.study,
            created_at: time(batch.created_at),
            started_at: batch.started_at.map(time),
            completed_at: batch.completed_at.map(time),
            links: Links::of(batch.id),
        }
    }
}

impl Links {
    fn of(id: BatchId) -> Self {
        let batch = batch_path(id);
        let under = |what: &str| format!("{batch}/{what}");
        Self {
            results: under("results"),
            summary: under("summary"),
            plot: under("plot"),
            events: under("events"),
            cancel: under("cancel"),
            retry: under("retry"),
            batch,
        }
    }
}

/// The path of a batch.
pub(super) fn batch_path(id: BatchId) -> String {
    format!("/v1/batches/{id}")
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchPage)]
pub(super) struct BatchPageShown<'a> {
    pub(super) batches: Vec<BatchShown<'a>>,
    /// Give this as `cursor` to see more; null at the end.
    pub(super) next_cursor: Option<&'a str>,
}

/// Some of a batch's items. Written from the texts of their parts; this is for the document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ItemPage)]
#[allow(dead_code, reason = "the document alone reads it")]
pub(super) struct ItemPageShown {
    items: Vec<ItemShown>,
    /// Give this as `cursor` to see more; null at the end.
    next_cursor: Option<String>,
}

/// One item of a batch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Item)]
#[allow(dead_code, reason = "the document alone reads it")]
pub(super) struct ItemShown {
    /// From 0.
    index: u32,
    state: TaskState,
    /// As they were given, or as the sweep makes them.
    #[schema(value_type = Object)]
    inputs: serde_json::Value,
    /// Always an object where there is one; numbers as the computation wrote them.
    #[schema(value_type = Option<Object>)]
    result: Option<serde_json::Value>,
    error: Option<TaskError>,
    warnings: Vec<Warning>,
    seed: u64,
    usage: Option<Usage>,
    /// The newest task that ended it, one of many items; null while it has not ended.
    #[schema(value_type = Option<uuid::Uuid>)]
    task: Option<TaskId>,
}
