//! What a schedule starts: a request as it was written, from which each firing makes a task or a run of its own.

use crate::{
    app::App,
    intake::{AskedRun, Rejected},
    json::{self, Faults, Fields, Path, Value},
    workflows::begin,
};
use mecapy_model::{Fault, ScheduleId, TenantId};
use mecapy_store::{FireWork, Submission, Viewer, WorkflowRow};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// The longest request that a schedule keeps, bytes: many may be due at once.
pub const WORK_BYTES_MAX: usize = 256 << 10;
/// The label by which what a schedule started is found.
const LABEL: &str = "schedule";
/// Where a schedule has the request of its task.
const TASK: &str = "/task";
/// Where it has that of its run.
const WORKFLOW: &str = "/workflow";

/// Who wrote a schedule: its tasks may call what its author may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    principal: Uuid,
    is_admin: bool,
}

/// A request that is kept, one of the two.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Work {
    author: Author,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Box<RawValue>>,
}

impl Author {
    pub fn of(viewer: Viewer) -> Self {
        Self { principal: viewer.principal, is_admin: viewer.is_admin }
    }

    fn viewer(self, tenant: TenantId) -> Viewer {
        Viewer { tenant, principal: self.principal, is_admin: self.is_admin }
    }
}

impl Work {
    /// `task` is the body of a `POST /v1/tasks`, checked JSON.
    pub fn task(author: Author, task: Box<RawValue>) -> Self {
        Self { author, task: Some(task), workflow: None }
    }

    /// `workflow` is the body of a `POST /v1/workflows/{id}/runs` with the workflow's `id` in it, checked JSON.
    pub fn workflow(author: Author, workflow: Box<RawValue>) -> Self {
        Self { author, task: None, workflow: Some(workflow) }
    }

    /// Makes what is to be started, as if the request had been sent now. `schedule` marks it.
    ///
    /// # Errors
    /// What is wrong with the request as things are now, with pointers below `/task` or `/workflow`.
    pub async fn make(&self, app: &App, tenant: TenantId, schedule: Option<ScheduleId>) -> Result<FireWork, Rejected> {
        match (&self.task, &self.workflow) {
            (Some(task), _) => self.submission(app, tenant, (task.get(), schedule)).await.map_err(below(TASK)),
            (None, Some(workflow)) => self.run(app, tenant, (workflow.get(), schedule)).await.map_err(below(WORKFLOW)),
            (None, None) => Err(Rejected::Invalid(vec![Fault::new("", "required", "there is nothing to start")])),
        }
    }

    async fn submission(
        &self,
        app: &App,
        tenant: TenantId,
        (text, schedule): (&str, Option<ScheduleId>),
    ) -> Result<FireWork, Rejected> {
        let intake = app.intake(self.author.viewer(tenant));
        let text = json::check(text.as_bytes()).map_err(Rejected::Malformed)?;
        let accepted = intake.task(text).await?;
        let mut task = accepted.task;
        if task.run_at.is_some() {
            let message = "a schedule says when its tasks run: leave the field out";
            return Err(Rejected::Invalid(vec![Fault::new("/run_at", "conflict", message)]));
        }
        intake.must_have(&task.files, &accepted.files_of_code).await?;
        task.labels.extend(schedule.map(label));
        let queued_max = app.limits.queued_per_tenant_max;
        Ok(FireWork::Task(Box::new(Submission { task, idempotency: None, queued_max })))
    }

    async fn run(
        &self,
        app: &App,
        tenant: TenantId,
        (text, schedule): (&str, Option<ScheduleId>),
    ) -> Result<FireWork, Rejected> {
        let intake = app.intake(self.author.viewer(tenant));
        let text = json::check(text.as_bytes()).map_err(Rejected::Malformed)?;
        let (id, rest) = named(text).map_err(Rejected::Invalid)?;
        let asked = intake.run(&rest).await?;
        let workflow = found(app, tenant, &id, &asked).await?;
        let mut run = begin(&intake, &workflow, asked).await?;
        run.labels.extend(schedule.map(label));
        Ok(FireWork::Run(Box::new(run)))
    }
}

fn label(schedule: ScheduleId) -> (String, String) {
    (LABEL.to_owned(), schedule.to_string())
}

/// The workflow that a request names, and the rest of it: the body of a request for a run.
fn named(text: &str) -> Result<(String, String), Vec<Fault>> {
    let mut faults = Faults::default();
    let mut id = None;
    if let Some(mut fields) = Fields::open(Value::of(text), Path::Root, &mut faults) {
        id = match fields.require("id", &mut faults) {
            Some(value) if value.string().is_none() => {
                faults.wrong_kind(fields.path().key("id"), "a string", value);
                None
            }
            value => value.and_then(Value::string),
        };
    }
    let Some(id) = id else { return Err(faults.into_vec()) };
    let members = Value::of(text).members().unwrap_or_default();
    let rest = members.iter().filter(|(key, _)| key != "id");
    let rest: Vec<String> =
        rest.map(|(key, value)| format!("{}:{}", serde_json::Value::from(key.as_ref()), value.text())).collect();
    Ok((id.into_owned(), format!("{{{}}}", rest.join(","))))
}

async fn found(app: &App, tenant: TenantId, id: &str, asked: &AskedRun<'_>) -> Result<WorkflowRow, Rejected> {
    if let Some(workflow) = app.store.workflow(tenant, id, asked.version).await? {
        return Ok(workflow);
    }
    let missing = match (app.store.workflow(tenant, id, None).await?, asked.version) {
        (Some(known), Some(version)) => {
            let (name, latest) = (known.name, known.latest);
            Fault::new("/version", "unknown_version", format!("{name} has no version {version}: it has 1 to {latest}"))
        }
        _ => Fault::new("/id", "unknown_workflow", "there is no such workflow: save it with POST /v1/workflows first"),
    };
    Err(Rejected::Invalid(vec![missing]))
}

/// The same faults, of a request that stands in another one.
fn below(place: &'static str) -> impl Fn(Rejected) -> Rejected {
    move |rejected| match rejected {
        Rejected::Invalid(faults) => {
            let moved = |fault: Fault| Fault { pointer: format!("{place}{}", fault.pointer), ..fault };
            Rejected::Invalid(faults.into_iter().map(moved).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workflow_is_named_beside_what_its_run_is_asked_for() {
        let text = r#"{ "inputs": {"F": 1.10, "id": 7}, "i\u0064": "rod", "version": 2 }"#;
        let (id, rest) = named(text).unwrap();
        assert_eq!((id.as_str(), rest.as_str()), ("rod", r#"{"inputs":{"F": 1.10, "id": 7},"version":2}"#));
        for (text, pointer) in [("{}", "/id"), (r#"{"id": 7}"#, "/id"), (r#"{"id": null}"#, "/id"), ("[]", "")] {
            assert_eq!(named(text).unwrap_err().first().map(|fault| fault.pointer.as_str()), Some(pointer), "{text}");
        }
    }

    #[test]
    fn work_is_kept_as_it_was_written() {
        let author = Author { principal: Uuid::from_u128(7), is_admin: true };
        let task = RawValue::from_string(r#"{"inputs": {"F": 1.10}}"#.to_owned()).unwrap();
        let text = serde_json::to_string(&Work::task(author, task)).unwrap();
        let read: Work = serde_json::from_str(&text).unwrap();
        assert_eq!((read.author, read.workflow.is_none()), (author, true));
        assert_eq!(read.task.unwrap().get(), r#"{"inputs": {"F": 1.10}}"#);
    }
}
