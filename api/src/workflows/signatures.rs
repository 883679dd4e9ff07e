//! What the nodes of a workflow call: the ports of published functions and of nested workflows.

use super::{
    pins::{PinnedNested, Pins},
    save::{below_node, member},
};
use crate::{
    functions::{Call, Functions},
    intake::{Intake, Rejected},
    json::Value,
    packages::FunctionReference,
};
use mecapy_model::{Fault, TenantId, ports::Signature};
use mecapy_store::{Store, StoreError};
use mecapy_workflow::{Callee, Definition};
use std::collections::HashMap;

/// A nested workflow as a node names it: its id or name, and the version.
type Nested = (String, Option<u32>);

/// The signatures that are known.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    functions: HashMap<String, Option<Signature>>,
    workflows: HashMap<Nested, Option<Signature>>,
}

impl Signatures {
    /// Those of a definition's nodes, for the caller of `intake`, and a fault for each nested workflow that is not there.
    pub(super) async fn for_nodes(intake: &Intake<'_>, nodes: &[Value<'_>]) -> Result<(Self, Vec<Fault>), Rejected> {
        let (mut found, mut faults) = (Self::default(), Vec::new());
        for (index, node) in nodes.iter().enumerate() {
            if let Some(function) = text_of(member(*node, "code").and_then(|code| member(code, "function")))
                && !found.functions.contains_key(&function)
            {
                let call = match function.parse::<FunctionReference>() {
                    Ok(reference) => intake.functions.find(intake.viewer, &reference).await?.ok(),
                    // What is wrong with it is told where the code is read.
                    Err(_) => None,
                };
                found.functions.insert(function, call.as_ref().and_then(signature_of));
            }
            let Some(workflow) = text_of(member(*node, "workflow")) else { continue };
            let version = member(*node, "version").and_then(|version| version.text().parse().ok());
            let nested = (workflow, version);
            if !found.workflows.contains_key(&nested) {
                let signature = inputs_of(intake.store, intake.tenant, &nested).await?;
                found.workflows.insert(nested.clone(), signature);
            }
            if found.workflows.get(&nested).is_some_and(Option::is_none) {
                faults.push(below_node(index, absent(&nested)));
            }
        }
        Ok((found, faults))
    }

    /// Those that a run was started with.
    pub(super) async fn pinned(
        store: &Store,
        functions: &Functions,
        (tenant, pins): (TenantId, &Pins),
    ) -> Result<Self, StoreError> {
        let mut found = Self::default();
        for (name, pinned) in &pins.functions {
            let call = functions.pinned(&pinned.function).await?;
            found.functions.insert(name.clone(), call.as_ref().and_then(signature_of));
        }
        for PinnedNested { workflow, named, pinned } in &pins.workflows {
            let exact = (pinned.id.to_string(), Some(pinned.version));
            let inputs = inputs_of(store, tenant, &exact).await?;
            found.workflows.insert((workflow.clone(), *named), inputs);
        }
        Ok(found)
    }

    /// As the engine asks for them.
    pub(super) fn of(&self, callee: Callee<'_>) -> Option<Signature> {
        match callee {
            Callee::Function(name) => self.functions.get(name).cloned().flatten(),
            Callee::Workflow { workflow, version } => {
                self.workflows.get(&(workflow.to_owned(), version)).cloned().flatten()
            }
        }
    }
}

/// The ports of a function whose manifest declares both sides: of others anything may be given, or come.
fn signature_of(call: &Call) -> Option<Signature> {
    let signature = &call.function()?.signature;
    (signature.inputs().is_some() && signature.outputs().is_some()).then(|| signature.ports.clone())
}

/// The inputs of a nested workflow. Of its own nodes nothing is looked up: it was found sound when it was saved.
async fn inputs_of(store: &Store, tenant: TenantId, nested: &Nested) -> Result<Option<Signature>, StoreError> {
    let (workflow, version) = nested;
    let Some(row) = store.workflow(tenant, workflow, *version).await? else { return Ok(None) };
    Ok(Definition::parse(&row.definition, &|_| None).ok().map(|definition| definition.signature))
}

/// The fault of a node whose nested workflow is not there.
fn absent((workflow, version): &Nested) -> Fault {
    let shown: String = workflow.chars().take(64).collect();
    match version {
        None => {
            let message = format!("there is no workflow {shown:?}: save it first, or see GET /v1/workflows");
            Fault::new("/workflow", "unknown_workflow", message)
        }
        Some(version) => {
            let message = format!("there is no version {version} of a workflow {shown:?}: see GET /v1/workflows");
            Fault::new("/version", "unknown_workflow", message)
        }
    }
}

fn text_of(value: Option<Value<'_>>) -> Option<String> {
    value?.string().map(Into::into)
}
