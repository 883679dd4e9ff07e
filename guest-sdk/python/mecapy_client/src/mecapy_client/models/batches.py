"""What the API answers. Made by `make_models.py`: don't edit.

Fields that this client doesn't know are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ..decoding import Model
from .platform import Isolation, Kernels, Lane, NonFinite, OnItemError
from .tasks import LimitsRequest, Progress, TaskError, TaskState, TaskWarning, Usage

BatchState = Literal["queued", "running", "completed", "failed", "cancelled"]


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
    kernels: Kernels
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
