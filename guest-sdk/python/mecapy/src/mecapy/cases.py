"""A package's test cases: both dialects read, and one case compared with its result.

    {"handler": "module:function", "test_cases": [
        {"request": {…}, "expected": {…}, "tolerance": {"numeric": 0.1}}]}
    {"function": "name or module:function", "test_cases": [
        {"inputs": {…}, "expected_outputs": {…}},
        {"inputs": {…}, "expected_exception": "ValueError"}]}

What is expected may be a part of the result. Numbers match within the tolerance, which
is absolute; without one, to nine digits.
"""

import dataclasses
import enum
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from .faults import shown

__all__ = ["Case", "CaseError", "CaseFile", "json_form", "mismatches", "read_cases"]

RELATIVE_TOLERANCE = 1e-9
CASE_FILE_BYTES_MAX = 16 << 20
NOTHING: Any = object()


class CaseError(Exception):
    """A file of test cases that can't be read as one."""


@dataclass(frozen=True)
class Case:
    """One call, and what should come of it."""

    name: str
    inputs: Mapping[str, Any]
    expected: Any = NOTHING
    exception: str | None = None
    tolerance: float | None = None


@dataclass(frozen=True)
class CaseFile:
    """The test cases of one function."""

    path: Path
    # `module:function`, or the name of a function.
    target: str
    cases: tuple[Case, ...]


def read_cases(path: Path) -> CaseFile:
    """Reads a file in either dialect, JSON or YAML. Raises `CaseError`."""
    document = _load(path)
    if not isinstance(document, Mapping):
        raise CaseError(f"{path}: an object is needed, not {shown(document)}")
    targets = [key for key in ("handler", "function") if key in document]
    if len(targets) != 1 or not isinstance(document[targets[0]], str):
        raise CaseError(
            f'{path}: "handler" or "function" must say which function is tested, '
            'as in "module:function"'
        )
    listed = document.get("test_cases")
    if not isinstance(listed, list) or not listed:
        raise CaseError(f'{path}: "test_cases" must be a list with one case at least')
    cases = tuple(_case(path, at, each) for at, each in enumerate(listed))
    return CaseFile(path, document[targets[0]], cases)


def _load(path: Path) -> Any:
    try:
        if path.stat().st_size > CASE_FILE_BYTES_MAX:
            raise CaseError(f"{path} has more than {CASE_FILE_BYTES_MAX} bytes")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CaseError(f"{path} can't be read: {error}") from None
    if path.suffix == ".json":
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CaseError(f"{path} is no JSON: {error}") from None
    return load_yaml(path, text)


def load_yaml(path: Path, text: str) -> Any:
    """Reads YAML, where PyYAML is installed. Raises `CaseError`."""
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError:
        raise CaseError(
            f"{path}: YAML needs PyYAML (pip install PyYAML), and JSON nothing"
        ) from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CaseError(f"{path} is no YAML: {error}") from None


def _case(path: Path, at: int, case: Any) -> Case:
    place = f"{path}: /test_cases/{at}"
    if not isinstance(case, Mapping):
        raise CaseError(f"{place}: an object is needed, not {shown(case)}")
    inputs = _one_of(case, ("request", "inputs"), place)
    if not isinstance(inputs, Mapping):
        raise CaseError(f"{place}: the inputs are an object, not {shown(inputs)}")
    outcomes = ("expected", "expected_outputs", "expected_exception")
    expected = _one_of(case, outcomes, place)
    exception = case.get("expected_exception")
    if exception is not None and not isinstance(exception, str):
        raise CaseError(f"{place}/expected_exception: an exception's name is needed")
    tolerance = case.get("tolerance")
    if isinstance(tolerance, Mapping):
        tolerance = tolerance.get("numeric")
    if tolerance is not None and not _is_tolerance(tolerance):
        raise CaseError(
            f'{place}/tolerance: {{"numeric": a number from 0 on}} is needed, '
            f"not {shown(tolerance)}"
        )
    return Case(
        name=str(case.get("name") or f"case {at + 1}"),
        inputs=inputs,
        expected=NOTHING if exception is not None else expected,
        exception=exception,
        tolerance=tolerance,
    )


def _one_of(case: Mapping[str, Any], keys: tuple[str, ...], place: str) -> Any:
    given = [key for key in keys if key in case]
    if len(given) != 1:
        listed = ", ".join(map(repr, keys))
        found = " and ".join(map(repr, given)) or "none"
        raise CaseError(f"{place}: one of {listed} is needed, and there is {found}")
    return case[given[0]]


def _is_tolerance(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and 0 <= value < math.inf


def mismatches(case: Case, result: Any) -> Iterator[str]:
    """Where a result is not what the case expects, one sentence each."""
    yield from _compare("result", result, case.expected, case.tolerance)


def _compare(place: str, got: Any, want: Any, tolerance: float | None) -> Iterator[str]:
    if isinstance(want, Mapping):
        if not isinstance(got, Mapping):
            yield f"{place} is {shown(got)}, and an object is expected"
            return
        for key, each in want.items():
            if key not in got:
                yield f"{place}.{key} is missing"
            else:
                yield from _compare(f"{place}.{key}", got[key], each, tolerance)
    elif isinstance(want, (list, tuple)):
        if not isinstance(got, (list, tuple)) or len(got) != len(want):
            yield f"{place} is {shown(got)}, and {shown(want)} is expected"
            return
        for at, (one, other) in enumerate(zip(got, want, strict=True)):
            yield from _compare(f"{place}[{at}]", one, other, tolerance)
    elif _is_number(want) and _is_number(got):
        if tolerance is None:
            if not math.isclose(got, want, rel_tol=RELATIVE_TOLERANCE):
                yield (
                    f"{place} is {got!r}, and {want!r} is expected "
                    'to nine digits: a case may have a "tolerance"'
                )
        elif not abs(got - want) <= tolerance:
            yield f"{place} is {got!r}, and {want!r} ± {tolerance!r} is expected"
    elif type(got) is not type(want) or got != want:
        yield f"{place} is {shown(got)}, and {shown(want)} is expected"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def json_form(value: Any, place: str = "result") -> Any:
    """The value as the platform would write it. Raises `ValueError` where it can't."""
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{place} is {value}: JSON has no such number")
        return float(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {
            each.name: getattr(value, each.name) for each in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {
            str(key): json_form(each, f"{place}.{key}") for key, each in value.items()
        }
    if isinstance(value, (set, frozenset)):
        value = sorted(value)
    if isinstance(value, (list, tuple, range)):
        return [json_form(each, f"{place}[{at}]") for at, each in enumerate(value)]
    if isinstance(value, complex):
        return {"re": value.real, "im": value.imag}
    if isinstance(value, enum.Enum):
        return json_form(value.value, place)
    if isinstance(value, PurePath):
        return str(value)
    for method in ("tolist", "isoformat"):
        if hasattr(value, method):
            return json_form(getattr(value, method)(), place)
    if type(value).__name__ in ("Decimal", "Fraction"):
        return str(value)
    raise ValueError(
        f"{place} is a value of type {type(value).__name__}: return numbers, text, "
        "lists, dicts or dataclasses of them"
    )
