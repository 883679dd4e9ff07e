//! What a queued task says where none of the workers that are there now can run it: which of its needs they lack.

use crate::app::App;
use mecapy_model::{Code, Task, TaskState, Warning};
use mecapy_runtime::solver::version_name;
use mecapy_store::{SeenWorker, StoreError};

/// Not kept with the task: it is gone once somebody can run it.
const NO_WORKER: &str = "no_worker";

/// The workers that are there, where one of the tasks may wait for some of them.
pub(super) async fn workers_for(app: &App, tasks: &[Task]) -> Result<Vec<SeenWorker>, StoreError> {
    if tasks.iter().any(|task| awaited(task).is_some()) { app.workers().await } else { Ok(Vec::new()) }
}

/// A warning of a task that waits and that nobody of `workers` can run.
pub(super) fn warning(task: &Task, workers: &[SeenWorker]) -> Option<Warning> {
    let (solver, version) = awaited(task)?;
    let name = version_name(solver, version);
    if workers.iter().any(|seen| seen.can_run(task, &name)) {
        return None;
    }
    let serving: Vec<_> = workers.iter().filter(|seen| seen.serves_containers(task.lane)).collect();
    let (lacking, pointer) = if serving.is_empty() {
        (format!("runs solvers of the lane {}", task.lane), "/lane")
    } else if !serving.iter().any(|seen| seen.row.solvers.contains(&name)) {
        (format!("has the image of {solver} {version} on a Docker engine that answers"), "/code/version")
    } else {
        (format!("has {solver} {version} and as much room in all as the limits ask for"), "/limits")
    };
    let message = format!("no worker that is there now {lacking}: the task waits for one");
    Some(Warning { code: NO_WORKER.to_owned(), message, line: None, pointer: Some(pointer.to_owned()) })
}

/// The solver and the version that a queued task waits for.
fn awaited(task: &Task) -> Option<(&str, &str)> {
    match &task.code {
        Code::Solver { solver, version } if task.state == TaskState::Queued => {
            Some((solver.as_str(), version.as_str()))
        }
        _ => None,
    }
}
