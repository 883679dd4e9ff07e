"""What the API answers. Made by `make_models.py`: don't edit.

Fields that this client doesn't know are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from .decoding import Model

BatchState = Literal["queued", "running", "completed", "failed", "cancelled"]

CacheMode = Literal["off", "use", "refresh"]

ErrorKind = Literal[
    "exception",
    "exit_code",
    "trap",
    "out_of_fuel",
    "out_of_memory",
    "stack_overflow",
    "timeout",
    "invalid_output",
    "invalid_artifact",
    "solver",
    "storage",
    "executor",
    "worker_lost",
    "cancelled",
    "compile",
    "invalid_input",
    "quota",
]

Isolation = Literal["item", "batch"]

Lane = Literal["high_priority", "default", "long_running"]

LogStream = Literal["stdout", "stderr"]

NonFinite = Literal["reject", "null"]

OnItemError = Literal["continue", "stop"]

Reason = Literal[
    "off",
    "hit",
    "source_deleted",
    "nothing_yet",
    "invalidated",
    "refresh",
]

TaskState = Literal["queued", "running", "completed", "failed", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class ApiKey(Model):
    """An API key, without its secret."""

    created_at: datetime
    id: str
    name: str
    # How the secret begins.
    prefix: str
    role: str
    # What the key may do: of `read`, `compute`, `publish` and `admin`.
    scopes: list[str]
    expires_at: datetime | None = None
    # To the minute.
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Artifact(Model):
    """A file that a task produced."""

    content_type: str
    expires_at: datetime
    name: str
    sha256: str
    size_bytes: int
    # GET it there, without credentials, until it expires.
    url: str


@dataclass(frozen=True, kw_only=True)
class Batch(Model):
    """One computation for many inputs, with what became of them so far."""

    cancelled: int
    code: dict[str, Any]
    completed: int
    created_at: datetime
    failed: int
    id: str
    isolation: Isolation
    labels: dict[str, str]
    lane: Lane
    # Of each item.
    limits: LimitsRequest
    links: BatchLinks
    non_finite: NonFinite
    on_error: OnItemError
    priority: int
    # The part of the items that has ended.
    progress: Progress
    queued: int
    running: int
    # Item `i` has this plus `i`.
    seed: int
    # `completed` also where items failed under `on_error: "continue"`; `failed`:
    # stopped by an item's error.
    state: BatchState
    # Items.
    total: int
    warnings: list[TaskWarning]
    completed_at: datetime | None = None
    name: str | None = None
    started_at: datetime | None = None
    study: str | None = None
    # What the items are made of; null where they were given one by one.
    sweep: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class BatchLinks(Model):
    """Where to go from a batch."""

    cancel: str
    events: str
    plot: str
    results: str
    retry: str
    self: str
    summary: str


@dataclass(frozen=True, kw_only=True)
class BatchPage(Model):
    batches: list[Batch]
    # Give this as `cursor` to see more; null at the end.
    next_cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class BatchSummary(Model):
    """What the results of a batch are like so far."""

    cancelled: int
    # Items that completed, whose results are counted here.
    count: int
    failed: int
    # Each numeric field of the results, in the order in which they were found; the
    # first 40.
    fields: list[FieldSummary]
    # The names of numeric fields beyond those.
    left_out: list[str]
    state: BatchState
    total: int


@dataclass(frozen=True, kw_only=True)
class Fault(Model):
    """One fault in a request: where (a JSON pointer), what (for programs) and what
    to do (for people).
    """

    code: str
    message: str
    # RFC 6901 pointer into the request body.
    pointer: str
    # Column of the source in characters, from 1.
    column: int | None = None
    # Line of the source, from 1, where the fault is in code.
    line: int | None = None


@dataclass(frozen=True, kw_only=True)
class FieldSummary(Model):
    """One numeric field of the results. Rows without a finite number in it don't
    count.
    """

    # Rows that have a number here.
    count: int
    # Where it is, as in `result.stress`.
    field: str
    max: float
    max_index: int
    mean: float
    min: float
    # The first row that has the least.
    min_index: int
    # Quantiles, linear between neighbours (Hyndman and Fan's type 7, as NumPy has it).
    p05: float
    p50: float
    p95: float
    # Of the sample: the squares' sum is divided by `count` − 1. Null for one row.
    std: float | None = None


@dataclass(frozen=True, kw_only=True)
class Function(Model):
    """A function, with all that a form needs to be drawn."""

    description: str
    name: str
    owner: str
    package: str
    # What a task's code names: `owner/package@1.2.0#name`
    reference: str
    resources: dict[str, Any]
    version: str
    handler: str | None = None
    # JSON Schema (2020-12) of the inputs, with units; null where the manifest declares
    # none, and any are taken.
    inputs: dict[str, Any] | None = None
    # The same of the result.
    outputs: dict[str, Any] | None = None
    yanked_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class FunctionCode(Model):
    """A function of a package, with checked inputs."""

    # `owner/package@1.2.0#name`; the version may be left out: the newest that isn't
    # yanked. A task keeps the version.
    function: str


@dataclass(frozen=True, kw_only=True)
class FunctionList(Model):
    """Functions, those of a package together."""

    functions: list[FunctionOfList]
    # Give this as `cursor` to see more; null at the end.
    next_cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class FunctionOfList(Model):
    """A function that the caller may call."""

    description: str
    name: str
    owner: str
    package: str
    # What a task's code names: `owner/package@1.2.0#name`
    reference: str
    version: str


@dataclass(frozen=True, kw_only=True)
class Item(Model):
    """One item of a batch."""

    # From 0.
    index: int
    # As they were given, or as the sweep makes them.
    inputs: dict[str, Any]
    seed: int
    state: TaskState
    warnings: list[TaskWarning]
    error: TaskError | None = None
    # Always an object where there is one; numbers as the computation wrote them.
    result: dict[str, Any] | None = None
    # The newest task that ended it, one of many items; null while it has not ended.
    task: str | None = None
    usage: Usage | None = None


@dataclass(frozen=True, kw_only=True)
class ItemPage(Model):
    """Some of a batch's items. Written from the texts of their parts; this is for
    the document.
    """

    items: list[Item]
    # Give this as `cursor` to see more; null at the end.
    next_cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class LaneStatus(Model):
    """A lane: what it allows, how busy it is, and what the caller's tenant has in
    it.
    """

    # What of that is free; a task needs it on one of them.
    container_room_free: Room
    # Cores and memory that these have in all.
    container_room_total: Room
    # Workers of all servers that run solvers of this lane in containers.
    container_workers: int
    lane: Lane
    memory_bytes_default: int
    # Sandboxes running on this server, previews included.
    running: int
    # The tenant's tasks that are queued.
    tasks_queued: int
    # The tenant's tasks that run.
    tasks_running: int
    # Sandbox threads of this server.
    threads: int
    timeout_ms_max: int
    # Jobs that wait for a thread of this server; in `high_priority` these are previews.
    waiting: int
    # More than this are refused with 429.
    waiting_max: int


@dataclass(frozen=True, kw_only=True)
class Lanes(Model):
    """All lanes."""

    lanes: list[LaneStatus]


@dataclass(frozen=True, kw_only=True)
class LimitsRequest(Model):
    """The `limits` object of a request; what is left out takes the lane's default."""

    # Cores.
    cpus: int | None = None
    # Deterministic instruction budget, about one unit for a WebAssembly instruction.
    # Not for solvers.
    fuel: int | None = None
    # Memory, bytes: a sandbox's linear memory, or all of a container.
    memory_bytes: int | None = None
    # Wall time, milliseconds.
    timeout_ms: int | None = None


@dataclass(frozen=True, kw_only=True)
class LogEntry(Model):
    at: datetime
    index: int
    stream: LogStream
    text: str


@dataclass(frozen=True, kw_only=True)
class LogPage(Model):
    """What a task wrote."""

    # Whether nothing more will come.
    done: bool
    entries: list[LogEntry]
    # Give this as `since` to see what comes after.
    next_index: int


@dataclass(frozen=True, kw_only=True)
class Me(Model):
    """Who is asking."""

    # `api_key` or `access_token`.
    credential: str
    # The name of the key, person or machine.
    name: str
    role: str
    # What may be done with these credentials: of `read`, `compute`, `publish` and
    # `admin`.
    scopes: list[str]
    tenant_id: str
    # Null for an access token.
    api_key: ApiKey | None = None
    # The client that was given the access token; null for an API key.
    client: str | None = None
    # When these credentials end.
    expires_at: datetime | None = None
    # The tenant's name.
    tenant: str | None = None


@dataclass(frozen=True, kw_only=True)
class Module(Model):
    """An uploaded WASI module."""

    created_at: datetime
    exports: list[str]
    imports: list[str]
    # Its SHA-256: give this as `code.module`.
    module: str
    size_bytes: int
    warnings: list[TaskWarning]


@dataclass(frozen=True, kw_only=True)
class Modules(Model):
    """Modules, newest first."""

    modules: list[Module]
    # Give this as `cursor` to see more; null at the end.
    next_cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class PreviewAnswer(Model):
    """How a preview ended. A computation that fails is an answer too."""

    artifacts: list[PreviewArtifact]
    seed: int
    state: TaskState
    stderr: str
    stderr_truncated: bool
    stdout: str
    stdout_truncated: bool
    usage: Usage
    warnings: list[TaskWarning]
    error: TaskError | None = None
    # Always an object where there is one; numbers as the computation wrote them.
    result: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class PreviewArtifact(Model):
    """A file that the computation produced."""

    base64: str
    content_type: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Problem(Model):
    """RFC 9457 problem details, with a JSON pointer for each fault."""

    # What went wrong this time, for people.
    detail: str
    # Each fault in the request, with where it is.
    errors: list[Fault]
    # The HTTP status again.
    status: int
    title: str
    # A name for this kind of problem, the same in every answer of its kind.
    type: str


@dataclass(frozen=True, kw_only=True)
class Progress(Model):
    """How far a task says it is."""

    # From 0 to 1.
    fraction: float
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class Room(Model):
    """Cores and memory: what a worker has for containers, or what one of them needs."""

    # Cores.
    cpus: int
    # Memory, bytes.
    memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class SolverCode(Model):
    """A solver of `GET /v1/solvers`."""

    solver: str
    # File name in the work folder → upload id; together with the task's `files`, no
    # name twice.
    files: dict[str, str] | None = None
    # The solver's default version when absent.
    version: str | None = None


@dataclass(frozen=True, kw_only=True)
class Task(Model):
    """One request to compute, with everything that happened to it."""

    # Tries so far.
    attempt: int
    code: dict[str, Any]
    created_at: datetime
    id: str
    labels: dict[str, str]
    lane: Lane
    links: TaskLinks
    max_attempts: int
    priority: int
    seed: int
    state: TaskState
    # Of the request and of the run; and `no_worker` for as long as it waits and no
    # worker that is there can run it, which the answer to its submission leaves out.
    warnings: list[TaskWarning]
    # The earlier task whose result it has, without having run: see `GET
    # /v1/tasks/{id}/cache`.
    cached_from: str | None = None
    completed_at: datetime | None = None
    error: TaskError | None = None
    # How long it is likely to wait, by how many tasks of its lane started within the
    # last minute; null where that can't be told, where no worker that is there can run
    # it, and in the answer to its submission.
    expected_wait_ms: int | None = None
    # What its source was compiled to; absent where nothing was, or not yet.
    module: str | None = None
    name: str | None = None
    progress: Progress | None = None
    # Tasks that run before it; null unless it is queued.
    queue_position: int | None = None
    retry_of: str | None = None
    # The workflow run that it is a node of.
    run: str | None = None
    run_at: datetime | None = None
    started_at: datetime | None = None
    study: str | None = None
    usage: Usage | None = None


@dataclass(frozen=True, kw_only=True)
class TaskCache(Model):
    """What a task made of earlier results, and what others make of its own."""

    # Whether the task has an earlier result, without having run.
    hit: bool
    # The reason in words.
    message: str
    mode: CacheMode
    reason: Reason
    # The task whose result an equal request would get now.
    kept_task: str | None = None
    # SHA-256 over what decides the result: code, version and digest, inputs, files,
    # interpreter or image, seed.
    key: str | None = None
    # Whose result it has.
    source_task: str | None = None


@dataclass(frozen=True, kw_only=True)
class TaskError(Model):
    """Why a task failed, in the engineer's words."""

    kind: ErrorKind
    message: str
    # The line of the user's source that raised, from 1.
    line: int | None = None
    # The guest's own traceback, with the user's line numbers.
    traceback: str | None = None


@dataclass(frozen=True, kw_only=True)
class TaskLinks(Model):
    """Where to go from a task."""

    artifacts: str
    cache: str
    cancel: str
    events: str
    logs: str
    result: str
    retry: str
    self: str


@dataclass(frozen=True, kw_only=True)
class TaskPage(Model):
    tasks: list[Task]
    # Give this as `cursor` to see more; null at the end.
    next_cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class TaskResult(Model):
    """How a task ended."""

    state: TaskState
    error: TaskError | None = None
    # Always an object where there is one; numbers as the computation wrote them.
    result: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Upload(Model):
    """A file that a user sent."""

    created_at: datetime
    expires_at: datetime
    size_bytes: int
    upload_id: str
    # What may be PUT there at most.
    bytes_max: int | None = None
    content_type: str | None = None
    name: str | None = None
    # Null until the upload is complete.
    sha256: str | None = None
    # PUT the file there, without credentials, then complete the upload; null where it
    # has arrived.
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Uploads(Model):
    """Uploads, newest first."""

    uploads: list[Upload]
    # Give this as `cursor` to see more; null at the end.
    next_cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class Usage(Model):
    """What was measured of one task."""

    # Processor time of the sandbox's thread, milliseconds.
    cpu_ms: float
    # Running the guest, milliseconds.
    execute_ms: float
    # Deterministic instruction count; the same code, inputs and seed burn the same
    # fuel.
    fuel: int
    # The largest linear memory, bytes (an interpreter image counts whole).
    memory_peak_bytes: int
    # From acceptance to the start of the attempt, milliseconds.
    queued_ms: float
    # Making the sandbox, milliseconds.
    startup_ms: float
    # Compiling its source, in a container of its own, milliseconds. Absent where
    # nothing was compiled: also where the same source had been before.
    compile_ms: float | None = None


@dataclass(frozen=True, kw_only=True)
class TaskWarning(Model):
    """Something that did not stop the task but that its author should know."""

    code: str
    message: str
    line: int | None = None
    pointer: str | None = None


@dataclass(frozen=True, kw_only=True)
class Workflow(Model):
    """A workflow in one of its versions."""

    created_at: datetime
    id: str
    # The newest version.
    latest: int
    links: WorkflowLinks
    name: str
    # When this version was.
    saved_at: datetime
    # From 1; each save that differs makes the next.
    version: int
    # As it was saved; absent in lists.
    definition: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class WorkflowLinks(Model):
    """Where to go from a workflow."""

    runs: str
    self: str
    versions: str


@dataclass(frozen=True, kw_only=True)
class WorkflowPage(Model):
    """Some of the tenant's workflows."""

    workflows: list[Workflow]
    # Give this as `cursor` to see more; null at the end.
    next_cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class WorkflowRun(Model):
    """One execution of a workflow."""

    created_at: datetime
    id: str
    labels: dict[str, str]
    links: WorkflowRunLinks
    # `running`, `completed`, `failed` or `cancelled`.
    state: str
    version: int
    workflow: str
    # As they were checked, in the units of the workflow's ports.
    inputs: dict[str, Any] | None = None
    # Null where the log can't be read any more.
    nodes: list[WorkflowRunNode] | None = None
    # What came out of it.
    outputs: dict[str, Any] | None = None
    # The versions that it keeps to.
    pins: dict[str, Any] | None = None
    progress: WorkflowRunProgress | None = None
    # Whether it is on its way to its end: cancelled, or failed, while some of it still
    # runs.
    stopping: bool | None = None
    completed_at: datetime | None = None
    # Why it failed: the node, the kind of its error, and words.
    error: dict[str, Any] | None = None
    name: str | None = None
    # The node that it is, of another run.
    parent: WorkflowRunParent | None = None
    study: str | None = None


@dataclass(frozen=True, kw_only=True)
class WorkflowRunArtifact(Model):
    """A file with the node that left it."""

    content_type: str
    expires_at: datetime
    name: str
    sha256: str
    size_bytes: int
    # GET it there, without credentials, until it expires.
    url: str
    key: str
    task: str
    # Of a mapped node.
    index: int | None = None


@dataclass(frozen=True, kw_only=True)
class WorkflowRunArtifacts(Model):
    """The files of a run's nodes."""

    artifacts: list[WorkflowRunArtifact]
    # Give this as `cursor` to see more; null at the end.
    next_cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class WorkflowRunEvent(Model):
    """An event of a run's log."""

    at: datetime
    # What belongs to it.
    data: dict[str, Any]
    # `started`, `node_mapped`, `node_started`, `node_ended`, `node_skipped`,
    # `approved`, `rejected`, `cancel_asked`, `restarted` or `ended`.
    event: str
    # 1 is the first; without gaps.
    seq: int


@dataclass(frozen=True, kw_only=True)
class WorkflowRunEventPage(Model):
    """Some of a run's events."""

    # Whether nothing more will come, unless the run is restarted.
    done: bool
    events: list[WorkflowRunEvent]
    # Give this as `after` to see what comes then.
    next_after: int


@dataclass(frozen=True, kw_only=True)
class WorkflowRunInstance(Model):
    """A node that is not mapped, or one element of one that is."""

    # Names of the files that it left.
    artifacts: list[str]
    # The newest, from 1; 0 before the first.
    attempt: int
    state: str
    ended_at: datetime | None = None
    error: WorkflowRunNodeError | None = None
    # Of a mapped node.
    index: int | None = None
    # Null where it is large: then it is the task's result, or the nested run's outputs.
    output: dict[str, Any] | None = None
    # When it is tried again.
    retry_at: datetime | None = None
    # The nested run that it is.
    run: str | None = None
    started_at: datetime | None = None
    # What carries it out: see `/v1/tasks/{id}`.
    task: str | None = None


@dataclass(frozen=True, kw_only=True)
class WorkflowRunLinks(Model):
    """Where to go from a run."""

    artifacts: str
    cancel: str
    events: str
    restart: str
    self: str
    tasks: str
    timeline: str
    workflow: str


@dataclass(frozen=True, kw_only=True)
class WorkflowRunNode(Model):
    """A node of a run."""

    # The nodes that it waits for.
    after: list[str]
    # Its elements by state.
    counts: WorkflowRunNodeCounts
    key: str
    # `task`, `approval` or `workflow`.
    kind: str
    # `pending`, `ready`, `running`, `waiting` (for another try), `approval` (for a
    # person), `completed`, `failed`, `skipped` or `cancelled`.
    state: str
    # What it is about: the inputs of a node that waits for a person, unless they take
    # large values.
    about: dict[str, Any] | None = None
    ended_at: datetime | None = None
    error: WorkflowRunNodeError | None = None
    # Of a node that is not mapped.
    instance: WorkflowRunInstance | None = None
    # What the person is asked.
    message: str | None = None
    # Why it was skipped.
    skipped: str | None = None
    started_at: datetime | None = None
    # Elements of a mapped node, once they are known: see `…/nodes/{key}`.
    width: int | None = None


@dataclass(frozen=True, kw_only=True)
class WorkflowRunNodeCounts(Model):
    """Elements by state."""

    cancelled: int
    completed: int
    failed: int
    pending: int
    running: int


@dataclass(frozen=True, kw_only=True)
class WorkflowRunNodeError(Model):
    """Why a node failed."""

    # The kind of a task's error; `expression`, `map`, `missing_file`, `too_large`,
    # `workflow`, `too_deep` or `rejected`.
    kind: str
    message: str


@dataclass(frozen=True, kw_only=True)
class WorkflowRunNodePage(Model):
    """A node with some of its elements."""

    # In their order; the only one of a node that is not mapped.
    instances: list[WorkflowRunInstance]
    node: WorkflowRunNode
    # Give this as `from` to see more; null at the end.
    next_from: int | None = None


@dataclass(frozen=True, kw_only=True)
class WorkflowRunPage(Model):
    """Some of the tenant's runs."""

    runs: list[WorkflowRun]
    # Give this as `cursor` to see more; null at the end.
    next_cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class WorkflowRunParent(Model):
    """The node that a run is."""

    key: str
    run: str
    index: int | None = None


@dataclass(frozen=True, kw_only=True)
class WorkflowRunProgress(Model):
    """How far a run is."""

    # From 0 to 1, by nodes; those that are mapped count by their elements.
    fraction: float
    nodes: int
    # Those that have completed, were skipped, failed or were cancelled.
    nodes_ended: int


@dataclass(frozen=True, kw_only=True)
class WorkflowRunWhole(Model):
    """What lists leave out."""

    # As they were checked, in the units of the workflow's ports.
    inputs: dict[str, Any]
    # The versions that it keeps to.
    pins: dict[str, Any]
    # Whether it is on its way to its end: cancelled, or failed, while some of it still
    # runs.
    stopping: bool
    # Null where the log can't be read any more.
    nodes: list[WorkflowRunNode] | None = None
    # What came out of it.
    outputs: dict[str, Any] | None = None
    progress: WorkflowRunProgress | None = None


@dataclass(frozen=True, kw_only=True)
class WorkflowTimeline(Model):
    """What ran when, in the order of the starts."""

    bars: list[WorkflowTimelineBar]
    # Whether there are more than an answer holds: the first are shown.
    truncated: bool


@dataclass(frozen=True, kw_only=True)
class WorkflowTimelineBar(Model):
    """One attempt at a node, or at one element of it."""

    attempt: int
    key: str
    started_at: datetime
    # `running`, `completed`, `failed` or `cancelled`.
    state: str
    # Null while it goes on.
    ended_at: datetime | None = None
    # Of a mapped node.
    index: int | None = None
    run: str | None = None
    task: str | None = None
