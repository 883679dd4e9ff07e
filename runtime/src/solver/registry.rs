//! The solvers that a process knows: its catalogue, and who understands each family of them.

use super::{Adapter, AdapterKind, Catalogue};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A catalogue with its adapters.
#[derive(Debug)]
pub struct Solvers {
    catalogue: Catalogue,
    adapters: BTreeMap<AdapterKind, Arc<dyn Adapter>>,
}

impl Solvers {
    pub fn new(catalogue: Catalogue, adapters: impl IntoIterator<Item = (AdapterKind, Arc<dyn Adapter>)>) -> Self {
        Self { catalogue, adapters: adapters.into_iter().collect() }
    }

    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Who understands the solver of this name; `None` where the catalogue has no such solver, or nobody does.
    pub fn adapter(&self, solver: &str) -> Option<Arc<dyn Adapter>> {
        self.adapters.get(&self.catalogue.solver(solver)?.adapter).cloned()
    }
}
