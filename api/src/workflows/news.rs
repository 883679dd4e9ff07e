//! What a run's inbox holds, as the engine is told it; and values that are too large for a log, when they are needed.

use super::advance::Trouble;
use mecapy_model::{ErrorKind, TaskState, TenantId};
use mecapy_store::{Arrived, InboxItem, RunEnded, RunState, Store, TaskEnded};
use mecapy_workflow::{FailureKind, FlowError, Json, Output, RunError, Signal, Work, WorkOutcome};
use serde_json::value::RawValue;

/// A value that is not in the inbox itself has more bytes than this.
const SHORT_BYTES_MAX: u64 = 64 << 10;

/// The engine's signals, in the order of the inbox.
pub(super) fn signals(inbox: &[InboxItem]) -> Result<Vec<Signal>, Trouble> {
    inbox.iter().map(|item| signal(&item.what)).collect()
}

fn signal(arrived: &Arrived) -> Result<Signal, Trouble> {
    match arrived {
        Arrived::Task(ended) => Ok(Signal::WorkEnded { work: Work::Task(ended.id), outcome: of_task(ended) }),
        Arrived::Run(ended) => Ok(Signal::WorkEnded { work: Work::Run(ended.id), outcome: of_run(ended)? }),
        Arrived::Sent(signal) => serde_json::from_str(signal.get())
            .map_err(|error| Trouble::Broken(format!("the run was sent what it can't read: {error}"))),
    }
}

/// A value that stands where its work's own result does.
pub(super) async fn load(store: &Store, tenant: TenantId, work: Work) -> Result<Json, Trouble> {
    let found = match work {
        Work::Task(task) => store.result(tenant, task).await?.and_then(|ended| ended.result),
        Work::Run(run) => store.run(tenant, run).await?.and_then(|run| run.outputs),
        Work::Approval => None,
    };
    found.map(Json::from).ok_or_else(|| {
        let what = match work {
            Work::Task(task) => format!("the result of task {task}"),
            Work::Run(run) => format!("the outputs of run {run}"),
            Work::Approval => "an approval's value".to_owned(),
        };
        Trouble::Broken(format!("{what} is needed and is not there any more: it was deleted"))
    })
}

fn of_task(ended: &TaskEnded) -> WorkOutcome {
    match ended.state {
        TaskState::Completed => {
            let artifacts = ended.artifacts.iter().map(|name| name.as_str().to_owned()).collect();
            WorkOutcome::Completed { output: output(ended.result.as_deref()), artifacts }
        }
        TaskState::Cancelled => WorkOutcome::Cancelled,
        TaskState::Failed | TaskState::Queued | TaskState::Running => match &ended.error {
            Some(error) => WorkOutcome::Failed { kind: error.kind.into(), message: error.message.clone() },
            None => WorkOutcome::Failed {
                kind: ErrorKind::Executor.into(),
                message: "the task failed without a word".to_owned(),
            },
        },
    }
}

fn of_run(ended: &RunEnded) -> Result<WorkOutcome, Trouble> {
    let state: RunState = ended.state.parse().map_err(Trouble::Broken)?;
    Ok(match state {
        RunState::Completed => {
            WorkOutcome::Completed { output: output(ended.outputs.as_deref()), artifacts: Vec::new() }
        }
        RunState::Cancelled => WorkOutcome::Cancelled,
        RunState::Failed | RunState::Running => {
            let (kind, message) = failure(ended.error.as_deref());
            WorkOutcome::Failed { kind, message }
        }
    })
}

/// A short value is told; a longer one stays where it is, until it is needed.
fn output(short: Option<&RawValue>) -> Output {
    short.map_or(Output::Stored { bytes: SHORT_BYTES_MAX }, |value| Output::Value(Json::of(value)))
}

/// Why a nested run failed: with the node of it that did.
fn failure(error: Option<&RawValue>) -> (FailureKind, String) {
    let error: Option<RunError> = error.and_then(|error| serde_json::from_str(error.get()).ok());
    let kind = FlowError::Workflow.into();
    match error {
        Some(RunError { key: Some(key), kind: inner, message, .. }) => {
            (kind, format!("its node {key} failed with {inner}: {message}"))
        }
        Some(RunError { message, .. }) => (kind, message),
        None => (kind, "the nested run failed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn the_failure_of_a_nested_run_names_its_node() {
        let told = failure(Some(&raw(r#"{"key":"solve","kind":"timeout","message":"it took 5 s"}"#)));
        assert_eq!(told, (FlowError::Workflow.into(), "its node solve failed with timeout: it took 5 s".to_owned()));
        assert_eq!(failure(None).1, "the nested run failed");
        assert_eq!(failure(Some(&raw("7"))).1, "the nested run failed");
    }

    #[test]
    fn what_is_not_told_is_left_where_it_is() {
        assert_eq!(output(Some(&raw("1.10"))), Output::Value(Json::parse("1.10").unwrap()));
        assert_eq!(output(None), Output::Stored { bytes: SHORT_BYTES_MAX });
    }
}
