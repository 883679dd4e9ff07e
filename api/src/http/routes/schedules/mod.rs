//! Schedules: make, list, look at, change, delete, fire now, look at what has fired.

pub(in crate::http) mod change;
pub(in crate::http) mod create;
pub(in crate::http) mod delete;
pub(in crate::http) mod firings;
pub(in crate::http) mod get;
pub(in crate::http) mod list;
pub(in crate::http) mod run;
mod shown;

use super::{id, json, no_body};
use crate::{
    app::App,
    http::{Problem, auth::Caller},
    intake::AskedWork,
    schedules::{Author, Timetable, Work, unix_ms},
};
use mecapy_model::ScheduleId;
use mecapy_store::ScheduleRow;
use serde_json::value::{RawValue, to_raw_value};
use tokio::task::spawn_blocking;

/// What is not found.
const SCHEDULE: &str = "schedule";

fn schedule_id(text: &str) -> Result<ScheduleId, Problem> {
    id(text, SCHEDULE)
}

/// The caller's schedule.
async fn found(app: &App, caller: &Caller, id: &str) -> Result<ScheduleRow, Problem> {
    let schedule = app.store.schedule(caller.tenant(), schedule_id(id)?).await?;
    schedule.ok_or_else(|| Problem::not_found(SCHEDULE))
}

/// When a schedule with these times fires next, Unix milliseconds.
async fn next_ms(app: &App, cron: String, timezone: String) -> Result<i64, Problem> {
    let now = app.store.now();
    // A pattern that hardly ever fits takes a while.
    let next = spawn_blocking(move || Timetable::new(&cron, &timezone).map(|timetable| timetable.next(now)));
    match next.await.map_err(|error| Problem::internal(&error))? {
        Ok(Some(next)) => Ok(unix_ms(next)),
        Ok(None) => {
            Err(Problem::fault("/cron", "never", "this never fires: there is no such day in the next forty years"))
        }
        Err(bad) => Err(Problem::fault("/cron", "invalid_cron", bad.to_string())),
    }
}

/// The request that a schedule keeps, once it is one that would be accepted now.
async fn accepted(app: &App, caller: &Caller, asked: AskedWork<'_>) -> Result<Box<RawValue>, Problem> {
    let author = Author::of(caller.viewer());
    let raw = |text: &str| RawValue::from_string(text.to_owned()).map_err(|error| Problem::internal(&error));
    let work = match asked {
        AskedWork::Task(text) => Work::task(author, raw(text)?),
        AskedWork::Workflow(text) => Work::workflow(author, raw(text)?),
    };
    work.make(app, caller.tenant(), None).await?;
    to_raw_value(&work).map_err(|error| Problem::internal(&error))
}
