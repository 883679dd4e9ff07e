# Made by `make_sync.py` from `_async`: don't edit.

"""One task: watched, waited for, and what it left."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

from .. import models
from ..bars import Bar, is_notebook, is_watched
from ..display import PICTURES, state_html, table_html
from ..errors import (
    ApiError,
    Conflict,
    ConnectionFailed,
    DamagedFile,
    NotFound,
    TooMany,
    WaitTimeout,
)
from ..files import Receipt
from ..models import Artifact, LogEntry, LogPage, TaskResult
from ..outcome import Outcome
from ..sse import Event, EventReader
from .transport import Transport

__all__ = ["Task", "stream_events"]

# The longest wait that the server offers, seconds.
WAIT_SECONDS_MAX = 60
# A stream that says nothing for so long is dead: comments come every 15 s.
SILENCE_SECONDS = 45.0
# Pictures of so many bytes together are fetched for a notebook.
PICTURES_BYTES_MAX = 8 << 20


class Task:
    """A task of the server. `info` is what was last heard of it."""

    def __init__(self, transport: Transport, info: models.Task) -> None:
        self._transport = transport
        self.info = info

    def __repr__(self) -> str:
        return f"<Task {self.id}: {self.info.state}>"

    @property
    def id(self) -> str:
        """Its id."""
        return self.info.id

    def refresh(self) -> models.Task:
        """How it is now."""
        self.info = models.Task.from_json(self._transport.get(self._path()))
        return self.info

    def wait(
        self,
        timeout: float | None = None,
        *,
        check: bool = True,
        progress: bool | None = None,
        pictures: bool | None = None,
    ) -> Outcome:
        """Waits for its end, `timeout` seconds at most, and answers how that was.

        Raises `TaskFailed` where it did not complete, unless `check` is false, and
        `WaitTimeout` where it goes on. `progress` shows a bar (when left out: where
        somebody sees it), `pictures` fetches those that it made (in a notebook).
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if is_watched() if progress is None else progress:
            self._watch(deadline)
        ended = self._end(deadline)
        self.refresh()
        files = {}
        if is_notebook() if pictures is None else pictures:
            files = self._pictures()
        outcome = Outcome(
            state=ended.state,
            result=ended.result,
            error=ended.error,
            warnings=self.info.warnings,
            seed=self.info.seed,
            usage=self.info.usage,
            task_id=self.id,
            files=files,
        )
        return outcome.check() if check else outcome

    def events(self, after: int | None = None) -> Generator[Event, None, None]:
        """All that happens to it, from the event after the id `after` on, to its end.

        A stream that breaks is taken up where it was.
        """
        path = self._path("/events")
        with closing(stream_events(self._transport, path, after)) as events:
            for event in events:
                yield event
                if event.kind == "done":
                    return

    def logs(self, since: int = 0) -> list[LogEntry]:
        """What it has written so far, from the entry with the index `since` on."""
        entries: list[LogEntry] = []
        while True:
            query = {"since": since}
            answer = self._transport.get(self._path("/logs"), query)
            page = LogPage.from_json(answer)
            entries += page.entries
            if not page.entries or page.done:
                return entries
            since = page.next_index

    def artifacts(self) -> list[Artifact]:
        """The files that it made."""
        listed = self._transport.get(self._path("/artifacts"))
        return [Artifact.from_json(each) for each in listed]

    def read(self, name: str) -> bytes:
        """An artifact's bytes, checked against their SHA-256."""
        pieces: list[bytes] = []
        self._fetch(self._artifact(name), pieces.append, pieces.clear)
        return b"".join(pieces)

    def download(
        self,
        name: str,
        to: str | os.PathLike[str] | None = None,
    ) -> Path:
        """Writes an artifact to a file or into a folder (when left out: this one).

        The file appears once it is whole and its SHA-256 is right.
        """
        artifact = self._artifact(name)
        own_name = Path(artifact.name).name
        if own_name in ("", ".."):
            raise DamagedFile(f"{artifact.name!r} names no file: say where it goes")
        target = Path(own_name if to is None else to)
        if target.is_dir():
            target = target / own_name
        part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            with part.open("wb") as file:

                def begin() -> None:
                    file.seek(0)
                    file.truncate()

                self._fetch(artifact, file.write, begin)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target

    def cancel(self) -> models.Task:
        """Stops it, queued or running."""
        answer = self._transport.post(self._path("/cancel"))
        self.info = models.Task.from_json(answer)
        return self.info

    def retry(self) -> Task:
        """Submits it again, as a new task with the same seed."""
        key = str(uuid.uuid4())
        answer = self._transport.post(self._path("/retry"), None, key)
        return Task(self._transport, models.Task.from_json(answer))

    def delete(self) -> None:
        """Deletes it, once it has ended, with its results, logs and artifacts."""
        self._transport.delete(self._path())

    def _path(self, more: str = "") -> str:
        return f"/v1/tasks/{self.id}{more}"

    def _end(self, deadline: float | None) -> TaskResult:
        """Asks for the result until there is one."""
        while True:
            left = WAIT_SECONDS_MAX if deadline is None else deadline - time.monotonic()
            wait = max(0, min(WAIT_SECONDS_MAX, int(left + 0.999)))
            query = {"wait": wait} if wait else None
            try:
                answer = self._transport.get(self._path("/result"), query, wait)
                return TaskResult.from_json(answer)
            except Conflict as error:
                if deadline is not None and time.monotonic() >= deadline:
                    raise WaitTimeout(
                        f"the task {self.id} has not ended yet: {error.detail}"
                    ) from None

    def _watch(self, deadline: float | None) -> None:
        """Shows a bar until it has ended, or the deadline has come."""
        with Bar(1.0, self.info.name or "task", shown=True) as bar:
            bar.move(0.0, self.info.state)
            try:
                with closing(self.events()) as events:
                    for event in events:
                        if event.kind == "progress":
                            message = event.data.get("message") or ""
                            bar.move(event.data["fraction"], message)
                        elif event.kind == "state":
                            bar.move(bar.at, event.data["state"])
                        elif event.kind == "done":
                            is_whole = event.data["state"] == "completed"
                            at = 1.0 if is_whole else bar.at
                            bar.move(at, event.data["state"])
                        if deadline is not None and time.monotonic() >= deadline:
                            return
            except TooMany:
                # As many streams are open as may be: it is waited for without a bar.
                return

    def _pictures(self) -> dict[str, tuple[str, bytes]]:
        pictures = {}
        left = PICTURES_BYTES_MAX
        for each in self.artifacts():
            if each.content_type in PICTURES and each.size_bytes <= left:
                left -= each.size_bytes
                content = self.read(each.name)
                pictures[each.name] = (each.content_type, content)
        return pictures

    def _artifact(self, name: str) -> Artifact:
        listed = self.artifacts()
        for each in listed:
            if each.name == name:
                return each
        names = ", ".join(each.name for each in listed) or "none"
        detail = f"the task made no {name!r} (it made: {names})"
        raise NotFound(404, "There is no such artifact", detail)

    def _fetch(self, artifact: Artifact, add: Any, begin: Any) -> None:
        """Hands on an artifact's pieces; `begin` is called before each try."""
        patience = self._transport.patience()
        while True:
            begin()
            receipt = Receipt(artifact.name, artifact.sha256, artifact.size_bytes)
            try:
                with self._transport.download(artifact.url) as pieces:
                    for piece in pieces:
                        receipt.add(piece)
                        add(piece)
                receipt.check()
                return
            except (ApiError, ConnectionFailed) as error:
                self._transport.wait_or_raise(error, patience)

    def _repr_html_(self) -> str:
        info = self.info
        progress = "" if info.progress is None else f"{info.progress.fraction:.0%}"
        rows = [("task", info.id), ("name", info.name), ("lane", info.lane)]
        rows += [("submitted", info.created_at.isoformat())]
        if info.error is not None:
            rows.append(("error", f"{info.error.kind}: {info.error.message}"))
        shown = [row for row in rows if row[1]]
        return state_html(info.state, progress) + table_html(shown)


def stream_events(
    transport: Transport, path: str, after: int | None
) -> Generator[Event, None, None]:
    """Events of a stream, which is opened again where it breaks."""
    reader = EventReader(after)
    patience = transport.patience()
    while True:
        try:
            last_id = reader.last_id
            with transport.stream(path, last_id, SILENCE_SECONDS) as pieces:
                reader = EventReader(last_id)
                for piece in pieces:
                    for event in reader.feed(piece):
                        patience.reset()
                        yield event
            # The server ends streams when it stops, and is soon back.
            broken = ConnectionFailed("the event stream ended")
            transport.wait_or_raise(broken, patience)
        except (ApiError, ConnectionFailed) as error:
            transport.wait_or_raise(error, patience)
