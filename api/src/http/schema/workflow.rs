//! Requests of workflows, for the OpenAPI document. The engine reads definitions itself.

use super::CodeRequest;
use mecapy_model::{CacheMode, Kernels, Lane, LimitsRequest, NonFinite, Retry};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A graph of nodes, each of which is a task, a question to a person, or another workflow.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowDefinition, example = json!({
    "name": "rod",
    "inputs": {"F": {"type": "Force", "unit": "N"}, "d": {"type": "Length", "unit": "mm"}},
    "nodes": [
        {"key": "area", "code": {"language": "python", "source": "def main(d):\n    return {\"area\": 3.14159 * d**2 / 4}"},
         "inputs": {"d": {"from": "inputs.d"}}},
        {"key": "stress", "code": {"language": "python", "source": "def main(F, A):\n    return {\"stress\": F / A}"},
         "inputs": {"F": {"from": "inputs.F"}, "A": {"from": "area.area"}}, "when": "area.area > 0"}
    ],
    "outputs": {"stress": {"from": "stress.stress"}, "utilisation": {"expr": "stress.stress / 355"}}
}))]
pub struct WorkflowRequest {
    /// The tenant's own name for it.
    pub name: String,
    pub description: Option<String>,
    /// Ports as manifests have them: type, unit, required, default, description, validity.
    #[schema(value_type = Option<Object>)]
    pub inputs: Option<serde_json::Value>,
    pub nodes: Vec<NodeRequest>,
    /// Name → `{"from": reference}` or `{"expr": expression}`.
    #[schema(value_type = Option<Object>)]
    pub outputs: Option<serde_json::Value>,
    pub limits: Option<WorkflowLimits>,
}

/// Ceilings of each run.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkflowLimits {
    /// Elements of a mapped node, at most 10 000.
    pub width_max: Option<u32>,
    /// Workflows nested in one another, at most 8.
    pub depth_max: Option<u32>,
    /// Tasks and nested runs at a time.
    pub parallel_max: Option<u32>,
}

/// A node: one of `code`, `approval` and `workflow` says what it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowNode)]
pub struct NodeRequest {
    /// By which other nodes refer to it.
    pub key: String,
    /// A task's code, of any kind.
    pub code: Option<CodeRequest>,
    /// `{"message": …}`: a person is asked, and answers with `POST …/nodes/{key}/approve`.
    #[schema(value_type = Option<Object>)]
    pub approval: Option<serde_json::Value>,
    /// The id or name of a nested workflow.
    pub workflow: Option<String>,
    /// Of the nested workflow; the newest when a run starts where it is left out.
    pub version: Option<u32>,
    /// Name → a literal, `{"from": "node.field"}` or `{"expr": "…"}`.
    #[schema(value_type = Option<Object>)]
    pub inputs: Option<serde_json::Value>,
    /// File name → an upload's id, or `{"from": "node.artifacts/file"}`.
    #[schema(value_type = Option<Object>)]
    pub files: Option<serde_json::Value>,
    /// `{"over": reference, "as": name}`: one task for each element of a list; the node's output is the list of theirs.
    #[schema(value_type = Option<Object>)]
    pub map: Option<serde_json::Value>,
    /// An expression: where it is false, the node is skipped.
    pub when: Option<String>,
    /// Nodes that must have ended before, beside those that it takes values from.
    pub needs: Option<Vec<String>>,
    pub retry: Option<Retry>,
    /// From the start of an attempt to its end, waiting included.
    pub timeout_ms: Option<u64>,
    /// `fail` (when absent), `skip` or `default`.
    pub on_error: Option<String>,
    /// The node's output where it fails and `on_error` is `default`.
    #[schema(value_type = Option<Object>)]
    pub default: Option<serde_json::Value>,
    pub lane: Option<Lane>,
    #[schema(maximum = 9)]
    pub priority: Option<u8>,
    pub limits: Option<LimitsRequest>,
    pub seed: Option<u64>,
    pub non_finite: Option<NonFinite>,
    pub kernels: Option<Kernels>,
    pub cache: Option<CacheMode>,
}

/// Starts a run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowRunRequest, example = json!({"inputs": {"F": {"value": 25, "unit": "kN"}, "d": 12}}))]
pub struct RunRequest {
    /// For people; the workflow's name when absent.
    pub name: Option<String>,
    /// By the workflow's ports; a quantity may have its unit beside it.
    #[schema(value_type = Option<Object>)]
    pub inputs: Option<serde_json::Value>,
    /// The newest when absent.
    pub version: Option<u32>,
    /// The id of the study that it belongs to, with all its tasks.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub study: Option<String>,
    /// At most 32; names up to 64 characters, values up to 256.
    pub labels: Option<BTreeMap<String, String>>,
}

/// A person's answer to a node that waits for it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"approved": true, "comment": "utilisation is below 0.8"}))]
pub struct ApprovalRequest {
    pub approved: bool,
    /// Kept in the run's log with who answered; at most 2000 characters.
    pub comment: Option<String>,
}
