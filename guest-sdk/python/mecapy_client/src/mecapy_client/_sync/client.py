# Made by `make_sync.py` from `_async`: don't edit.

"""The client: previews, tasks, sweeps, files and events of one server."""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from .. import models
from ..bodies import Kernels, LimitsRequest, NonFinite, TaskWebhook
from ..encoding import Code, code_body
from ..errors import InputsError
from ..files import Content
from ..models import (
    Lane,
    Lanes,
    LaneStatus,
    Me,
    Module,
    PreviewAnswer,
    TaskPage,
    TaskState,
    Upload,
)
from ..outcome import Outcome, Sweep
from ..settings import Settings
from ..sse import Event
from ..sweep import BATCH_OPTIONS, batch_body, items, sendable
from .batch import Batch
from .sweeping import Sweeping
from .task import Task, stream_events
from .transport import Transport
from .workflows import Workflows

__all__ = ["Client"]

# The longest preview, seconds; its answer takes no longer than that and a little.
PREVIEW_SECONDS_MAX = 5.0
PAGE_TASKS = 200
# A request with 100 000 items is read and checked before it is answered.
BATCH_SECONDS_MAX = 120.0

# What stands for a file: what is uploaded, or an upload.
File = Content | Upload


class Client:
    """Talks to one MecaPy server.

    `url` and `token` are MECAPY_API_URL and MECAPY_TOKEN where they are left out.
    `timeout` is how long the server may be silent, `retry_seconds` how long a request
    waits in all where the server is busy, or not there, before it is given up.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = 30.0,
        retry_seconds: float = 60.0,
    ) -> None:
        settings = Settings.of(url, token)
        self._transport = Transport(settings, timeout, retry_seconds)
        # Workflows and their runs.
        self.workflows = Workflows(self._transport)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._transport.settings.url}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def preview(
        self,
        code: Code,
        inputs: Mapping[str, Any] | None = None,
        *,
        files: Mapping[str, File] | None = None,
        limits: LimitsRequest | None = None,
        seed: int | None = None,
        non_finite: NonFinite | None = None,
        kernels: Kernels | None = None,
        check: bool = True,
    ) -> Outcome:
        """Runs a computation at once, 5 s at most, and answers with its outcome.

        Raises `TaskFailed` where it did not complete, unless `check` is false.
        """
        body = {
            "code": code_body(code),
            "inputs": dict(inputs or {}),
            "files": _ids(self._uploads(files)),
            "limits": limits,
            "seed": seed,
            "non_finite": non_finite,
            "kernels": kernels,
        }
        answer = PreviewAnswer.from_json(
            self._transport.post("/v1/preview", body, wait=PREVIEW_SECONDS_MAX)
        )
        outcome = Outcome(
            state=answer.state,
            result=answer.result,
            error=answer.error,
            warnings=answer.warnings,
            seed=answer.seed,
            usage=answer.usage,
            stdout=answer.stdout,
            stderr=answer.stderr,
            files={
                each.name: (each.content_type, base64.b64decode(each.base64))
                for each in answer.artifacts
            },
        )
        return outcome.check() if check else outcome

    def submit(
        self,
        code: Code,
        inputs: Mapping[str, Any] | None = None,
        *,
        files: Mapping[str, File] | None = None,
        name: str | None = None,
        lane: Lane | None = None,
        priority: int | None = None,
        limits: LimitsRequest | None = None,
        labels: Mapping[str, str] | None = None,
        seed: int | None = None,
        non_finite: NonFinite | None = None,
        kernels: Kernels | None = None,
        run_at: datetime | None = None,
        webhook: TaskWebhook | None = None,
        idempotency_key: str | None = None,
    ) -> Task:
        """Queues a computation, once, however often the request has to be sent."""
        body = {
            "code": code_body(code),
            "inputs": dict(inputs or {}),
            "files": _ids(self._uploads(files)),
            "name": name,
            "lane": lane,
            "priority": priority,
            "limits": limits,
            "labels": labels,
            "seed": seed,
            "non_finite": non_finite,
            "kernels": kernels,
            "run_at": run_at,
            "webhook": webhook,
        }
        key = idempotency_key or str(uuid.uuid4())
        answer = self._transport.post("/v1/tasks", body, key)
        return Task(self._transport, models.Task.from_json(answer))

    def run(
        self,
        code: Code,
        inputs: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        check: bool = True,
        progress: bool | None = None,
        **options: Any,
    ) -> Outcome:
        """Queues a computation and waits for its end: `submit` and `wait` in one."""
        task = self.submit(code, inputs, **options)
        return task.wait(timeout, check=check, progress=progress)

    def batch(
        self,
        code: Code,
        *,
        sweep: Mapping[str, Any] | None = None,
        rows: Any = None,
        inputs: Mapping[str, Any] | None = None,
        files: Mapping[str, File] | None = None,
        mode: Literal["grid", "zip", "random", "lhs"] | None = None,
        samples: int | None = None,
        isolation: Literal["item", "batch"] | None = None,
        on_error: Literal["continue", "stop"] | None = None,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> Batch:
        """Queues a computation for many inputs in one request.

        `rows` is a DataFrame or a list of dicts; `sweep` has for each input a list of
        values, `{"from": 0, "to": 5e4, "count": 50}`, or `{"random": {…}}` for the
        modes `random` and `lhs` with their `samples`. `inputs` is what all items have
        in common. Further options are those of a batch's request: `name`, `lane`,
        `priority`, `limits`, `labels`, `seed`, `non_finite`, `kernels`,
        `invalid_items`, `study`.
        """
        body = {
            "code": code_body(code),
            **batch_body(sweep, rows, inputs),
            "files": _ids(self._uploads(files)),
            "mode": mode,
            "samples": samples,
            "isolation": isolation,
            "on_error": on_error,
            **options,
        }
        key = idempotency_key or str(uuid.uuid4())
        path, wait = "/v1/batches", BATCH_SECONDS_MAX
        answer = self._transport.post(path, body, key, wait)
        return Batch(self._transport, models.Batch.from_json(answer))

    def map(
        self,
        code: Code,
        *,
        grid: Mapping[str, Iterable[Any]] | None = None,
        rows: Any = None,
        inputs: Mapping[str, Any] | None = None,
        preview: bool = False,
        as_tasks: bool = False,
        at_once_max: int = 16,
        check: bool = False,
        progress: bool | None = None,
        **options: Any,
    ) -> Sweep:
        """Runs a computation for every point of a grid, or every row.

        `grid` is a dict of lists, of which all combinations are run; `rows` a list of
        dicts, or a DataFrame; `inputs` is what all runs have in common. All of them are
        one batch, with the options of `batch`. Where `as_tasks` is true, or an option
        needs it (`run_at`, `webhook`, the lane `high_priority`), each is a task of its
        own, with its log and its artifacts and the options of `submit`, and where
        `preview` is true a preview; of those `at_once_max` are under way at once.
        Runs that fail are in the answer too, unless `check` is true. Where it is
        interrupted, what it had submitted is cancelled.
        """
        listed = items(grid, rows, inputs)
        is_urgent = options.get("lane") == "high_priority"
        needs_tasks = as_tasks or is_urgent or options.keys() - BATCH_OPTIONS
        if not (preview or needs_tasks):
            return self._map_batch(code, listed, check, progress, options)
        options["files"] = self._uploads(options.get("files"))
        sweeping = Sweeping(
            run=self.preview if preview else None,
            submit=self.submit,
            code=code_body(code),
            options=options,
        )
        run_all = sweeping.run_all
        return run_all(listed, at_once_max, check=check, progress=progress)

    def _map_batch(
        self,
        code: Code,
        listed: Sequence[dict[str, Any]],
        check: bool,
        progress: bool | None,
        options: Mapping[str, Any],
    ) -> Sweep:
        """A sweep as one batch; what can't be sent is in the answer as refused."""
        sent, refused = sendable(listed)
        if check and refused:
            raise refused[0].error or InputsError("an item can't be sent")
        if not sent:
            return Sweep(refused)
        ways = {"on_error": "stop" if check else None, "invalid_items": "record"}
        batch = self.batch(code, rows=list(sent.values()), **{**ways, **options})
        swept = batch._swept(sent, refused, progress=progress)
        if check:
            for item in swept.failed:
                if item.outcome is not None and item.outcome.state == "failed":
                    item.outcome.check()
            swept.results()
        return swept

    def function(self, name: str) -> Function:
        """A published function, to call: `owner/package@1.2.0#name`."""
        return Function(self, name)

    def task(self, id: str) -> Task:
        """A task by its id."""
        answer = self._transport.get(f"/v1/tasks/{id}")
        return Task(self._transport, models.Task.from_json(answer))

    def find_batch(self, id: str) -> Batch:
        """A batch by its id."""
        answer = self._transport.get(f"/v1/batches/{id}")
        return Batch(self._transport, models.Batch.from_json(answer))

    def batches(
        self, *, state: str | None = None, study: str | None = None
    ) -> Generator[Batch, None, None]:
        """The batches, newest first: all, or those in a state, of a study."""
        cursor: str | None = None
        while True:
            query = {"state": state, "study": study, "limit": PAGE_TASKS}
            more = {**query, "cursor": cursor}
            page = self._transport.get("/v1/batches", more)
            for info in page["batches"]:
                yield Batch(self._transport, models.Batch.from_json(info))
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def tasks(
        self,
        *,
        state: TaskState | None = None,
        lane: Lane | None = None,
        label: str | None = None,
        name: str | None = None,
    ) -> Generator[Task, None, None]:
        """The tasks, newest first: all, or those in a state, with a label, …"""
        query = {"state": state, "lane": lane, "label": label, "q": name}
        cursor: str | None = None
        while True:
            more = {"limit": PAGE_TASKS, "cursor": cursor}
            answer = self._transport.get("/v1/tasks", {**query, **more})
            page = TaskPage.from_json(answer)
            for info in page.tasks:
                yield Task(self._transport, info)
            cursor = page.next_cursor
            if cursor is None:
                return

    def upload(self, content: Content, name: str | None = None) -> Upload:
        """Sends a file (or bytes), for tasks to use; its SHA-256 is compared."""
        answer = self._transport.send_file("/v1/uploads", content, name)
        return Upload.from_json(answer)

    def upload_module(self, content: bytes | os.PathLike[str]) -> Module:
        """Sends a WASI module (or the file of one), to be run as code."""
        data = content if isinstance(content, bytes) else Path(content).read_bytes()
        path, kind = "/v1/modules", "application/wasm"
        return Module.from_json(self._transport.post_bytes(path, data, kind))

    def events(self, after: int | None = None) -> Generator[Event, None, None]:
        """How the tenant's tasks end, as they do, without an end of its own.

        With the id of the last event that was seen, none of seven days is missed.
        """
        path = "/v1/events"
        with closing(stream_events(self._transport, path, after)) as events:
            for event in events:
                yield event

    def me(self) -> Me:
        """Who the server takes the caller for."""
        return Me.from_json(self._transport.get("/v1/me"))

    def lanes(self) -> list[LaneStatus]:
        """How busy the lanes are."""
        return Lanes.from_json(self._transport.get("/v1/lanes")).lanes

    def _uploads(self, files: Mapping[str, File] | None) -> dict[str, Upload]:
        """The uploads for file names; what is none yet is sent."""
        uploads = {}
        for name, file in (files or {}).items():
            if not isinstance(file, Upload):
                file = self.upload(file, Path(name).name)
            uploads[name] = file
        return uploads


class Function:
    """A published function of one client: calling it answers with its results."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self.name = name

    def __repr__(self) -> str:
        return f"<Function {self.name}>"

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """Runs it at once; raises `TaskFailed` where it does not complete."""
        outcome = self._client.preview(self.name, inputs)
        return dict(outcome)

    def submit(self, **inputs: Any) -> Task:
        """Queues it."""
        return self._client.submit(self.name, inputs)

    def map(self, **sweep: Any) -> Sweep:
        """Runs it for every point of a `grid`, or every one of `rows`."""
        return self._client.map(self.name, **sweep)

    def batch(self, **options: Any) -> Batch:
        """Queues it for many inputs: a `sweep`, or `rows`."""
        return self._client.batch(self.name, **options)


def _ids(uploads: Mapping[str, Upload]) -> dict[str, str] | None:
    return {name: each.upload_id for name, each in uploads.items()} or None
