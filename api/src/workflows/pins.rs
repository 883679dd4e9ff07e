//! What a run keeps to, from its start to its end: the version of each published function and nested workflow.

use crate::{
    functions::Missing,
    intake::{Intake, Rejected},
    packages::FunctionReference,
};
use mecapy_model::{Code, Digest, Fault, WorkflowId};
use mecapy_workflow::{Definition, Node, NodeKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Nested workflows that one run may come to, one in another.
const NESTED_MAX: usize = 200;

/// The versions of a run, and of the runs nested in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pins {
    /// By the name that nodes use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub functions: BTreeMap<String, PinnedFunction>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workflows: Vec<PinnedNested>,
}

/// What a node's nested workflow is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PinnedNested {
    /// Its id or name, as the node has it.
    pub workflow: String,
    /// The version that the node names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<u32>,
    #[serde(flatten)]
    pub pinned: PinnedWorkflow,
}

/// A function in one version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PinnedFunction {
    /// `owner/package@1.2.0#name`
    pub function: String,
    /// Of the package's files.
    pub package: Digest,
}

/// A workflow in one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PinnedWorkflow {
    pub id: WorkflowId,
    pub version: u32,
}

impl Pins {
    /// Finds all that a run of `workflow` comes to, for the caller of `intake`.
    ///
    /// # Errors
    /// A function or nested workflow that is gone since the workflow was saved, or may not be seen by this caller; a
    /// workflow that contains itself.
    pub async fn find(
        intake: &Intake<'_>,
        workflow: PinnedWorkflow,
        definition: &Definition,
    ) -> Result<Self, Rejected> {
        let (mut pins, mut contains) = (Self::default(), BTreeMap::new());
        let mut ahead = VecDeque::from([(workflow, None)]);
        while let Some((of, nested)) = ahead.pop_front() {
            let nested: Option<Definition> = nested;
            let definition = nested.as_ref().unwrap_or(definition);
            let mut inner = BTreeSet::new();
            for node in &definition.nodes {
                if let Some((pinned, nested)) = pins.pin(intake, node).await? {
                    inner.insert(pinned);
                    if !contains.contains_key(&pinned) && !ahead.iter().any(|(known, _)| *known == pinned) {
                        ahead.push_back((pinned, Some(nested)));
                    }
                }
            }
            contains.insert(of, inner);
            if contains.len() + ahead.len() > NESTED_MAX {
                return Err(refused("too_many", format!("more than {NESTED_MAX} workflows are nested in this one")));
            }
        }
        if has_a_circle(&contains) {
            return Err(refused("cycle", "a workflow that is nested in this one contains itself".to_owned()));
        }
        Ok(pins)
    }

    /// Pins what a node calls; answers the nested workflow where it is one.
    async fn pin(
        &mut self,
        intake: &Intake<'_>,
        node: &Node,
    ) -> Result<Option<(PinnedWorkflow, Definition)>, Rejected> {
        match &node.kind {
            NodeKind::Task { function: Some(name), .. } => {
                if !self.functions.contains_key(name) {
                    let pinned = function(intake, name).await?;
                    self.functions.insert(name.clone(), pinned);
                }
                Ok(None)
            }
            NodeKind::Workflow { workflow, version } => {
                let gone = || refused("unknown_workflow", format!("the workflow {workflow} is not there any more"));
                let row = intake.store.workflow(intake.tenant, workflow, *version).await?.ok_or_else(gone)?;
                let pinned = PinnedWorkflow { id: row.id, version: row.version };
                if self.workflow(workflow, *version).is_none() {
                    self.workflows.push(PinnedNested { workflow: workflow.clone(), named: *version, pinned });
                }
                let parsed = Definition::parse(&row.definition, &|_| None).map_err(Rejected::Invalid)?;
                Ok(Some((pinned, parsed)))
            }
            NodeKind::Task { function: None, .. } | NodeKind::Approval { .. } => Ok(None),
        }
    }

    /// The version of a nested workflow.
    pub fn workflow(&self, workflow: &str, named: Option<u32>) -> Option<PinnedWorkflow> {
        let found = self.workflows.iter().find(|nested| nested.workflow == workflow && nested.named == named);
        found.map(|nested| nested.pinned)
    }
}

async fn function(intake: &Intake<'_>, name: &str) -> Result<PinnedFunction, Rejected> {
    let reference: FunctionReference =
        name.parse().map_err(|invalid: crate::packages::Invalid| refused("invalid", invalid.to_string()))?;
    let found = intake.functions.find(intake.viewer, &reference).await?;
    let call = found.map_err(|missing: Missing| refused("unknown_function", missing.to_string()))?;
    match call.code() {
        Some(Code::Function { function, package }) => Ok(PinnedFunction { function, package }),
        _ => Err(refused("unknown_function", format!("the function {name} is not in its package"))),
    }
}

fn refused(code: &str, message: String) -> Rejected {
    Rejected::Invalid(vec![Fault::new("", code, message)])
}

/// Whether somebody among these contains itself.
fn has_a_circle(contains: &BTreeMap<PinnedWorkflow, BTreeSet<PinnedWorkflow>>) -> bool {
    // Whoever contains nobody that is left is no part of a circle.
    let mut left = contains.clone();
    loop {
        let open: BTreeSet<PinnedWorkflow> = left.keys().copied().collect();
        let before = left.len();
        left.retain(|_, inner| inner.iter().any(|nested| open.contains(nested)));
        match left.len() {
            0 => return false,
            now if now == before => return true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_read_as_they_were_written() {
        let id = WorkflowId::from_parts(1, &[1; 10]);
        let mut pins = Pins::default();
        for (named, version) in [(None, 9), (Some(3), 3)] {
            let pinned = PinnedWorkflow { id, version };
            pins.workflows.push(PinnedNested { workflow: "truss".to_owned(), named, pinned });
        }
        let package = Digest([7; 32]);
        let function = "acme/joint@1.2.0#preload".to_owned();
        pins.functions.insert("acme/joint#preload".to_owned(), PinnedFunction { function, package });
        let text = serde_json::to_string(&pins).unwrap();
        assert_eq!(serde_json::from_str::<Pins>(&text).unwrap(), pins);
        assert_eq!(serde_json::from_str::<Pins>("{}").unwrap(), Pins::default());
        assert_eq!(pins.workflow("truss", None).map(|pinned| pinned.version), Some(9));
        assert_eq!(pins.workflow("truss", Some(3)).map(|pinned| pinned.version), Some(3));
        assert_eq!(pins.workflow("truss", Some(4)), None);
    }

    #[test]
    fn a_circle_is_found_and_a_diamond_is_none() {
        let workflow = |number: u32| PinnedWorkflow { id: WorkflowId::from_parts(1, &[1; 10]), version: number };
        let graph = |edges: &[(u32, &[u32])]| {
            edges
                .iter()
                .map(|(from, to)| (workflow(*from), to.iter().map(|to| workflow(*to)).collect::<BTreeSet<_>>()))
                .collect::<BTreeMap<_, _>>()
        };
        assert!(!has_a_circle(&graph(&[(1, &[2, 3]), (2, &[4]), (3, &[4]), (4, &[])])));
        assert!(has_a_circle(&graph(&[(1, &[2]), (2, &[3]), (3, &[2])])));
        assert!(has_a_circle(&graph(&[(1, &[1])])));
        assert!(!has_a_circle(&graph(&[(1, &[])])));
    }
}
