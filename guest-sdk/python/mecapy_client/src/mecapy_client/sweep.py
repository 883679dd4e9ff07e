"""The inputs of many runs: every combination of a grid, or rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import InputsError
from .frames import is_frame
from .frames import rows as frame_rows

__all__ = ["ITEMS_MAX", "items"]

ITEMS_MAX = 100_000


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
