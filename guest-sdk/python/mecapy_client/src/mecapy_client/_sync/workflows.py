# Made by `make_sync.py` from `_async`: don't edit.

"""Workflows: saved, started, and their runs."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Generator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .. import models
from ..bars import Bar, is_watched
from ..display import state_html, table_html
from ..encoding import json_value
from ..errors import InputsError, RunFailed, WaitTimeout
from ..sse import Event
from .concurrency import sleep
from .task import stream_events
from .transport import Transport

__all__ = ["WorkflowRun", "Workflows"]

ENDED = ("completed", "failed", "cancelled")
PAGE = 200
# How often it is asked whether it has ended: soon at first, then seldom.
ASK_SECONDS_MIN = 0.02
ASK_SECONDS_MAX = 1.0


class Workflows:
    """The workflows of one client."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def save(
        self,
        definition: Mapping[str, Any] | os.PathLike[str],
    ) -> models.Workflow:
        """Saves a definition, or the JSON file of one.

        It is the next version where it differs from the newest of its name.
        """
        body = _definition(definition)
        answer = self._transport.post("/v1/workflows", body)
        return models.Workflow.from_json(answer)

    def get(self, name: str, version: int | None = None) -> models.Workflow:
        """A workflow by its name or id, in its newest version or in another one."""
        more = "" if version is None else f"/versions/{version}"
        answer = self._transport.get(f"{_path(name)}{more}")
        return models.Workflow.from_json(answer)

    def list(self) -> Generator[models.Workflow, None]:
        """All of them, newest first, without their definitions."""
        cursor: str | None = None
        while True:
            query = {"limit": PAGE, "cursor": cursor}
            page = self._transport.get("/v1/workflows", query)
            for each in page["workflows"]:
                yield models.Workflow.from_json(each)
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def delete(self, name: str) -> None:
        """Deletes one with all its versions; its runs, which must have ended, stay."""
        self._transport.delete(_path(name))

    def start(
        self,
        workflow: str | Mapping[str, Any] | os.PathLike[str],
        inputs: Mapping[str, Any] | None = None,
        *,
        version: int | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        study: str | None = None,
        idempotency_key: str | None = None,
    ) -> WorkflowRun:
        """Starts a run of a workflow: its name, or a definition, which is saved first.

        Inputs may have their units: `{"F": {"value": 25, "unit": "kN"}}`.
        """
        if not isinstance(workflow, str):
            saved = self.save(workflow)
            workflow, version = saved.id, saved.version
        body = {
            "inputs": dict(inputs or {}),
            "version": version,
            "name": name,
            "labels": labels,
            "study": study,
        }
        key = idempotency_key or str(uuid.uuid4())
        answer = self._transport.post(f"{_path(workflow)}/runs", body, key)
        return WorkflowRun(self._transport, models.WorkflowRun.from_json(answer))

    def run(
        self,
        workflow: str | Mapping[str, Any] | os.PathLike[str],
        inputs: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        check: bool = True,
        progress: bool | None = None,
        **options: Any,
    ) -> WorkflowRun:
        """Starts a run and waits for its end: `start` and `wait` in one."""
        run = self.start(workflow, inputs, **options)
        run.wait(timeout, check=check, progress=progress)
        return run

    def runs(
        self,
        workflow: str | None = None,
        *,
        state: str | None = None,
        study: str | None = None,
    ) -> Generator[WorkflowRun, None, None]:
        """Runs, newest first: all, or those of a workflow, in a state, of a study."""
        filters = {"workflow": workflow, "state": state, "study": study}
        cursor: str | None = None
        while True:
            query = {**filters, "limit": PAGE, "cursor": cursor}
            page = self._transport.get("/v1/workflow-runs", query)
            for each in page["runs"]:
                info = models.WorkflowRun.from_json(each)
                yield WorkflowRun(self._transport, info)
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def find(self, id: str) -> WorkflowRun:
        """A run by its id."""
        answer = self._transport.get(f"/v1/workflow-runs/{id}")
        return WorkflowRun(self._transport, models.WorkflowRun.from_json(answer))


class WorkflowRun:
    """A run of a workflow. `info` is what was last heard of it."""

    def __init__(self, transport: Transport, info: models.WorkflowRun) -> None:
        self._transport = transport
        self.info = info

    def __repr__(self) -> str:
        return f"<WorkflowRun {self.id}: {self.info.state}>"

    def __getitem__(self, name: str) -> Any:
        return self.outputs[name]

    @property
    def id(self) -> str:
        """Its id."""
        return self.info.id

    @property
    def outputs(self) -> dict[str, Any]:
        """What came out of it; raises `RunFailed` where it has not completed."""
        if self.info.outputs is None:
            raise RunFailed(self.id, self.info.state, self.info.error)
        return self.info.outputs

    @property
    def nodes(self) -> dict[str, models.WorkflowRunNode]:
        """Its nodes as they were last heard of, by their keys."""
        return {node.key: node for node in self.info.nodes or ()}

    def refresh(self) -> models.WorkflowRun:
        """How it is now."""
        return self._heard(self._transport.get(self._path()))

    def wait(
        self,
        timeout: float | None = None,
        *,
        check: bool = True,
        progress: bool | None = None,
    ) -> models.WorkflowRun:
        """Waits for its end, `timeout` seconds at most, and answers how that was.

        Raises `RunFailed` where it did not complete, unless `check` is false, and
        `WaitTimeout` where it goes on, as one does that waits for a person.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        shown = is_watched() if progress is None else progress
        pause = ASK_SECONDS_MIN
        with Bar(1.0, self.info.name or "run", shown=shown) as bar:
            while True:
                info = self.refresh()
                if info.progress is not None:
                    bar.move(info.progress.fraction, info.state)
                if info.state in ENDED:
                    break
                if deadline is not None and time.monotonic() >= deadline:
                    raise WaitTimeout(f"the run {self.id} has not ended yet")
                sleep(pause)
                pause = min(ASK_SECONDS_MAX, pause * 1.5)
        if check and info.state != "completed":
            raise RunFailed(self.id, info.state, info.error)
        return info

    def events(self, after: int | None = None) -> Generator[Event, None, None]:
        """Its log from the event after `after` on, as it grows, to its end."""
        path = self._path("/events")
        with closing(stream_events(self._transport, path, after)) as events:
            for event in events:
                yield event
                # One that was restarted goes on after that.
                if event.kind == "ended":
                    if (self.refresh()).state in ENDED:
                        return

    def approve(self, key: str, comment: str | None = None) -> None:
        """Says yes to a node that waits for a person."""
        self._answer(key, True, comment)

    def reject(self, key: str, comment: str | None = None) -> None:
        """Says no to a node that waits for a person."""
        self._answer(key, False, comment)

    def cancel(self) -> models.WorkflowRun:
        """Stops it with all that belongs to it."""
        return self._heard(self._transport.post(self._path("/cancel")))

    def restart(self) -> models.WorkflowRun:
        """Lets it go on from what had not completed; the rest is kept."""
        return self._heard(self._transport.post(self._path("/restart")))

    def _answer(self, key: str, approved: bool, comment: str | None) -> None:
        path = self._path(f"/nodes/{quote(key, safe='')}/approve")
        body = {"approved": approved, "comment": comment}
        self._heard(self._transport.post(path, body))

    def _heard(self, answer: Any) -> models.WorkflowRun:
        self.info = models.WorkflowRun.from_json(answer)
        return self.info

    def _path(self, more: str = "") -> str:
        return f"/v1/workflow-runs/{self.id}{more}"

    def _repr_html_(self) -> str:
        rows = [("run", self.id), ("name", self.info.name or "")]
        rows += [(node.key, node.state) for node in self.info.nodes or ()]
        outputs = list((self.info.outputs or {}).items())
        shown = [row for row in rows if row[1]]
        return state_html(self.info.state) + table_html([*shown, *outputs])


def _path(name: str) -> str:
    return f"/v1/workflows/{quote(name, safe='')}"


def _definition(definition: Mapping[str, Any] | os.PathLike[str]) -> dict[str, Any]:
    """A definition as a request has it."""
    if isinstance(definition, Mapping):
        return dict(json_value(definition))
    path = Path(definition)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputsError(f"{path} can't be read as JSON: {error}") from None
    if not isinstance(found, dict):
        raise InputsError(f"{path} holds no object: a workflow's definition is one")
    return found
