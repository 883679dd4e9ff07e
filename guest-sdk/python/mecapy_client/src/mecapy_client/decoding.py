"""Answers in JSON as frozen dataclasses."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any, Self, Union, get_args, get_origin

__all__ = ["Model", "UnexpectedAnswer"]

Decode = Callable[[Any], Any]


class UnexpectedAnswer(ValueError):
    """The server's answer is not what its contract says."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """What all answers are."""

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Reads an answer; fields that are not known are left out."""
        if not isinstance(value, Mapping):
            raise UnexpectedAnswer(f"{cls.__name__}: an object was expected")
        given = {}
        plan: list[tuple[str, Decode, bool]] = _plan(cls)  # type: ignore[arg-type]
        for name, decode, is_required in plan:
            if name in value:
                given[name] = decode(value[name])
            elif is_required:
                raise UnexpectedAnswer(f"{cls.__name__} has no {name!r}")
        return cls(**given)


@cache
def _plan(model: Any) -> list[tuple[str, Decode, bool]]:
    hints = typing.get_type_hints(model)
    return [
        (each.name, _decode(hints[each.name]), each.default is MISSING)
        for each in fields(model)
    ]


def _decode(hint: Any) -> Decode:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        inner = [_decode(each) for each in arguments if each is not type(None)]
        # The contract has no other unions than those with null.
        return lambda value: None if value is None else inner[0](value)
    if origin is list:
        item = _decode(arguments[0])
        return lambda value: [item(each) for each in value]
    if hint is datetime:
        return datetime.fromisoformat
    if hint is float:
        return float
    if isinstance(hint, type) and issubclass(hint, Model):
        return hint.from_json
    return lambda value: value
