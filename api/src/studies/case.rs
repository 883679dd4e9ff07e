//! One row of a study, by its name, with what it was given and what came out of it.

use crate::batches;
use mecapy_model::{BatchId, RunId, StudyId, TaskId, TenantId};
use mecapy_store::{Store, StoreError};
use serde::Serialize;
use std::str::FromStr;
use utoipa::ToSchema;
use uuid::Uuid;

/// What a row of a study is called: `task:<id>`, `workflow_run:<id>` or `item:<batch id>:<index>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseName {
    Task(TaskId),
    WorkflowRun(RunId),
    Item(BatchId, u32),
}

/// A row, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Case {
    /// `task`, `workflow_run` or `item`.
    pub kind: &'static str,
    /// Of the task, the run or the batch.
    pub id: Uuid,
    /// Of an item.
    pub index: Option<u32>,
    pub name: Option<String>,
    pub state: String,
    /// The JSON text of its inputs.
    #[serde(skip)]
    pub inputs: String,
    /// The JSON text of its result or outputs; `null` where there is none.
    #[serde(skip)]
    pub outputs: String,
}

impl FromStr for CaseName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (kind, rest) = text.split_once(':').ok_or(())?;
        match kind {
            "task" => rest.parse().map(CaseName::Task).map_err(drop),
            "workflow_run" => rest.parse().map(CaseName::WorkflowRun).map_err(drop),
            "item" => {
                let (batch, index) = rest.split_once(':').ok_or(())?;
                Ok(CaseName::Item(batch.parse().map_err(drop)?, index.parse().map_err(drop)?))
            }
            _ => Err(()),
        }
    }
}

impl CaseName {
    /// The row; `None` where the study has none of that name.
    pub async fn find(self, store: &Store, tenant: TenantId, study: StudyId) -> Result<Option<Case>, StoreError> {
        match self {
            CaseName::Task(id) => task(store, (tenant, study), id).await,
            CaseName::WorkflowRun(id) => run(store, (tenant, study), id).await,
            CaseName::Item(batch, index) => item(store, (tenant, study), (batch, index)).await,
        }
    }
}

async fn task(store: &Store, (tenant, study): (TenantId, StudyId), id: TaskId) -> Result<Option<Case>, StoreError> {
    let found = store.task(tenant, id).await?;
    let Some(task) = found.filter(|task| task.ties.study == Some(study) && task.ties.batch.is_none()) else {
        return Ok(None);
    };
    let result = store.result(tenant, id).await?.and_then(|ended| ended.result);
    Ok(Some(Case {
        kind: "task",
        id: id.0,
        index: None,
        name: task.name,
        state: task.state.as_str().to_owned(),
        inputs: task.inputs.get().to_owned(),
        outputs: result.map_or_else(|| "null".to_owned(), |result| result.get().to_owned()),
    }))
}

async fn run(store: &Store, (tenant, study): (TenantId, StudyId), id: RunId) -> Result<Option<Case>, StoreError> {
    let Some(run) = store.run(tenant, id).await?.filter(|run| run.study == Some(study)) else { return Ok(None) };
    Ok(Some(Case {
        kind: "workflow_run",
        id: id.0,
        index: None,
        name: run.name,
        state: run.state.as_str().to_owned(),
        inputs: run.inputs.get().to_owned(),
        outputs: run.outputs.map_or_else(|| "null".to_owned(), |outputs| outputs.get().to_owned()),
    }))
}

async fn item(
    store: &Store,
    (tenant, study): (TenantId, StudyId),
    (id, index): (BatchId, u32),
) -> Result<Option<Case>, StoreError> {
    let found = store.batch(tenant, id).await?;
    let Some(batch) = found.filter(|batch| batch.study == Some(study) && index < batch.total) else { return Ok(None) };
    let name = batch.name.clone();
    let mut rows = batches::Rows::open(store.clone(), batch, false).await?.from(index);
    let Some(row) = rows.page(1).await?.into_iter().next() else { return Ok(None) };
    Ok(Some(Case {
        kind: "item",
        id: id.0,
        index: Some(index),
        name,
        state: row.state.as_str().to_owned(),
        inputs: row.inputs().to_owned(),
        outputs: row.result().to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kinds_and_ids() {
        let id = "018bcfe5-6800-7707-8707-070707070707";
        assert_eq!(format!("task:{id}").parse(), Ok(CaseName::Task(id.parse().unwrap())));
        assert_eq!(format!("workflow_run:{id}").parse(), Ok(CaseName::WorkflowRun(id.parse().unwrap())));
        assert_eq!(format!("item:{id}:17").parse(), Ok(CaseName::Item(id.parse().unwrap(), 17)));
        for text in
            ["", id, "task", "task:x", "run:x", &format!("item:{id}"), &format!("item:{id}:-1"), &format!("batch:{id}")]
        {
            assert_eq!(text.parse::<CaseName>(), Err(()), "{text}");
        }
    }
}
