//! What the nodes of a workflow call: the ports of published functions and of nested workflows.

use super::{
    definitions::Unreadable,
    pins::{PinnedFunction, PinnedNested, Pins},
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
                if call.as_ref().is_some_and(loses_units) {
                    faults.push(below_node(index, half_declared(&function)));
                }
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

    /// Those that a run was started with, all of them: without one, values would go along an edge in the wrong unit.
    ///
    /// # Errors
    /// One of them is gone, or another than it was.
    pub(super) async fn pinned(
        store: &Store,
        functions: &Functions,
        (tenant, pins): (TenantId, &Pins),
    ) -> Result<Self, Unreadable> {
        let mut found = Self::default();
        for (name, PinnedFunction { function, package }) in &pins.functions {
            let call = functions.pinned(function).await?;
            let call = call.filter(|call| call.published().row.digest == *package);
            let call = call.ok_or_else(|| Unreadable::Gone(format!("there is no function {function} any more")))?;
            if loses_units(&call) {
                return Err(Unreadable::Gone(half_declared(function).message));
            }
            found.functions.insert(name.clone(), signature_of(&call));
        }
        for PinnedNested { workflow, named, pinned } in &pins.workflows {
            let exact = (pinned.id.to_string(), Some(pinned.version));
            let inputs = inputs_of(store, tenant, &exact).await?;
            let gone =
                || Unreadable::Gone(format!("the workflow {workflow}, which is nested in this one, was deleted"));
            found.workflows.insert((workflow.clone(), *named), Some(inputs.ok_or_else(gone)?));
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

/// The ports of a function whose manifest declares its inputs: of others any may be given. Where it declares no outputs,
/// any may come.
fn signature_of(call: &Call) -> Option<Signature> {
    let signature = &call.function()?.signature;
    signature.inputs().map(|_| signature.ports.clone())
}

/// Whether a function's outputs have units that nothing could follow.
fn loses_units(call: &Call) -> bool {
    let signature = call.function().map(|function| &function.signature);
    signature.is_some_and(|signature| signature.inputs().is_none() && signature.outputs().is_some())
}

/// The fault of a node that calls such a function.
fn half_declared(function: &str) -> Fault {
    let message = format!(
        "{function} declares its outputs and not its inputs, so that units can't be followed along the edges: declare \
         both in its manifest"
    );
    Fault::new("/code/function", "half_declared", message)
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
