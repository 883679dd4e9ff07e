"""Server-sent events from the bytes of a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Event", "EventReader"]


@dataclass(frozen=True)
class Event:
    """One event: `state`, `progress`, `log` or `done` of a task, `task` of a tenant."""

    id: int | None
    kind: str
    data: Any


class EventReader:
    """Puts a stream's bytes together to events, and remembers the last id."""

    def __init__(self, last_id: int | None = None) -> None:
        self.last_id = last_id
        self._begun = b""
        self._kind = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Takes the next bytes, and answers with the events that are whole by them."""
        # Not `splitlines`: texts may hold what Unicode, too, takes for a line's end.
        *lines, self._begun = (self._begun + piece).split(b"\n")
        for line in lines:
            event = self._line(line.removesuffix(b"\r").decode())
            if event is not None:
                yield event

    def _line(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id" and value.isdigit():
            self.last_id = int(value)
        elif name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
        return None

    def _dispatch(self) -> Event | None:
        kind, data = self._kind or "message", "\n".join(self._data)
        has_data = bool(self._data)
        self._kind, self._data = "", []
        return Event(self.last_id, kind, json.loads(data)) if has_data else None
