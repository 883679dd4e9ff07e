//! What a queued task says where none of the workers that are there now can run it: which of its needs they lack.

use crate::app::App;
use mecapy_model::{Code, Executor, SourceLanguage, Task, TaskState, Warning};
use mecapy_runtime::solver::version_name;
use mecapy_store::{SeenWorker, StoreError};

/// Not kept with the task: it is gone once somebody can run it.
const NO_WORKER: &str = "no_worker";

/// What a queued task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited<'a> {
    Solver {
        solver: &'a str,
        version: &'a str,
    },
    /// Its compiler, in whichever version a worker has it.
    Compiler(SourceLanguage),
}

/// The workers that are there, where one of the tasks may wait for some of them.
pub(super) async fn workers_for(app: &App, tasks: &[Task]) -> Result<Vec<SeenWorker>, StoreError> {
    if tasks.iter().any(|task| awaited(task).is_some()) { app.workers().await } else { Ok(Vec::new()) }
}

/// A warning of a task that waits and that nobody of `workers` can run.
pub(super) fn warning(task: &Task, workers: &[SeenWorker]) -> Option<Warning> {
    let awaited = awaited(task)?;
    let offers = |name: &str| match awaited {
        Awaited::Solver { solver, version } => name == version_name(solver, version),
        Awaited::Compiler(language) => {
            name.strip_prefix(language.as_str()).is_some_and(|version| version.starts_with('@'))
        }
    };
    let serving: Vec<_> = workers.iter().filter(|seen| seen.serves_containers(task.lane)).collect();
    let offering: Vec<_> = serving.iter().filter(|seen| seen.row.solvers.iter().any(|name| offers(name))).collect();
    if offering.iter().any(|seen| seen.row.total.holds(task.code.room(&task.limits))) {
        return None;
    }
    let (what, image_at, room_at) = match awaited {
        Awaited::Solver { solver, version } => (format!("{solver} {version}"), "/code/version", "/limits"),
        Awaited::Compiler(language) => {
            (format!("the compiler for {}", language.title()), "/code/language", "/code/language")
        }
    };
    let (lacking, pointer) = if serving.is_empty() {
        (format!("runs containers of the lane {}", task.lane), "/lane")
    } else if offering.is_empty() {
        (format!("has the image of {what} on a Docker engine that answers"), image_at)
    } else {
        (format!("has {what} and as much room in all as it needs"), room_at)
    };
    let message = format!("no worker that is there now {lacking}: the task waits for one");
    Some(Warning { code: NO_WORKER.to_owned(), message, line: None, pointer: Some(pointer.to_owned()) })
}

fn awaited(task: &Task) -> Option<Awaited<'_>> {
    if task.state != TaskState::Queued || task.code.executor() != Executor::Container {
        return None;
    }
    match &task.code {
        Code::Solver { solver, version } => Some(Awaited::Solver { solver, version }),
        code => code.source().map(|source| Awaited::Compiler(source.language)),
    }
}
