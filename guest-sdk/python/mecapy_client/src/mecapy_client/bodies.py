"""What the API takes. Made by `make_models.py`: don't edit."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Required, TypedDict

from .models import CacheMode, Isolation, Kernels, Lane, NonFinite, OnItemError


class ApprovalRequest(TypedDict, total=False):
    """A person's answer to a node that waits for it."""

    approved: Required[bool]
    # Kept in the run's log with who answered; at most 2000 characters.
    comment: str | None


class BatchRequest(TypedDict, total=False):
    """One computation for many inputs: either `items` or a `sweep`."""

    # A language or a function; a solver's run is a task of its own.
    code: Required[dict[str, Any]]
    # File name under `/work/in` → upload id, for every item.
    files: dict[str, str] | None
    # Inputs that every item has. An explicit item's own value goes before them.
    inputs: dict[str, Any] | None
    # `reject` (when absent): an item whose inputs don't fit refuses the batch;
    # `record`: it ends with an error of its own.
    invalid_items: str | None
    isolation: Isolation | None
    # Explicit items, 1 to 100 000.
    items: list[ItemRequest] | None
    # What computes linear algebra; `native` when absent.
    kernels: Kernels | None
    # At most 32; names up to 64 characters, values up to 256.
    labels: dict[str, str] | None
    # `default` or `long_running`. Left out: follows from the timeout.
    lane: Lane | None
    # Of each item.
    limits: LimitsRequest | None
    # `grid` (when absent): each value with each, the last input fastest; `zip`: side by
    # side; `random` and `lhs` (Latin hypercube): `samples` draws by the seed.
    mode: str | None
    # For people, at most 200 characters.
    name: str | None
    non_finite: NonFinite | None
    on_error: OnItemError | None
    # From 0 (last) to 9 (first); 5 when absent.
    priority: int | None
    # Items of the modes `random` and `lhs`.
    samples: int | None
    # Item `i` has this plus `i`; chosen and echoed when absent. At most 2^53 − 1.
    seed: int | None
    # The id of the study that it belongs to.
    study: str | None
    # What varies, by input: an array of values; `{"from", "to", "count"}`, both ends
    # among them, with `"scale": "log"` at equal ratios; `{"from", "to", "step"}`; or
    # `{"random": {"distribution": "uniform", "low", "high"}}`, `"normal"` or
    # `"lognormal"` with `"mean"` and `"std"`. 100 000 items in all.
    sweep: dict[str, Any] | None


class FunctionCode(TypedDict, total=False):
    """A function of a package, with checked inputs."""

    # `owner/package@1.2.0#name`; the version may be left out: the newest that isn't
    # yanked. A task keeps the version.
    function: Required[str]


class ItemRequest(TypedDict, total=False):
    """One set of inputs."""

    inputs: Required[dict[str, Any]]


class LimitsRequest(TypedDict, total=False):
    """The `limits` object of a request; what is left out takes the lane's default."""

    # Cores: a container's, or those on which a sandbox's native kernels may work. A
    # preview computes on one.
    cpus: int | None
    # Deterministic instruction budget, about one unit for a WebAssembly instruction.
    # Not for solvers.
    fuel: int | None
    # Memory, bytes: a sandbox's linear memory, or all of a container.
    memory_bytes: int | None
    # Wall time, milliseconds.
    timeout_ms: int | None


class PreviewRequest(TypedDict, total=False):
    """A computation that is wanted at once."""

    code: Required[dict[str, Any]]
    # Keyword arguments of the called function. Numbers cross exactly, as text.
    inputs: Required[dict[str, Any]]
    # File name under `/work/in` → upload id.
    files: dict[str, str] | None
    # What computes linear algebra; `native` when absent.
    kernels: Kernels | None
    limits: LimitsRequest | None
    non_finite: NonFinite | None
    # Feeds every source of randomness; chosen and echoed when absent. At most 2^53 − 1.
    seed: int | None


class Retry(TypedDict, total=False):
    """A task's own rule for another try: kept and shown, and without effect so far.
    Nothing that a run reports today would end otherwise a second time, and what
    the platform itself loses or fails is tried again on a budget of its own.
    """

    # Each further wait is this many times the one before.
    backoff_factor: float
    # Wait before the second try, milliseconds.
    backoff_ms: int
    # Tries in all, 1 to 10.
    max_attempts: int


class SolverCode(TypedDict, total=False):
    """A solver of `GET /v1/solvers`."""

    solver: Required[str]
    # File name in the work folder → upload id; together with the task's `files`, no
    # name twice.
    files: dict[str, str] | None
    # The solver's default version when absent.
    version: str | None


class TaskRequest(TypedDict, total=False):
    """A computation that is queued."""

    code: Required[dict[str, Any]]
    # Keyword arguments of the called function. Numbers cross exactly, as text.
    inputs: Required[dict[str, Any]]
    # Whether an earlier result of the same computation may stand for it; `off` when
    # absent. Failures never do.
    cache: CacheMode | None
    # File name under `/work/in` → upload id.
    files: dict[str, str] | None
    # What computes linear algebra; `native` when absent.
    kernels: Kernels | None
    # At most 32; names up to 64 characters, values up to 256.
    labels: dict[str, str] | None
    # Left out: follows from the timeout.
    lane: Lane | None
    limits: LimitsRequest | None
    # For people, at most 200 characters.
    name: str | None
    non_finite: NonFinite | None
    # From 0 (last) to 9 (first); 5 when absent.
    priority: int | None
    retry: Retry | None
    # Not before this time, at most a year ahead.
    run_at: datetime | None
    # Feeds every source of randomness; chosen and echoed when absent. At most 2^53 − 1.
    seed: int | None
    # The id of the study that it belongs to.
    study: str | None
    # Told when the task has ended, beside the tenant's webhooks; signed with the
    # tenant's secret for tasks.
    webhook: TaskWebhook | None


class TaskWebhook(TypedDict, total=False):
    """Where a task's end is told."""

    # https, and a public address; at most 2048 bytes.
    url: Required[str]


class UploadForm(TypedDict, total=False):
    """A file, as a form sends it."""

    # The one file of the form.
    file: Required[str]


class UploadRequest(TypedDict, total=False):
    """Asks where to PUT a file."""

    content_type: str | None
    name: str | None
    # The size of the file: a larger one is refused, and where an object store takes it
    # any other.
    size_bytes: int | None


class WorkflowDefinition(TypedDict, total=False):
    """A graph of nodes, each of which is a task, a question to a person, or another
    workflow.
    """

    # The tenant's own name for it.
    name: Required[str]
    nodes: Required[list[WorkflowNode]]
    description: str | None
    # Ports as manifests have them: type, unit, required, default, description,
    # validity.
    inputs: dict[str, Any] | None
    limits: WorkflowLimits | None
    # Name → `{"from": reference}` or `{"expr": expression}`.
    outputs: dict[str, Any] | None


class WorkflowLimits(TypedDict, total=False):
    """Ceilings of each run."""

    # Workflows nested in one another, at most 8.
    depth_max: int | None
    # Tasks and nested runs at a time.
    parallel_max: int | None
    # Elements of a mapped node, at most 10 000.
    width_max: int | None


class WorkflowNode(TypedDict, total=False):
    """A node: one of `code`, `approval` and `workflow` says what it is."""

    # By which other nodes refer to it.
    key: Required[str]
    # `{"message": …}`: a person is asked, and answers with `POST
    # …/nodes/{key}/approve`.
    approval: dict[str, Any] | None
    cache: CacheMode | None
    # A task's code, of any kind.
    code: dict[str, Any] | None
    # The node's output where it fails and `on_error` is `default`.
    default: dict[str, Any] | None
    # File name → an upload's id, or `{"from": "node.artifacts/file"}`.
    files: dict[str, Any] | None
    # Name → a literal, `{"from": "node.field"}` or `{"expr": "…"}`.
    inputs: dict[str, Any] | None
    kernels: Kernels | None
    lane: Lane | None
    limits: LimitsRequest | None
    # `{"over": reference, "as": name}`: one task for each element of a list; the node's
    # output is the list of theirs.
    map: dict[str, Any] | None
    # Nodes that must have ended before, beside those that it takes values from.
    needs: list[str] | None
    non_finite: NonFinite | None
    # `fail` (when absent), `skip` or `default`.
    on_error: str | None
    priority: int | None
    retry: Retry | None
    seed: int | None
    # From the start of an attempt to its end, waiting included.
    timeout_ms: int | None
    # Of the nested workflow; the newest when a run starts where it is left out.
    version: int | None
    # An expression: where it is false, the node is skipped.
    when: str | None
    # The id or name of a nested workflow.
    workflow: str | None


class WorkflowRunRequest(TypedDict, total=False):
    """Starts a run."""

    # By the workflow's ports; a quantity may have its unit beside it.
    inputs: dict[str, Any] | None
    # At most 32; names up to 64 characters, values up to 256.
    labels: dict[str, str] | None
    # For people; the workflow's name when absent.
    name: str | None
    # The id of the study that it belongs to, with all its tasks.
    study: str | None
    # The newest when absent.
    version: int | None
