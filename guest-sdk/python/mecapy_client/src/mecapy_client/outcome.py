"""How computations ended: one, or many of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

from .display import error_html, pictures_html, state_html, table_html
from .errors import MecapyError, TaskFailed
from .frames import to_frame
from .models import TaskError, TaskState, TaskWarning, Usage

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Item", "Outcome", "Sweep"]


@dataclass(frozen=True, kw_only=True)
class Outcome(Mapping[str, Any]):
    """How a task or preview ended. It is the mapping of its results, too."""

    state: TaskState
    result: dict[str, Any] | None
    error: TaskError | None = None
    warnings: Sequence[TaskWarning] = ()
    seed: int | None = None
    usage: Usage | None = None
    stdout: str = ""
    stderr: str = ""
    # The task's id; None for a preview, which leaves no task.
    task_id: str | None = None
    # Files that came along: name → (content type, bytes). All of a preview's are here,
    # of a task's the pictures, where a notebook shows them.
    files: Mapping[str, tuple[str, bytes]] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Any:
        if self.result is None:
            raise TaskFailed(self)
        return self.result[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.result or {})

    def __len__(self) -> int:
        return len(self.result or {})

    def check(self) -> Outcome:
        """Itself where it completed; raises `TaskFailed` where not."""
        if self.state != "completed":
            raise TaskFailed(self)
        return self

    def frame(self, name: str | None = None) -> DataFrame:
        """A result (or all of them) as a DataFrame: columns, or a list of rows."""
        return to_frame(self.check().result if name is None else self[name])

    def _repr_html_(self) -> str:
        took = "" if self.usage is None else f"in {self.usage.execute_ms:.3g} ms"
        parts = [state_html(self.state, took)]
        if self.error is not None:
            parts.append(error_html(str(TaskFailed(self))))
        parts.append(table_html((self.result or {}).items()))
        parts += [error_html(f"{each.code}: {each.message}") for each in self.warnings]
        parts.append(pictures_html(self.files))
        return "".join(parts)


@dataclass(frozen=True, kw_only=True)
class Item:
    """One run of a sweep. `error` is what went wrong where there is no outcome."""

    index: int
    inputs: Mapping[str, Any]
    outcome: Outcome | None
    error: MecapyError | None = None

    @property
    def state(self) -> str:
        """The task's state, or `refused` where it never ran."""
        return "refused" if self.outcome is None else self.outcome.state

    @property
    def result(self) -> dict[str, Any] | None:
        """The results; None where it did not complete."""
        return None if self.outcome is None else self.outcome.result


class Sweep(Sequence[Item]):
    """The runs of a sweep, in the order of their inputs."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = tuple(items)

    @overload
    def __getitem__(self, at: int) -> Item: ...

    @overload
    def __getitem__(self, at: slice) -> Sweep: ...

    def __getitem__(self, at: int | slice) -> Item | Sweep:
        return Sweep(self._items[at]) if isinstance(at, slice) else self._items[at]

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"<Sweep of {len(self)}: {self._counts()}>"

    @property
    def failed(self) -> list[Item]:
        """The runs that did not complete."""
        return [item for item in self._items if item.state != "completed"]

    def results(self) -> list[dict[str, Any]]:
        """The results of all runs; raises for the first that did not complete."""
        found = []
        for item in self._items:
            if item.outcome is None:
                raise item.error or MecapyError(f"run {item.index} did not run")
            found.append(dict(item.outcome.check().result or {}))
        return found

    def frame(self) -> DataFrame:
        """A DataFrame with a row for each run: inputs, results, state and error.

        A result whose name is taken is there as `result.name`.
        """
        return to_frame([_row(item) for item in self._items])

    def _counts(self) -> str:
        states = [item.state for item in self._items]
        return ", ".join(f"{states.count(each)} {each}" for each in sorted(set(states)))

    def _repr_html_(self) -> str:
        rows = []
        for item in self._items:
            shown = item.result if item.result is not None else _why(item)
            rows.append((str(dict(item.inputs)), shown))
        state = "failed" if self.failed else "completed"
        return state_html(state, self._counts()) + table_html(rows)


def _row(item: Item) -> dict[str, Any]:
    row = dict(item.inputs)
    taken = {*item.inputs, "state", "error"}
    for name, value in (item.result or {}).items():
        row[f"result.{name}" if name in taken else name] = value
    row["state"] = item.state
    row["error"] = _why(item)
    return row


def _why(item: Item) -> str | None:
    if item.outcome is None:
        return str(item.error)
    error = item.outcome.error
    return None if error is None else f"{error.kind}: {error.message}"
