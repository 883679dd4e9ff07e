"""Code and inputs as the API takes them."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import inspect
import json
import math
import re
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any

from .errors import InputsError
from .models import Module

__all__ = ["Code", "body_bytes", "code_body", "json_value"]

# What can be run: Python source, a file of it, a function, the name of a published
# function (`owner/package@1.2.0#name`), an uploaded module, or the API's own `code`.
Code = str | PurePath | Callable[..., Any] | Module | Mapping[str, Any]

DEPTH_MAX = 200
_PUBLISHED = re.compile(r"[\w.-]+/[\w.-]+(?:[@:][\w.+-]+)?#[\w.-]+", re.ASCII)


def code_body(code: Code) -> dict[str, Any]:
    """The `code` object of a request."""
    if isinstance(code, Module):
        return {"language": "wasm", "module": code.module}
    if isinstance(code, Mapping):
        return dict(code)
    if isinstance(code, PurePath):
        return {"language": "python", "source": _source(Path(code))}
    if isinstance(code, str):
        if _PUBLISHED.fullmatch(code):
            return {"function": code}
        if "\n" not in code and code.endswith(".py"):
            raise InputsError(f"give a file as a path: Path({code!r})")
        return {"language": "python", "source": code}
    if inspect.isfunction(code):
        return _function_body(code)
    raise InputsError(
        f"a {type(code).__name__} can't be run: give Python source, a Path to it, a "
        "function, the name of a published one (owner/package@1.2.0#name), an uploaded "
        "module, or the API's own code object"
    )


def _function_body(function: Callable[..., Any]) -> dict[str, Any]:
    """A function with the whole file that it is in; alone where it is in no file."""
    name = function.__name__
    if name == "<lambda>":
        raise InputsError("a lambda can't be sent: give it a name with def")
    try:
        path = Path(inspect.getfile(function))
        # At its module's top level only is it there when the module has been run.
        if path.is_file() and function.__qualname__ == name:
            return {"language": "python", "source": _source(path), "entry": name}
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise InputsError(
            f"the source of {name} can't be found: give the source itself"
        ) from None
    if function.__closure__:
        free = ", ".join(function.__code__.co_freevars)
        raise InputsError(
            f"{name} uses {free} of the function around it: pass it along"
        )
    return {"language": "python", "source": source, "entry": name}


def _source(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputsError(f"{path} can't be read: {error}") from None


def body_bytes(body: Mapping[str, Any]) -> bytes:
    """A request's body; what was left out is not sent. Numbers keep every digit."""
    given = {name: value for name, value in body.items() if value is not None}
    try:
        text = json.dumps(
            json_value(given),
            ensure_ascii=False,
            allow_nan=False,
            separators=(",", ":"),
        )
        return text.encode()
    except UnicodeEncodeError:
        raise InputsError(
            "a text holds half of a surrogate pair: it is no Unicode"
        ) from None


def json_value(value: Any, pointer: str = "", depth: int = 0) -> Any:
    """A value in JSON's own types. Raises `InputsError` with the value's place."""
    if depth > DEPTH_MAX:
        raise InputsError(f"{pointer[:80]}…: nested too deep, or in itself")
    if isinstance(value, enum.Enum):
        return json_value(value.value, pointer, depth + 1)
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputsError(
                f"{pointer}: {value} can't be sent, JSON has no such number; send null "
                "for a missing value"
            )
        return float(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {
            each.name: getattr(value, each.name) for each in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {
            _key(key, pointer): json_value(each, f"{pointer}/{key}", depth + 1)
            for key, each in value.items()
        }
    if isinstance(value, (list, tuple, range)):
        return [
            json_value(each, f"{pointer}/{at}", depth + 1)
            for at, each in enumerate(value)
        ]
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        # pandas' missing time is a kind of datetime.
        return None if type(value).__name__ == "NaTType" else value.isoformat()
    return json_value(_foreign(value, pointer), pointer, depth + 1)


def _key(key: Any, pointer: str) -> str:
    if not isinstance(key, str):
        raise InputsError(f"{pointer}: the key {key!r} is no text; JSON's keys are")
    return key


def _foreign(value: Any, pointer: str) -> Any:
    """What pandas and NumPy hold, without importing either."""
    kind = type(value)
    if kind.__module__.partition(".")[0] == "pandas":
        if kind.__name__ == "DataFrame":
            from .frames import columns

            return columns(value)
        if kind.__name__ == "NAType":
            return None
        if hasattr(value, "isna") and hasattr(value, "tolist"):
            missing = value.isna().tolist()
            pairs = zip(value.tolist(), missing, strict=True)
            return [None if is_missing else each for each, is_missing in pairs]
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, PurePath):
        raise InputsError(f"{pointer}: a file is no input, give it in files=")
    raise InputsError(
        f"{pointer}: a {kind.__name__} can't be sent; numbers, texts, lists, dicts, "
        "dataclasses, arrays and DataFrames can"
    )
