"""A package's test cases: both dialects read, and one case compared with its result.

    {"handler": "module:function", "test_cases": [
        {"request": {…}, "expected": {…}, "tolerance": {"numeric": 0.1}}]}
    {"function": "name or module:function", "test_cases": [
        {"inputs": {…}, "expected_outputs": {…}},
        {"inputs": {…}, "expected_exception": "ValueError"}]}

A `request` whose names are not the function's has its values in the order of the
parameters. What is expected may be a part of the result. A number matches within
`numeric` of the expected one, or within `relative` times it; without a tolerance,
within 1e-9 times it. The platform reads and compares test cases in the same way.
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

CASE_FILE_BYTES_MAX = 16 << 20
NOTHING: Any = object()


class CaseError(Exception):
    """A file of test cases that can't be read as one."""


@dataclass(frozen=True)
class Tolerance:
    """How far a number may be from the expected one."""

    absolute: float = 0.0
    # Times the expected number.
    relative: float = 1e-9

    def covers(self, got: float, want: float) -> bool:
        """Whether the numbers match."""
        allowed = max(self.absolute, self.relative * abs(want))
        return got == want or abs(got - want) <= allowed

    def __str__(self) -> str:
        said = []
        if self.absolute:
            said.append(f"{self.absolute:g}")
        if self.relative:
            said.append(f"{self.relative:g} of it")
        return f" ± {' or '.join(said)}" if said else ""


@dataclass(frozen=True)
class Case:
    """One call, and what should come of it."""

    name: str
    inputs: Mapping[str, Any]
    # Whether inputs with other names are taken in order.
    is_ordered: bool = False
    expected: Any = NOTHING
    # The name of an exception's class, and what its text must hold.
    exception: str | None = None
    message: str = ""
    tolerance: Tolerance = Tolerance()


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
    source = _one_of(case, ("request", "inputs"), place, "inputs")
    inputs = case.get(source, {})
    if not isinstance(inputs, Mapping):
        raise CaseError(f"{place}/{source}: an object is needed, not {shown(inputs)}")
    outcomes = ("expected", "expected_outputs", "expected_exception")
    outcome = _one_of(case, outcomes, place)
    expected, exception, message = case[outcome], None, ""
    if outcome == "expected_exception":
        if not isinstance(expected, str) or not expected:
            raise CaseError(
                f"{place}/{outcome}: the name of an exception is needed, as in "
                '"ValueError" or "ValueError: part of its text"'
            )
        exception, _, message = (part.strip() for part in expected.partition(":"))
    return Case(
        name=str(case.get("name") or f"case {at + 1}"),
        inputs=inputs,
        is_ordered=source == "request",
        expected=expected,
        exception=exception,
        message=message,
        tolerance=_tolerance(case.get("tolerance"), place),
    )


def _one_of(
    case: Mapping[str, Any], keys: tuple[str, ...], place: str, default: str = ""
) -> str:
    """Which of the keys is given; the default where none is."""
    given = [key for key in keys if key in case]
    if not given and default:
        return default
    if len(given) != 1:
        listed = ", ".join(map(repr, keys))
        found = " and ".join(map(repr, given)) or "none"
        raise CaseError(f"{place}: one of {listed} is needed, and there is {found}")
    return given[0]


def _tolerance(said: Any, place: str) -> Tolerance:
    if said is None:
        return Tolerance()
    known = {"numeric", "relative"}
    numbers = said.values() if isinstance(said, Mapping) else [None]
    if not all(map(_is_tolerance, numbers)) or not said.keys() <= known:
        raise CaseError(
            f'{place}/tolerance: {{"numeric": …}} or {{"relative": …}} with a number '
            "that is not negative is needed"
        )
    if not said:
        return Tolerance()
    return Tolerance(said.get("numeric", 0.0), said.get("relative", 0.0))


def _is_tolerance(value: Any) -> bool:
    return _is_number(value) and 0 <= value < math.inf


def mismatches(case: Case, result: Any) -> Iterator[str]:
    """Where a result is not what the case expects, one sentence each."""
    yield from _compare("result", result, case.expected, case.tolerance)


def _compare(place: str, got: Any, want: Any, tolerance: Tolerance) -> Iterator[str]:
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
        if not tolerance.covers(got, want):
            yield f"{place} is {got!r}, and {want!r}{tolerance} is expected"
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
