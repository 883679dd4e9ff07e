"""What the API answers. Made by `make_models.py`: don't edit.

Fields that this client doesn't know are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ..decoding import Model


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
