//! How a run begins: its inputs checked, its versions pinned, the first event of its log.

use super::{
    definitions::Unreadable,
    pins::{PinnedWorkflow, Pins},
    signatures::Signatures,
};
use crate::intake::{AskedRun, Intake, Rejected};
use mecapy_model::Fault;
use mecapy_store::{NewRun, StoreError, WorkflowRow};
use mecapy_workflow::{Definition, Run};
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Where a request has the inputs of its run.
const INPUTS: &str = "/inputs";

/// A run of `workflow`, to be started. Knows all that it will use: functions and nested workflows keep their versions,
/// whatever is published meanwhile.
///
/// # Errors
/// Inputs that don't fit the workflow's, each with its pointer below `/inputs`, and what is gone of what it calls.
pub async fn begin(intake: &Intake<'_>, workflow: &WorkflowRow, asked: AskedRun<'_>) -> Result<NewRun, Rejected> {
    let unread = Definition::parse(&workflow.definition, &|_| None).map_err(Rejected::Invalid)?;
    let pinned = PinnedWorkflow { id: workflow.id, version: workflow.version };
    let pins = Pins::find(intake, pinned, &unread).await?;
    let known = Signatures::pinned(intake.store, intake.functions, (intake.tenant, &pins)).await;
    let known = known.map_err(|unreadable| match unreadable {
        Unreadable::Store(error) => Rejected::Store(error),
        Unreadable::Gone(why) => Rejected::Invalid(vec![Fault::new("", "unknown_function", why)]),
    })?;
    let definition = Definition::parse(&workflow.definition, &|callee| known.of(callee)).map_err(Rejected::Invalid)?;
    let inputs = serde_json::from_str::<&RawValue>(asked.inputs)
        .map_err(|error| Rejected::Invalid(vec![Fault::new(INPUTS, "malformed", error.to_string())]))?;
    let inputs = definition.check_inputs(inputs, INPUTS).map_err(Rejected::Invalid)?.values;
    let (_, first) = Run::begin(Arc::new(definition), inputs.clone(), 0, now_ms(intake));
    Ok(NewRun {
        id: intake.store.new_run_id(),
        tenant: intake.tenant,
        workflow: workflow.id,
        version: workflow.version,
        name: asked.name.or_else(|| Some(workflow.name.clone())),
        inputs: inputs.raw().to_owned(),
        pins: text_of(&pins)?,
        parent: None,
        depth: 0,
        study: asked.study,
        labels: asked.labels,
        events: vec![text_of(&first)?],
    })
}

/// What is kept of a value, as JSON.
pub(super) fn text_of(value: &impl Serialize) -> Result<Box<RawValue>, StoreError> {
    serde_json::value::to_raw_value(value).map_err(|error| StoreError::Corrupt { what: error.to_string() })
}

/// Unix milliseconds, on the clock that all processes share.
fn now_ms(intake: &Intake<'_>) -> i64 {
    unix_ms(intake.store.now())
}

pub(super) fn unix_ms(at: time::OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
