"""pandas DataFrames in and out. pandas is imported when one is met, or asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .errors import InputsError

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["columns", "is_frame", "rows", "to_frame"]


def is_frame(value: Any) -> bool:
    """Whether it is a DataFrame."""
    kind = type(value)
    return (
        kind.__module__.partition(".")[0] == "pandas" and kind.__name__ == "DataFrame"
    )


def columns(frame: DataFrame) -> dict[str, list[Any]]:
    """A DataFrame as an object of columns, as computations return it.

    An index of its own becomes the first columns; missing values are null.
    """
    frame = _with_index(frame)
    return {str(name): _values(frame[name]) for name in frame.columns}


def rows(frame: DataFrame) -> list[dict[str, Any]]:
    """A DataFrame as one object for each row. A missing value leaves its member out."""
    listed = columns(frame)
    names = list(listed)
    return [
        {
            name: value
            for name, value in zip(names, row, strict=True)
            if value is not None
        }
        for row in zip(*listed.values(), strict=True)
    ]


def to_frame(value: Any) -> DataFrame:
    """An object of columns, or a list of objects, as a DataFrame."""
    try:
        import pandas
    except ImportError:
        raise InputsError("DataFrames need pandas: pip install pandas") from None
    if isinstance(value, Mapping):
        lists = [each for each in value.values() if isinstance(each, list)]
        if (
            lists
            and len(lists) == len(value)
            and len({len(each) for each in lists}) == 1
        ):
            return pandas.DataFrame(dict(value))
        # One row: every member is a value of it.
        return pandas.DataFrame([dict(value)])
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if is_list and all(isinstance(each, Mapping) for each in value):
        return pandas.DataFrame([dict(each) for each in value])
    raise InputsError(
        f"a {type(value).__name__} makes no DataFrame: an object of columns of one "
        "length, or a list of objects, does"
    )


def _with_index(frame: DataFrame) -> DataFrame:
    index = frame.index
    is_plain = type(index).__name__ == "RangeIndex" and index.start == 0
    if not (is_plain and index.step == 1):
        frame = frame.reset_index()
    names = [str(name) for name in frame.columns]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise InputsError(f"the DataFrame has two columns named {doubled.pop()!r}")
    return frame


def _values(column: Any) -> list[Any]:
    missing = column.isna().tolist()
    pairs = zip(column.tolist(), missing, strict=True)
    return [None if is_missing else value for value, is_missing in pairs]
