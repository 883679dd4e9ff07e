//! What requests look like, for the OpenAPI document. Bodies are read by `intake`, which a test holds to these.

pub mod study;
pub mod workflow;

use mecapy_model::{CacheMode, Isolation, Kernels, Lane, LimitsRequest, NonFinite, OnItemError, Retry};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What to run.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Code)]
pub enum CodeRequest {
    /// In a sandbox.
    Language(LanguageRequest),
    /// A published function.
    Function(FunctionRequest),
    /// In a container, as a task alone.
    Solver(SolverRequest),
}

/// A function of a package, with checked inputs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FunctionCode, example = json!({"function": "acme/bolted-joint@1.2.0#preload"}))]
pub struct FunctionRequest {
    /// `owner/package@1.2.0#name`; the version may be left out: the newest that isn't yanked. A task keeps the version.
    pub function: String,
}

/// A solver of `GET /v1/solvers`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SolverCode, example = json!({"solver": "calculix", "version": "2.20"}))]
pub struct SolverRequest {
    pub solver: String,
    /// The solver's default version when absent.
    pub version: Option<String>,
    /// File name in the work folder → upload id; together with the task's `files`, no name twice.
    pub files: Option<BTreeMap<String, String>>,
}

/// Code in a language, or compiled from one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "language", rename_all = "snake_case")]
#[schema(as = LanguageCode)]
pub enum LanguageRequest {
    /// Inline Python. If the source defines `main` (or `entry`), it is called with the inputs as keyword arguments and
    /// what it returns is the result; if not, the source runs as a script with the dict `inputs` defined, and what it
    /// binds to `result` is the result.
    Python {
        /// At most 1 MiB.
        source: String,
        /// The function to call instead of `main`.
        entry: Option<String>,
    },
    /// An uploaded WASI command module: the inputs as one JSON document on stdin, the result as one on stdout. Or an
    /// uploaded component of the world `mecapy:task`, whose `run` takes and returns them as texts.
    Wasm {
        /// The module's SHA-256, as `POST /v1/modules` answered it.
        module: String,
    },
    /// A whole program in C (C17, one file; `mecapy.h` is there) that is compiled to a WASI module, called as such a
    /// module is. The same source is compiled once.
    C {
        /// At most 1 MiB.
        source: String,
    },
    /// The same in Rust (edition 2024; `mecapy_task`, `serde` and `serde_json` are there).
    Rust {
        /// At most 1 MiB.
        source: String,
    },
}

/// A computation that is wanted at once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "code": {"language": "python", "source": "def main(d, F):\n    return {\"stress\": F / (3.14159 * d**2 / 4)}"},
    "inputs": {"d": 12.0, "F": 25000.0}
}))]
pub struct PreviewRequest {
    pub code: CodeRequest,
    /// Keyword arguments of the called function. Numbers cross exactly, as text.
    #[schema(value_type = Object)]
    pub inputs: Option<serde_json::Value>,
    /// File name under `/work/in` → upload id.
    pub files: Option<BTreeMap<String, String>>,
    pub limits: Option<LimitsRequest>,
    /// Feeds every source of randomness; chosen and echoed when absent. At most 2^53 − 1.
    pub seed: Option<u64>,
    pub non_finite: Option<NonFinite>,
    /// What computes linear algebra; `native` when absent.
    pub kernels: Option<Kernels>,
}

/// A computation that is queued.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "M12 joint", "code": {"language": "python", "source": "def main(d):\n    return {\"area\": 3.14159 * d**2 / 4}"},
    "inputs": {"d": 12.0}, "lane": "default", "priority": 5, "labels": {"project": "A320"}, "seed": 42
}))]
pub struct TaskRequest {
    /// For people, at most 200 characters.
    pub name: Option<String>,
    pub code: CodeRequest,
    /// Keyword arguments of the called function. Numbers cross exactly, as text.
    #[schema(value_type = Object)]
    pub inputs: Option<serde_json::Value>,
    /// File name under `/work/in` → upload id.
    pub files: Option<BTreeMap<String, String>>,
    /// Left out: follows from the timeout.
    pub lane: Option<Lane>,
    /// From 0 (last) to 9 (first); 5 when absent.
    #[schema(maximum = 9)]
    pub priority: Option<u8>,
    pub limits: Option<LimitsRequest>,
    pub retry: Option<Retry>,
    /// At most 32; names up to 64 characters, values up to 256.
    pub labels: Option<BTreeMap<String, String>>,
    /// Feeds every source of randomness; chosen and echoed when absent. At most 2^53 − 1.
    pub seed: Option<u64>,
    pub non_finite: Option<NonFinite>,
    /// What computes linear algebra; `native` when absent.
    pub kernels: Option<Kernels>,
    /// Not before this time, at most a year ahead.
    #[schema(format = DateTime)]
    pub run_at: Option<String>,
    /// The id of the study that it belongs to.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub study: Option<String>,
    /// Whether an earlier result of the same computation may stand for it; `off` when absent. Failures never do.
    pub cache: Option<CacheMode>,
    /// Told when the task has ended, beside the tenant's webhooks; signed with the tenant's secret for tasks.
    pub webhook: Option<TaskWebhook>,
}

/// One computation for many inputs: either `items` or a `sweep`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "M8 to M12", "code": {"language": "python", "source": "def main(d, F):\n    return {\"stress\": F / (3.14159 * d**2 / 4)}"},
    "sweep": {"d": [8, 10, 12], "F": {"from": 0, "to": 50000, "count": 51}}, "isolation": "item", "on_error": "continue"
}))]
pub struct BatchRequest {
    /// For people, at most 200 characters.
    pub name: Option<String>,
    /// A language or a function; a solver's run is a task of its own.
    pub code: CodeRequest,
    /// Explicit items, 1 to 100 000.
    pub items: Option<Vec<ItemRequest>>,
    /// What varies, by input: an array of values; `{"from", "to", "count"}`, both ends among them, with `"scale": "log"`
    /// at equal ratios; `{"from", "to", "step"}`; or `{"random": {"distribution": "uniform", "low", "high"}}`, `"normal"`
    /// or `"lognormal"` with `"mean"` and `"std"`. 100 000 items in all.
    #[schema(value_type = Option<Object>)]
    pub sweep: Option<serde_json::Value>,
    /// `grid` (when absent): each value with each, the last input fastest; `zip`: side by side; `random` and `lhs` (Latin
    /// hypercube): `samples` draws by the seed.
    pub mode: Option<String>,
    /// Items of the modes `random` and `lhs`.
    pub samples: Option<u32>,
    /// Inputs that every item has. An explicit item's own value goes before them.
    #[schema(value_type = Option<Object>)]
    pub inputs: Option<serde_json::Value>,
    /// File name under `/work/in` → upload id, for every item.
    pub files: Option<BTreeMap<String, String>>,
    pub isolation: Option<Isolation>,
    pub on_error: Option<OnItemError>,
    /// `reject` (when absent): an item whose inputs don't fit refuses the batch; `record`: it ends with an error of its
    /// own.
    pub invalid_items: Option<String>,
    /// `default` or `long_running`. Left out: follows from the timeout.
    pub lane: Option<Lane>,
    /// From 0 (last) to 9 (first); 5 when absent.
    #[schema(maximum = 9)]
    pub priority: Option<u8>,
    /// Of each item.
    pub limits: Option<LimitsRequest>,
    /// At most 32; names up to 64 characters, values up to 256.
    pub labels: Option<BTreeMap<String, String>>,
    /// Item `i` has this plus `i`; chosen and echoed when absent. At most 2^53 − 1.
    pub seed: Option<u64>,
    pub non_finite: Option<NonFinite>,
    /// What computes linear algebra; `native` when absent.
    pub kernels: Option<Kernels>,
    /// The id of the study that it belongs to.
    pub study: Option<String>,
}

/// One set of inputs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"inputs": {"d": 8.0, "F": 25000.0}}))]
pub struct ItemRequest {
    #[schema(value_type = Object)]
    pub inputs: serde_json::Value,
}

/// Where a task's end is told.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskWebhook {
    /// https, and a public address; at most 2048 bytes.
    pub url: String,
}

/// Asks for a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"url": "https://hooks.example.com/mecapy", "events": ["task.completed", "task.failed"]}))]
pub struct WebhookRequest {
    /// https, and a public address; at most 2048 bytes.
    pub url: String,
    /// Of `task.completed`, `task.failed` and `task.cancelled`, and the same of `batch` and `workflow_run`.
    pub events: Vec<String>,
}

/// What to change of a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"state": "enabled"}))]
pub struct WebhookChangeRequest {
    /// https, and a public address; at most 2048 bytes.
    pub url: Option<String>,
    /// Of `task.completed`, `task.failed` and `task.cancelled`, and the same of `batch` and `workflow_run`.
    pub events: Option<Vec<String>>,
    /// `enabled` or `disabled`
    pub state: Option<String>,
}

/// Asks where to PUT a file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"name": "mesh.med", "content_type": "application/octet-stream", "size_bytes": 1048576}))]
pub struct UploadRequest {
    pub name: Option<String>,
    pub content_type: Option<String>,
    /// The size of the file: a larger one is refused, and where an object store takes it any other.
    pub size_bytes: Option<u64>,
}

/// A file, as a form sends it.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadForm {
    /// The one file of the form.
    #[schema(format = Binary)]
    pub file: String,
}

/// Asks for an API key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"name": "notebook", "role": "engineer", "expires_at": "2027-01-01T00:00:00Z"}))]
pub struct ApiKeyRequest {
    /// For people, 1 to 100 characters.
    pub name: String,
    /// `admin` (keys too), `author` (publishes), `engineer` (when absent) or `viewer` (reads only).
    pub role: Option<String>,
    /// Of what the role may do, this alone: of `read`, `compute`, `publish` and `admin`. Left out: all of it, as far as
    /// the key's maker may.
    pub scopes: Option<Vec<String>>,
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
}

/// Asks for a tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"name": "acme"}))]
pub struct TenantRequest {
    /// Access tokens name the tenant by this; 1 to 100 characters, and no other tenant's.
    pub name: String,
}

/// Changes a tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"access": "disabled"}))]
pub struct TenantChange {
    /// `enabled` or `disabled`.
    pub access: String,
}

/// A tenant's own limits. What is left out or null is the server's.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"running_max": 8, "queued_max": 1000, "fuel_per_day_max": 86_400_000_000_000_u64,
    "storage_bytes_max": 10_737_418_240_u64, "requests_per_second_max": 100}))]
pub struct QuotaRequest {
    /// Tasks that run at once, over all lanes.
    pub running_max: Option<u32>,
    /// Tasks that are queued at once, over all lanes.
    pub queued_max: Option<u32>,
    /// Fuel of tasks and previews from midnight to midnight, UTC.
    pub fuel_per_day_max: Option<u64>,
    /// Bytes of uploads, modules, packages and artifacts together.
    pub storage_bytes_max: Option<u64>,
    /// Requests a second of all credentials together, over a second's burst.
    #[schema(minimum = 1)]
    pub requests_per_second_max: Option<u32>,
}

/// A call of a function.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"payload": {"size": "M12", "strength_class": "8.8"}}))]
pub struct ExecuteRequest {
    /// Inputs by the names of their ports; a quantity may have its unit beside it, as `{"value": 12, "unit": "mm"}`.
    #[schema(value_type = Object)]
    pub payload: serde_json::Value,
    /// Ports that take a file, with the uploads that hold them; these go before what the payload has under the name.
    pub file_inputs: Option<BTreeMap<String, String>>,
}

/// A file, and the port that it is for.
#[derive(Debug, Serialize, ToSchema)]
pub struct FunctionUploadForm {
    /// The name of an input of type File.
    pub var_name: String,
    #[schema(format = Binary)]
    pub file: String,
}

/// Two ports.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"source": {"type": "Length", "unit": "mm"}, "target": "Length"}))]
pub struct ConnectionRequest {
    /// A type, or a port as a manifest has it: `{"type": "Length", "unit": "mm"}`.
    #[schema(value_type = Object)]
    pub source: serde_json::Value,
    /// The same.
    #[schema(value_type = Object)]
    pub target: serde_json::Value,
}
