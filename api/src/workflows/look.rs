//! A run as somebody looks at it: its log read to the end, and what it folds to.

use super::definitions::{Definitions, Unreadable};
use crate::functions::Functions;
use mecapy_store::{RunEvent, RunRow, Store, StoreError};
use mecapy_workflow::{Entry, Run};
use std::sync::Arc;

/// Events that are read for one look; a longer log is no log of ours.
const EVENTS_MAX: usize = 1_000_000;

/// A run's log, as far as it went when it was read.
#[derive(Debug)]
pub struct Looked {
    /// With the number of each.
    pub log: Vec<(u64, Entry)>,
    pub run: Run,
}

/// Reads a run's log and folds it.
///
/// # Errors
/// The store fails; or the workflow is gone, or the log can't be read.
pub async fn look(
    store: &Store,
    (functions, definitions): (&Functions, &Definitions),
    row: &RunRow,
) -> Result<Looked, Unreadable> {
    let known = definitions.of(store, functions, row).await?;
    let log = log_of(store, row).await?;
    let run = Run::fold(Arc::clone(&known.definition), log.iter().map(|(_, entry)| entry.clone()));
    let run = run.map_err(|error| Unreadable::Gone(format!("the run's log can't be read: {error}")))?;
    Ok(Looked { log, run })
}

/// The whole log of a run.
///
/// # Errors
/// The store fails, or holds what is no log.
pub async fn log_of(store: &Store, row: &RunRow) -> Result<Vec<(u64, Entry)>, StoreError> {
    let mut log: Vec<(u64, Entry)> = Vec::new();
    while log.len() < EVENTS_MAX {
        let after = log.last().map_or(0, |(seq, _)| *seq);
        let page = store.run_events(row.tenant, row.id, after).await?;
        if page.is_empty() {
            break;
        }
        for event in page {
            log.push((event.seq, entry_of(&event)?));
        }
    }
    Ok(log)
}

/// An event as the engine reads it.
///
/// # Errors
/// It is none.
pub fn entry_of(event: &RunEvent) -> Result<Entry, StoreError> {
    let corrupt = |error: serde_json::Error| StoreError::Corrupt { what: format!("an event of a run: {error}") };
    serde_json::from_str(event.body.get()).map_err(corrupt)
}
