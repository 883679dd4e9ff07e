"""Server-sent events, line by line."""

from __future__ import annotations

import json
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
    """Puts lines together to events, and remembers the last id."""

    def __init__(self, last_id: int | None = None) -> None:
        self.last_id = last_id
        self._kind = ""
        self._data: list[str] = []

    def feed(self, line: str) -> Event | None:
        """Takes a line without its end; answers an event where the line ends one."""
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
        if not has_data:
            return None
        return Event(self.last_id, kind, json.loads(data))
