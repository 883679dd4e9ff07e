"""What the API answers. Made by `make_models.py`: don't edit.

Fields that this client doesn't know are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ..decoding import Model
from .platform import CacheMode, ErrorKind, KernelUsage, Kernels, Lane, Reason

LogStream = Literal["stdout", "stderr"]

TaskState = Literal["queued", "running", "completed", "failed", "cancelled"]


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
class LimitsRequest(Model):
    """The `limits` object of a request; what is left out takes the lane's default."""

    # Cores: a container's, or those on which a sandbox's native kernels may work. A
    # preview computes on one.
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
class Progress(Model):
    """How far a task says it is."""

    # From 0 to 1.
    fraction: float
    message: str | None = None


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
    kernels: Kernels
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
    # interpreter or image, kernels, seed.
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
    # What native kernels of linear algebra did, which `fuel` has in it; null where none
    # was used.
    kernels: KernelUsage | None = None


@dataclass(frozen=True, kw_only=True)
class TaskWarning(Model):
    """Something that did not stop the task but that its author should know."""

    code: str
    message: str
    line: int | None = None
    pointer: str | None = None
