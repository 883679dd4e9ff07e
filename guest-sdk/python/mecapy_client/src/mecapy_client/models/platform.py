"""What the API answers. Made by `make_models.py`: don't edit.

Fields that this client doesn't know are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ..decoding import Model

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

InstructionSet = Literal["x86-64-v3", "x86-64"]

Isolation = Literal["item", "batch"]

Kernels = Literal["native", "wasm"]

Lane = Literal["high_priority", "default", "long_running"]

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
class KernelUsage(Model):
    """What native kernels did for one task."""

    # Calls that native kernels answered.
    calls: int
    # Floating-point operations that they were charged for.
    flops: int
    instructions: InstructionSet
    # Of the prices by which their work became fuel.
    price_version: int


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
class Room(Model):
    """Cores and memory: what a worker has for containers, or what one of them needs."""

    # Cores.
    cpus: int
    # Memory, bytes.
    memory_bytes: int


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
