//! `mecapy schedule list` and `show`.

use crate::{
    client::{Firing, Listed, ScheduleAnswer},
    commands::{
        connection::connect,
        exit::Exit,
        listing::{self, PageFlags, minute},
        terminal::{Format, Painter, Style, Terminal, aligned, neutralise_line, result_lines, summary},
    },
    config::ClientFlags,
};
use anyhow::Result;
use mecapy_model::ScheduleId;

/// List your schedules, newest first
#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    page: PageFlags,
}

/// Show a schedule, its next times, and what its last ones started
#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    /// The schedule's id, as `schedule create` printed it
    id: ScheduleId,
    #[command(flatten)]
    client: ClientFlags,
}

pub(super) async fn list(arguments: ListArguments, terminal: &Terminal) -> Result<Exit> {
    listing::list((Listed::Schedules, &[]), &arguments.page, terminal, |found| table(found, terminal.out)).await
}

pub(super) async fn show(arguments: ShowArguments, terminal: &Terminal) -> Result<Exit> {
    let client = connect(&arguments.client)?;
    let schedule = client.schedule(arguments.id).await?;
    if terminal.format == Format::Json {
        terminal.print(schedule.text.get());
        return Ok(Exit::Completed);
    }
    let firings = client.firings(arguments.id).await?;
    let schedule = &schedule.value;
    table(std::slice::from_ref(schedule), terminal.out).iter().for_each(|line| terminal.print(line));
    terminal.print(&format!(
        "missed: {}, overlap: {}",
        neutralise_line(&schedule.missed),
        neutralise_line(&schedule.overlap)
    ));
    terminal.print(&next(schedule));
    for (what, work) in [("task", &schedule.task), ("workflow", &schedule.workflow)] {
        let Some(work) = work.as_deref() else { continue };
        terminal.print(&terminal.out.paint(Style::Bold, what));
        result_lines(work, terminal.out, terminal.columns).iter().for_each(|line| terminal.print(&format!("  {line}")));
    }
    if !firings.is_empty() {
        terminal.print("");
        history(&firings, terminal.out).iter().for_each(|line| terminal.print(line));
    }
    Ok(Exit::Completed)
}

/// When it fires next, in words.
pub(super) fn next(schedule: &ScheduleAnswer) -> String {
    if schedule.paused {
        return "paused: it fires when `mecapy schedule run` asks it to".to_owned();
    }
    let times: Vec<_> = schedule.next.iter().map(|time| minute(time)).collect();
    match times.as_slice() {
        [] => "it does not fire any more".to_owned(),
        times => format!("next at {} UTC", times.join(", ")),
    }
}

fn table(schedules: &[ScheduleAnswer], painter: Painter) -> Vec<String> {
    let row = |schedule: &ScheduleAnswer| {
        let next = schedule.next.first().map(|time| minute(time)).unwrap_or_default();
        [
            schedule.id.to_string(),
            neutralise_line(&schedule.cron),
            neutralise_line(&schedule.timezone),
            if schedule.paused { "paused".to_owned() } else { next },
            schedule.name.as_deref().map(summary).unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = schedules.iter().map(row).collect();
    aligned(["SCHEDULE", "CRON", "ZONE", "NEXT (UTC)", "NAME"], &rows, painter)
}

fn history(firings: &[Firing], painter: Painter) -> Vec<String> {
    let row = |firing: &Firing| {
        let task = firing.task.map(|task| format!("task {task}"));
        let run = firing.workflow_run.map(|run| format!("run {run}"));
        let note = firing.note.as_deref().map(summary).unwrap_or_default();
        [minute(&firing.due_at), task.or(run).unwrap_or_default(), note]
    };
    aligned(["WAS DUE (UTC)", "STARTED", "NOTE"], &firings.iter().map(row).collect::<Vec<_>>(), painter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_say_when_they_fire_next_and_what_they_did() {
        let schedule = r#"{"id":"018bcfe5-6800-7707-8707-070707070707","name":"nightly","cron":"0 2 * * *","timezone":"Europe/Paris",
            "missed":"skip","overlap":"skip","paused":false,"next":["2026-01-02T01:00:00Z","2026-01-03T01:00:00Z"],
            "last_task":null,"last_workflow_run":null,"busy":false}"#;
        let mut schedule: ScheduleAnswer = serde_json::from_str(schedule).unwrap();
        let expected = [
            "SCHEDULE                              CRON       ZONE          NEXT (UTC)        NAME",
            "018bcfe5-6800-7707-8707-070707070707  0 2 * * *  Europe/Paris  2026-01-02 01:00  nightly",
        ];
        assert_eq!(table(std::slice::from_ref(&schedule), Painter::Plain), expected);
        assert_eq!(next(&schedule), "next at 2026-01-02 01:00, 2026-01-03 01:00 UTC");
        schedule.paused = true;
        assert!(next(&schedule).starts_with("paused"));
        let firings = r#"[{"due_at":"2026-01-01T01:00:00Z","fired_at":"2026-01-01T01:00:00Z","task":null,"workflow_run":null,
            "note":"missed: no worker was there"}]"#;
        let lines = history(&serde_json::from_str::<Vec<_>>(firings).unwrap(), Painter::Plain);
        assert_eq!(lines[1], "2026-01-01 01:00           missed: no worker was there");
    }
}
