//! The definitions that runs go by, read once and kept for the steps that follow.

use super::{pins::Pins, signatures::Signatures};
use crate::functions::Functions;
use mecapy_model::WorkflowId;
use mecapy_store::{RunRow, Store, StoreError};
use mecapy_workflow::Definition;
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Definitions that are kept; then the memory begins anew.
const KEPT_MAX: usize = 256;
/// Their texts together, bytes; then the memory begins anew.
const KEPT_BYTES_MAX: usize = 32 << 20;

/// A version of a workflow, with the versions of what it calls.
type Key = (WorkflowId, u32, [u8; 32]);

/// What is kept of a definition.
#[derive(Debug, Clone)]
pub struct Known {
    pub definition: Arc<Definition>,
    pub pins: Arc<Pins>,
}

/// Reads definitions as their runs were started with them.
#[derive(Debug, Default)]
pub struct Definitions(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_key: HashMap<Key, Known>,
    bytes: usize,
}

/// Why there is no definition.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No later try finds it otherwise.
    #[error("{0}")]
    Gone(String),
}

impl Definitions {
    /// What a run goes by.
    ///
    /// # Errors
    /// The store fails; or the workflow is gone, or nothing that this program can read.
    pub async fn of(&self, store: &Store, functions: &Functions, run: &RunRow) -> Result<Known, Unreadable> {
        let key = (run.workflow, run.version, Sha256::digest(run.pins.get()).into());
        let known = self.lock().by_key.get(&key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let pins: Pins = serde_json::from_str(run.pins.get())
            .map_err(|error| Unreadable::Gone(format!("the run's versions can't be read: {error}")))?;
        let row = store.workflow(run.tenant, &run.workflow.to_string(), Some(run.version)).await?;
        let row = row.ok_or_else(|| Unreadable::Gone("the workflow of this run was deleted".to_owned()))?;
        let signatures = Signatures::pinned(store, functions, (run.tenant, &pins)).await?;
        let parsed = Definition::parse(&row.definition, &|callee| signatures.of(callee));
        let definition = parsed.map_err(|faults| {
            let first = faults.first().map(|fault| format!("{}: {}", fault.pointer, fault.message));
            let told = first.unwrap_or_default();
            Unreadable::Gone(format!("the workflow can't be run on this platform any more: {told}"))
        })?;
        let known = Known { definition: Arc::new(definition), pins: Arc::new(pins) };
        self.lock().keep(key, known.clone(), row.definition.len() + run.pins.get().len());
        Ok(known)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn keep(&mut self, key: Key, known: Known, bytes: usize) {
        if self.by_key.len() >= KEPT_MAX || self.bytes + bytes > KEPT_BYTES_MAX {
            *self = Self::default();
        }
        self.bytes += bytes;
        self.by_key.insert(key, known);
    }
}
