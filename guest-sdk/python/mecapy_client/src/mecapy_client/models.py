"""What the API answers. Made by `make_models.py`: don't edit.

Fields that this client doesn't know are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from .decoding import Model

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

Lane = Literal["high_priority", "default", "long_running"]

LogStream = Literal["stdout", "stderr"]

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
    completed_at: datetime | None = None
    error: TaskError | None = None
    # How long it is likely to wait, by how many tasks of its lane started within the
    # last minute; null where that can't be told, where no worker that is there can run
    # it, and in the answer to its submission.
    expected_wait_ms: int | None = None
    name: str | None = None
    progress: Progress | None = None
    # Tasks that run before it; null unless it is queued.
    queue_position: int | None = None
    retry_of: str | None = None
    run_at: datetime | None = None
    started_at: datetime | None = None
    # Studies are not available yet: always null.
    study: str | None = None
    usage: Usage | None = None


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


@dataclass(frozen=True, kw_only=True)
class TaskWarning(Model):
    """Something that did not stop the task but that its author should know."""

    code: str
    message: str
    line: int | None = None
    pointer: str | None = None
