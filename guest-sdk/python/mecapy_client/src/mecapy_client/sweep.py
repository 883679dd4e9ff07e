"""The inputs of many runs: every combination of a grid, or rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from .encoding import json_value
from .errors import InputsError
from .frames import is_frame
from .frames import rows as frame_rows
from .outcome import Item

__all__ = ["BATCH_OPTIONS", "ITEMS_MAX", "batch_body", "items", "sendable"]

ITEMS_MAX = 100_000
# What a batch may be told; a sweep that is told anything else is made of tasks.
BATCH_OPTIONS = frozenset(
    {
        "files",
        "idempotency_key",
        "invalid_items",
        "isolation",
        "kernels",
        "labels",
        "lane",
        "limits",
        "name",
        "non_finite",
        "on_error",
        "priority",
        "seed",
        "study",
    }
)


def items(
    grid: Mapping[str, Iterable[Any]] | None, rows: Any, fixed: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """The inputs of each run, `fixed` beneath those of the grid or the row.

    In a grid, the last name varies fastest.
    """
    if (grid is None) == (rows is None):
        raise InputsError("give either grid= or rows=")
    base = dict(fixed or {})
    if grid is not None:
        return [{**base, **point} for point in _points(grid)]
    listed = frame_rows(rows) if is_frame(rows) else list(rows)
    for at, row in enumerate(listed):
        if not isinstance(row, Mapping):
            raise InputsError(f"rows[{at}] is a {type(row).__name__}: a dict is needed")
    _bound(len(listed))
    return [{**base, **row} for row in listed]


def batch_body(
    sweep: Mapping[str, Any] | None, rows: Any, fixed: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What varies in a batch's request, and what all items have in common."""
    if (sweep is None) == (rows is None):
        raise InputsError("give either sweep= or rows=")
    common = {"inputs": dict(fixed) if fixed else None}
    if sweep is not None:
        return {"sweep": {name: _axis(axis) for name, axis in sweep.items()}, **common}
    listed = [{"inputs": row} for row in items(None, rows, None)]
    return {"items": listed, **common}


def _axis(axis: Any) -> Any:
    """Values as a list; how they are made as it is."""
    if isinstance(axis, (str, bytes)):
        raise InputsError(f"{axis!r} is no list of values")
    if isinstance(axis, (Mapping, list, tuple, range)) or hasattr(axis, "tolist"):
        return axis
    return list(axis) if isinstance(axis, Iterable) else axis


def sendable(
    listed: Iterable[dict[str, Any]],
) -> tuple[dict[int, dict[str, Any]], list[Item]]:
    """The inputs that can be sent, by their index, and the items that can't."""
    sent: dict[int, dict[str, Any]] = {}
    refused: list[Item] = []
    for index, inputs in enumerate(listed):
        try:
            sent[index] = json_value(inputs, "/inputs")
        except InputsError as error:
            item = Item(index=index, inputs=inputs, outcome=None, error=error)
            refused.append(item)
    return sent, refused


def _points(grid: Mapping[str, Iterable[Any]]) -> Iterable[dict[str, Any]]:
    axes = {}
    for name, values in grid.items():
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(
            values, Iterable
        ):
            raise InputsError(f"grid[{name!r}] must be a list of values")
        axes[name] = list(values)
    count = 1
    for axis in axes.values():
        count *= len(axis)
    _bound(count)
    combinations = itertools.product(*axes.values())
    return (dict(zip(axes, values, strict=True)) for values in combinations)


def _bound(count: int) -> None:
    if count == 0:
        raise InputsError("there is nothing to run: a list of values is empty")
    if count > ITEMS_MAX:
        raise InputsError(
            f"{count:,} runs are too many at once: {ITEMS_MAX:,} are allowed"
        )
