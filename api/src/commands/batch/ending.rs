//! How a batch ended: its first and last rows, what its numbers are like, and its errors put together.

use super::rows;
use crate::{
    client::{BatchAnswer, Client, ClientError, FieldSummary, ItemRow, Of, SummaryAnswer},
    commands::{
        exit::Exit,
        report::show_warnings,
        tables::{PlotFile, TableFormat, save_table},
        terminal::{Format, Style, Terminal, aligned, count, neutralise_line, significant, summary},
    },
};
use anyhow::Result;
use mecapy_model::{BatchId, BatchState};
use serde::Serialize;
use serde_json::value::RawValue;
use std::path::PathBuf;

/// Rows that are shown of the beginning, and of the end.
const ROWS_SHOWN: usize = 5;
/// Of a larger batch only the beginning is shown: its end is reached through all of it.
const ITEMS_READ_MAX: u64 = 1_000;
/// Different errors that are told.
const ERRORS_SHOWN: usize = 8;
/// Different errors that are counted apart.
const ERRORS_KEPT: usize = 1_000;

/// What is made of a batch that has ended.
#[derive(Debug, Default)]
pub(in crate::commands) struct Wanted {
    pub out: Option<(TableFormat, PathBuf)>,
    pub plot: Option<PlotFile>,
    /// Items that failed are a failure.
    pub strict: bool,
}

/// The same error of many items.
#[derive(Debug, Serialize)]
struct ErrorGroup {
    count: u64,
    kind: String,
    message: String,
    /// The first item that has it.
    first: u64,
}

#[derive(Serialize)]
struct Document<'a> {
    batch: &'a RawValue,
    summary: &'a RawValue,
    errors: &'a [ErrorGroup],
}

/// Shows a batch that has ended and makes what is wanted of it.
pub(in crate::commands) async fn show_ending(
    client: &Client,
    id: BatchId,
    wanted: &Wanted,
    terminal: &Terminal,
) -> Result<Exit> {
    let bar = terminal.spinner();
    bar.set_message("summing up");
    let (batch, gathered) = (client.batch(id).await, client.batch_summary(id).await);
    bar.finish_and_clear();
    let (batch, gathered) = (batch?, gathered?);
    let failed = batch.value.counts.failed;
    let errors = if failed > 0 { errors(client, id).await? } else { Vec::new() };
    match terminal.format {
        Format::Json => {
            terminal.print_json(&Document { batch: &batch.text, summary: &gathered.text, errors: &errors });
        }
        Format::Human => {
            show_warnings(&batch.value.warnings, None, terminal);
            show_rows(client, &batch.value, terminal).await?;
            show_fields(&gathered.value, terminal);
            show_errors(&errors, terminal);
            terminal.note(&standing(&batch.value, terminal));
        }
    }
    if let Some((format, path)) = &wanted.out {
        save_table(client, Of::Batch(id), (*format, None), Some(path), terminal).await?;
    }
    if let Some(plot) = &wanted.plot {
        plot.named(&inputs(client, id).await?).save(client, Of::Batch(id), terminal).await?;
    }
    Ok(exit(&batch.value, wanted.strict))
}

/// What the process ends with.
fn exit(batch: &BatchAnswer, strict: bool) -> Exit {
    match batch.state {
        BatchState::Failed => Exit::Failed,
        BatchState::Cancelled => Exit::Cancelled,
        _ if strict && batch.counts.failed > 0 => Exit::Failed,
        _ => Exit::Completed,
    }
}

/// The names of the inputs of a batch's first item.
pub(in crate::commands) async fn inputs(client: &Client, id: BatchId) -> Result<Vec<String>, ClientError> {
    let first = client.first_items(id, 1).await?;
    let members = first.first().and_then(|item| crate::commands::terminal::object_members(item.inputs.get()).ok());
    Ok(members.unwrap_or_default().into_iter().map(|(name, _)| name).collect())
}

async fn show_rows(client: &Client, batch: &BatchAnswer, terminal: &Terminal) -> Result<()> {
    let total = batch.counts.total;
    let is_whole = total <= ITEMS_READ_MAX;
    let limit = if is_whole { usize::try_from(total).unwrap_or(ROWS_SHOWN) } else { 2 * ROWS_SHOWN };
    let items = client.first_items(batch.id, limit.max(1)).await?;
    // A page of long results is shorter than was asked for.
    let has_end = is_whole && items.len() as u64 == total;
    let mut shown: Vec<Option<&ItemRow>> = Vec::new();
    if items.len() <= 2 * ROWS_SHOWN {
        shown.extend(items.iter().map(Some));
    } else {
        shown.extend(items.iter().take(ROWS_SHOWN).map(Some));
        shown.push(None);
        shown.extend(items.iter().skip(items.len().saturating_sub(ROWS_SHOWN)).map(Some));
    }
    if !has_end {
        shown.push(None);
    }
    for line in rows::lines(&shown, terminal.columns, terminal.out) {
        terminal.print(&line);
    }
    Ok(())
}

fn show_fields(gathered: &SummaryAnswer, terminal: &Terminal) {
    if gathered.fields.is_empty() {
        return;
    }
    let row = |field: &FieldSummary| {
        let at = |number: f64, index: u64| format!("{} (#{index})", significant(number));
        [
            summary(field.field.strip_prefix("result.").unwrap_or(&field.field)),
            at(field.min, field.min_index),
            at(field.max, field.max_index),
            significant(field.mean),
            field.std.map_or_else(String::new, significant),
            count(field.count),
        ]
    };
    terminal.print("");
    let rows: Vec<_> = gathered.fields.iter().map(row).collect();
    for line in aligned(["RESULT", "MIN", "MAX", "MEAN", "STD", "ITEMS"], &rows, terminal.out) {
        terminal.print(&line);
    }
}

/// The errors of all items that failed, most frequent first.
async fn errors(client: &Client, id: BatchId) -> Result<Vec<ErrorGroup>> {
    let mut groups: Vec<ErrorGroup> = Vec::new();
    let mut line: Vec<u8> = Vec::new();
    client
        .table(Of::Batch(id), ("ndjson", Some("failed")), |chunk| {
            for byte in chunk {
                if *byte == b'\n' {
                    add(&mut groups, &line);
                    line.clear();
                } else {
                    line.push(*byte);
                }
            }
            Ok(())
        })
        .await?;
    add(&mut groups, &line);
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    Ok(groups)
}

fn add(groups: &mut Vec<ErrorGroup>, line: &[u8]) {
    let Ok(ItemRow { index, error: Some(error), .. }) = serde_json::from_slice::<ItemRow>(line) else { return };
    let is_full = groups.len() >= ERRORS_KEPT;
    match groups.iter_mut().find(|group| group.kind == error.kind && group.message == error.message) {
        Some(group) => group.count += 1,
        None if is_full => {}
        None => groups.push(ErrorGroup { count: 1, kind: error.kind, message: error.message, first: index }),
    }
}

fn show_errors(errors: &[ErrorGroup], terminal: &Terminal) {
    for ErrorGroup { count, kind, message, first } in errors.iter().take(ERRORS_SHOWN) {
        let word = terminal.err.paint(Style::Red, &format!("{count} × {}", neutralise_line(kind)));
        terminal.note(&format!("{word}: {} (first #{first})", summary(message)));
    }
    let rest = errors.iter().skip(ERRORS_SHOWN);
    let (kinds, items) = rest.fold((0, 0), |(kinds, items), group| (kinds + 1, items + group.count));
    if kinds > 0 {
        terminal.note(&terminal.err.paint(Style::Dim, &format!("… and {kinds} other errors of {items} items")));
    }
}

/// One line that says how it ended.
fn standing(batch: &BatchAnswer, terminal: &Terminal) -> String {
    let counts = batch.counts;
    let style = match batch.state {
        BatchState::Completed if counts.failed == 0 => Style::Green,
        BatchState::Failed => Style::Red,
        _ => Style::Yellow,
    };
    let mut parts = vec![format!("{} of {} items completed", counts.completed, counts.total)];
    for (number, what) in [(counts.failed, "failed"), (counts.cancelled, "were cancelled")] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    let again = if counts.completed < counts.total {
        format!("; `mecapy batches retry {}` runs those again that did not complete", batch.id)
    } else {
        String::new()
    };
    format!("{}: {}{again}", terminal.err.paint(style, batch.state.as_str()), parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(state: &str, failed: u64) -> BatchAnswer {
        let text = format!(
            r#"{{"id":"018bcfe5-6800-7707-8707-070707070707","state":"{state}","total":10,"completed":{},"failed":{failed},
                "created_at":"2026-01-01T00:00:00Z"}}"#,
            10 - failed
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn items_that_fail_are_a_failure_where_they_are_to_be() {
        let rows = [
            ("completed", 0, true, Exit::Completed),
            ("completed", 2, false, Exit::Completed),
            ("completed", 2, true, Exit::Failed),
            ("failed", 1, false, Exit::Failed),
            ("cancelled", 0, false, Exit::Cancelled),
        ];
        for (state, failed, strict, expected) in rows {
            assert_eq!(exit(&batch(state, failed), strict), expected, "{state} {failed} {strict}");
        }
    }

    #[test]
    fn the_same_error_is_told_once() {
        let mut groups = Vec::new();
        for (index, message) in [(3, "too thin"), (7, "too long"), (9, "too thin")] {
            let line = format!(
                r#"{{"index":{index},"state":"failed","inputs":{{}},"result":null,"error":{{"kind":"exception","message":"{message}"}}}}"#
            );
            add(&mut groups, line.as_bytes());
        }
        add(&mut groups, b"");
        let found: Vec<_> = groups.iter().map(|group| (group.count, group.message.as_str(), group.first)).collect();
        assert_eq!(found, [(2, "too thin", 3), (1, "too long", 7)]);
    }

    #[test]
    fn the_last_line_says_what_to_do() {
        let terminal = Terminal::new(Format::Json);
        assert_eq!(standing(&batch("completed", 0), &terminal), "completed: 10 of 10 items completed");
        let mended = standing(&batch("completed", 2), &terminal);
        assert!(mended.starts_with("completed: 8 of 10 items completed, 2 failed; `mecapy batches retry "), "{mended}");
    }
}
