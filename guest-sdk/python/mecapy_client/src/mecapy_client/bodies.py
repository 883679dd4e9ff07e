"""What the API takes. Made by `make_models.py`: don't edit."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Required, TypedDict

from .models import Lane

NonFinite = Literal["reject", "null"]


class LimitsRequest(TypedDict, total=False):
    """The `limits` object of a request; what is left out takes the lane's default."""

    # Cores.
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


class TaskRequest(TypedDict, total=False):
    """A computation that is queued."""

    code: Required[dict[str, Any]]
    # Keyword arguments of the called function. Numbers cross exactly, as text.
    inputs: Required[dict[str, Any]]
    # File name under `/work/in` → upload id.
    files: dict[str, str] | None
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
