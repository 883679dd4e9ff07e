//! The fields of a batch's request.

use super::InvalidItems;
use super::items::{self, Chunks};
use crate::intake::{
    PRIORITY_DEFAULT, PRIORITY_MAX,
    computation::{self, Computation},
    labels, limits,
    solver::Solving,
};
use crate::json::{Faults, Fields, Kind, Path, Value};
use crate::packages::FunctionReference;
use mecapy_model::{
    Code, Isolation, Kernels, Lane, Limits, NonFinite, OnItemError, StudyId, UploadId, Warning, sweep::Sweep,
};
use std::collections::BTreeMap;

const ISOLATIONS: [(&str, Isolation); 2] = [("item", Isolation::Item), ("batch", Isolation::Batch)];
const ON_ERROR: [(&str, OnItemError); 2] = [("continue", OnItemError::Continue), ("stop", OnItemError::Stop)];
const INVALID_ITEMS: [(&str, InvalidItems); 2] = [("reject", InvalidItems::Reject), ("record", InvalidItems::Record)];

/// A batch as it was asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) name: Option<String>,
    pub(super) code: Option<Code>,
    /// The function that is to be found, where that is the code.
    pub(super) function: Option<FunctionReference>,
    pub(super) files: BTreeMap<String, UploadId>,
    pub(super) lane: Lane,
    pub(super) priority: u8,
    pub(super) limits: Option<Limits>,
    pub(super) seed: u64,
    pub(super) non_finite: NonFinite,
    pub(super) kernels: Kernels,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) study: Option<StudyId>,
    pub(super) isolation: Isolation,
    pub(super) on_error: OnItemError,
    pub(super) invalid_items: InvalidItems,
    /// `None` where it has a fault.
    pub(super) source: Option<Source>,
    /// What the request itself is worth warning of.
    pub(super) warnings: Vec<Warning>,
}

/// Where the inputs of items come from.
#[derive(Debug)]
pub(super) enum Source {
    Sweep(Sweep),
    Items {
        /// The inputs of neighbouring items, a JSON array each.
        chunks: Vec<Box<str>>,
        total: u32,
    },
}

impl Source {
    pub(super) fn total(&self) -> u32 {
        match self {
            Source::Sweep(sweep) => u32::try_from(sweep.total()).unwrap_or(u32::MAX),
            Source::Items { total, .. } => *total,
        }
    }

    /// Visits the inputs of each item in order, until `visit` says that it is enough.
    pub(super) fn each(&self, mut visit: impl FnMut(u32, &str) -> bool) {
        match self {
            Source::Sweep(sweep) => {
                let _ = (0..self.total()).try_for_each(|index| visit(index, &sweep.item(index)).then_some(()));
            }
            Source::Items { chunks, .. } => {
                let items = chunks.iter().flat_map(|chunk| Value::of(chunk).items().unwrap_or_default());
                let _ = (0..).zip(items).try_for_each(|(index, inputs)| visit(index, inputs.text()).then_some(()));
            }
        }
    }
}

/// Reads the request `text`, which is checked JSON. `seed` is for a request that names none.
pub(super) fn read(text: &str, seed: u64, faults: &mut Faults) -> Option<Asked> {
    let mut fields = Fields::open(Value::of(text), Path::Root, faults)?;
    let name = labels::name(&mut fields, faults);
    let computation = computation::read(&mut fields, Solving::InBatch, faults);
    let seed = computation.seed.unwrap_or(seed);
    let priority = fields.integer("priority", 0..=PRIORITY_MAX, faults);
    let lane = lane(&mut fields, faults);
    let limits = limits::read(&mut fields, faults);
    let lane = lane.unwrap_or_else(|| Lane::for_timeout(limits.timeout_ms));
    let invalid_items = fields.one_of("invalid_items", &INVALID_ITEMS, faults).unwrap_or_default();
    let source = source(&mut fields, &computation, (seed, invalid_items), faults);
    let Computation { code, function, files, non_finite, kernels, .. } = computation;
    let asked = Asked {
        name,
        code,
        function,
        files,
        lane,
        priority: priority.and_then(|priority| u8::try_from(priority).ok()).unwrap_or(PRIORITY_DEFAULT),
        warnings: limits::warnings(&limits, lane, kernels),
        limits: limits::resolve(&limits, lane, faults),
        seed,
        non_finite,
        kernels,
        labels: labels::labels(&mut fields, faults),
        study: study(&mut fields, faults),
        isolation: fields.one_of("isolation", &ISOLATIONS, faults).unwrap_or_default(),
        on_error: fields.one_of("on_error", &ON_ERROR, faults).unwrap_or_default(),
        invalid_items,
        source,
    };
    fields.finish(faults);
    Some(asked)
}

fn source(
    fields: &mut Fields<'_, '_>,
    computation: &Computation<'_>,
    (seed, invalid_items): (u64, InvalidItems),
    faults: &mut Faults,
) -> Option<Source> {
    let path = fields.path();
    let (items, sweep) = (fields.take("items"), fields.take("sweep"));
    let options = [("mode", fields.take("mode")), ("samples", fields.take("samples"))];
    match (&items, &sweep) {
        (Some(_), None) => {
            for (name, _) in options.iter().filter(|(_, value)| value.is_some()) {
                faults.at(path.key(name), "conflict", "this belongs to a sweep: leave it out beside \"items\"");
            }
        }
        (None, Some(_)) => (),
        (Some(_), Some(_)) => {
            faults.at(path.key("sweep"), "conflict", "a batch has \"items\" or a \"sweep\", one of the two");
        }
        (None, None) => {
            let message =
                "a batch needs \"items\", as [{\"inputs\": {\"d\": 8}}, …], or a \"sweep\", as {\"d\": [8, 10, 12]}";
            faults.at(path.key("items"), "required", message);
        }
    }
    let items = items.and_then(|items| {
        let constants = Value::of(computation.inputs).members().unwrap_or_default();
        let Chunks { chunks, total } = items::read(items, path.key("items"), (&constants, invalid_items), faults)?;
        Some(Source::Items { chunks, total })
    });
    let sweep = sweep.and_then(|sweep| {
        let text = text_of_sweep(sweep, &options, (seed, computation.inputs));
        let read = Sweep::parse(&text).map_err(|found| found.into_iter().for_each(|fault| faults.add(fault)));
        read.ok().map(Source::Sweep)
    });
    items.or(sweep)
}

/// What of the request makes a sweep.
fn text_of_sweep(sweep: Value<'_>, options: &[(&str, Option<Value<'_>>)], (seed, inputs): (u64, &str)) -> String {
    let mut text = format!("{{\"seed\":{seed},\"sweep\":{}", sweep.text());
    for (name, value) in options.iter().filter_map(|(name, value)| Some((name, (*value)?))) {
        text.push_str(&format!(",\"{name}\":{}", value.text()));
    }
    // Inputs that are no object are a fault already.
    if Value::of(inputs).kind() == Kind::Object {
        text.push_str(&format!(",\"inputs\":{inputs}"));
    }
    text.push('}');
    text
}

fn lane(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> Option<Lane> {
    let text = fields.string("lane", faults)?;
    let path = fields.path();
    match text.as_ref() {
        "default" => Some(Lane::Default),
        "long_running" => Some(Lane::LongRunning),
        "high_priority" => {
            let message = "high_priority is kept for single computations that somebody waits for: a batch runs in \
                           default or long_running";
            faults.at(path.key("lane"), "not_applicable", message);
            None
        }
        _ => {
            faults.at(path.key("lane"), "unknown_value", "use one of \"default\", \"long_running\"");
            None
        }
    }
}

fn study(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> Option<StudyId> {
    let text = fields.string("study", faults)?;
    let study = text.parse().ok();
    if study.is_none() {
        let path = fields.path();
        faults.at(
            path.key("study"),
            "unknown_study",
            "the id of a study is needed here, as POST /v1/studies answered it",
        );
    }
    study
}
