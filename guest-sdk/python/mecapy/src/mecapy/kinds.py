"""The catalogue of types: each port's value read from JSON, and written back as JSON.

`read` gives what the function is called with, `write` what its result says. Both raise
`Refused`, with the place inside the value where it doesn't fit.
"""

import dataclasses
import json
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeVar

from . import units
from .faults import Refused, shown, suggestion, token

if TYPE_CHECKING:
    from .ports import Port

__all__ = ["PortType", "QUANTITIES"]

T = TypeVar("T")

# The widest integer that a 32-bit NumPy index holds.
INTEGER_MAX = 2**31 - 1

# Quantities of the catalogue, and their SI units: what a port without a unit is in.
QUANTITIES: Mapping[str, str] = {
    "Length": "m",
    "Area": "m^2",
    "Volume": "m^3",
    "Mass": "kg",
    "Density": "kg/m^3",
    "Time": "s",
    "Frequency": "Hz",
    "Angle": "rad",
    "Force": "N",
    "Moment": "N*m",
    "Pressure": "Pa",
    "Stress": "Pa",
    "Temperature": "K",
    "Energy": "J",
    "Power": "W",
    "Velocity": "m/s",
    "Acceleration": "m/s^2",
}


# Types with several numbers, and the unit of each where the port has none of its own.
COMPONENTS: Mapping[str, str] = {
    "Vector3": "1",
    "Force3": "N",
    "Moment3": "N*m",
    "Matrix": "1",
}


class PortType:
    """What values a port takes. `form` is how the manifest says it."""

    unit: str | None = None

    @property
    def form(self) -> str:
        raise NotImplementedError

    def read(self, value: Any, files: Path) -> Any:
        raise NotImplementedError

    def write(self, value: Any, files: Path) -> Any:
        return self.read(_plain(value), files)


@dataclass(frozen=True)
class Scalar(PortType):
    """Numeric, Integer, Float, Boolean, String or Object."""

    name: str
    unit: str | None = None

    @property
    def form(self) -> str:
        return self.name

    def read(self, value: Any, files: Path) -> Any:
        match self.name:
            case "Object":
                if isinstance(value, Mapping):
                    return value
                raise Refused("wrong_type", f"an object is needed, not {shown(value)}")
            case "Boolean":
                if isinstance(value, bool):
                    return value
                raise Refused(
                    "wrong_type", f"true or false is needed, not {shown(value)}"
                )
            case "String":
                if isinstance(value, str):
                    return value
                raise Refused("wrong_type", f"a text is needed, not {shown(value)}")
        read = {"Integer": _integer, "Float": number, "Numeric": _numeric}[self.name]
        return in_unit(value, self.unit or "1", read)

    def write(self, value: Any, files: Path) -> Any:
        # Nothing follows in which a large one could wrap.
        if self.name == "Integer":
            return _integer(_plain(value), math.inf)
        return super().write(value, files)


@dataclass(frozen=True)
class Quantity(PortType):
    """A number with a dimension, in the port's unit."""

    name: str
    unit: str | None = None

    @property
    def form(self) -> str:
        return self.name

    def read(self, value: Any, files: Path) -> float:
        unit = self.unit or QUANTITIES[self.name]
        return in_unit(value, unit, number, is_frequency=self.name == "Frequency")


@dataclass(frozen=True)
class Components(PortType):
    """Vector3, Force3, Moment3, or Matrix: numbers in rows, of one unit."""

    name: str
    unit: str | None = None

    @property
    def form(self) -> str:
        return self.name

    def read(self, value: Any, files: Path) -> list[Any]:
        read = _matrix if self.name == "Matrix" else _three
        return in_unit(value, self.unit or COMPONENTS[self.name], read)


@dataclass(frozen=True)
class Torsor(PortType):
    """A force and a moment, each with three components, in N and N m."""

    @property
    def form(self) -> str:
        return "Torsor"

    def read(self, value: Any, files: Path) -> dict[str, Any]:
        parts = {"force": Components("Force3"), "moment": Components("Moment3")}
        _members(value, parts)
        for name in parts:
            if name not in value:
                raise Refused("required", f"{name} is needed here", token(name))
        return {n: _inside(n, parts[n].read, value[n], files) for n in parts}


@dataclass(frozen=True)
class File(PortType):
    """A file: a `pathlib.Path` in Python, its name in JSON."""

    extensions: tuple[str, ...] = ()

    @property
    def form(self) -> str:
        return f"File[{','.join(self.extensions)}]" if self.extensions else "File"

    def read(self, value: Any, files: Path) -> Path:
        if not isinstance(value, (str, PurePath)) or not str(value):
            raise Refused("wrong_type", f"a file's name is needed, not {shown(value)}")
        path = files / value
        self._check(path)
        return path

    def write(self, value: Any, files: Path) -> str:
        path = self.read(value, files)
        try:
            return path.resolve().relative_to(files.resolve()).as_posix()
        except ValueError:
            raise Refused(
                "wrong_place",
                f"{path.name} is outside of the folder of artifacts: "
                "give it to mecapy.artifact(path), and return what that answers",
            ) from None

    def _check(self, path: Path) -> None:
        if not path.is_file():
            raise Refused("no_file", f"there is no file {path.name!r}")
        extension = path.suffix[1:].lower()
        if self.extensions and extension not in self.extensions:
            raise Refused(
                "wrong_extension",
                f"a file of the kinds {', '.join(self.extensions)} is needed, "
                f"not {path.name!r}",
            )


@dataclass(frozen=True)
class List(PortType):
    """Any number of values of one type."""

    item: PortType

    @property
    def form(self) -> str:
        return f"list[{self.item.form}]"

    @property
    def unit(self) -> str | None:  # type: ignore[override]
        return self.item.unit

    def read(self, value: Any, files: Path) -> list[Any]:
        return self._each(value, files, self.item.read)

    def write(self, value: Any, files: Path) -> list[Any]:
        return self._each(_plain(value), files, self.item.write)

    def _each(self, value: Any, files: Path, use: Callable[..., Any]) -> list[Any]:
        if is_measured(value) and self.unit is not None:
            inner, unit = value["value"], value["unit"]
            if isinstance(inner, (list, tuple)):
                value = [{"value": each, "unit": unit} for each in inner]
        if not isinstance(value, (list, tuple)):
            raise Refused("wrong_type", f"a list is needed here, not {shown(value)}")
        return [_inside(at, use, each, files) for at, each in enumerate(value)]


@dataclass(frozen=True)
class Dict(PortType):
    """Any number of values of one type, by name."""

    item: PortType

    @property
    def form(self) -> str:
        return f"dict[str,{self.item.form}]"

    @property
    def unit(self) -> str | None:  # type: ignore[override]
        return self.item.unit

    def read(self, value: Any, files: Path) -> dict[str, Any]:
        return self._each(value, files, self.item.read)

    def write(self, value: Any, files: Path) -> dict[str, Any]:
        return self._each(value, files, self.item.write)

    def _each(self, value: Any, files: Path, use: Callable[..., Any]) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise Refused("wrong_type", f"an object is needed here, not {shown(value)}")
        for name in value:
            if not isinstance(name, str):
                raise Refused("wrong_type", f"names are texts, and {name!r} is none")
        return {name: _inside(name, use, each, files) for name, each in value.items()}


@dataclass(frozen=True)
class Choice(PortType):
    """One of a few values: `literal["8.8","10.9"]`."""

    values: tuple[str | int | bool, ...]

    @property
    def form(self) -> str:
        listed = (json.dumps(value, ensure_ascii=False) for value in self.values)
        return f"literal[{','.join(listed)}]"

    def read(self, value: Any, files: Path) -> Any:
        for allowed in self.values:
            if type(value) is type(allowed) and value == allowed:
                return value
        listed = ", ".join(map(repr, self.values))
        close = suggestion(value, [v for v in self.values if isinstance(v, str)])
        raise Refused("unknown_value", f"{shown(value)} is not one of {listed}{close}")


@dataclass(frozen=True)
class Struct(PortType):
    """Named fields: a dataclass in Python, or a dictionary."""

    fields: Mapping[str, "Port"]
    make: Callable[..., Any]

    @property
    def form(self) -> str:
        fields = ", ".join(
            f"{name}{'' if port.required else '?'}: {port.kind.form}"
            + (f" in {port.kind.unit}" if port.kind.unit is not None else "")
            for name, port in self.fields.items()
        )
        return f"struct{{{fields}}}"

    def read(self, value: Any, files: Path) -> Any:
        if self._is_made(value):
            return value
        _members(value, self.fields)
        read = {}
        for name, port in self.fields.items():
            # Where there is a default, null is the same as nothing.
            if value.get(name) is not None or (name in value and port.required):
                read[name] = _inside(name, port.read, value[name], files)
            elif port.required:
                raise Refused("required", f"{name} is needed here", token(name))
        try:
            return self.make(**read)
        except ValueError as error:
            # A dataclass may check its fields together when it is made.
            raise Refused("invalid", str(error)) from None

    def write(self, value: Any, files: Path) -> dict[str, Any]:
        if self._is_made(value):
            value = {name: getattr(value, name) for name in self.fields}
        _members(value, self.fields)
        written = {}
        for name, port in self.fields.items():
            if name in value:
                written[name] = _inside(name, port.write, value[name], files)
            elif port.required:
                raise Refused("required", f"{name} is missing", token(name))
        return written

    def _is_made(self, value: Any) -> bool:
        return dataclasses.is_dataclass(self.make) and isinstance(value, self.make)


def holds_object(kind: PortType) -> bool:
    """Whether any part of it is an Object, which only inputs may be."""
    match kind:
        case Scalar(name="Object"):
            return True
        case List(item=item) | Dict(item=item):
            return holds_object(item)
        case Struct(fields=fields):
            return any(holds_object(port.kind) for port in fields.values())
    return False


def is_measured(value: Any) -> bool:
    """Whether it is `{"value": …, "unit": …}`."""
    return isinstance(value, Mapping) and value.keys() == {"value", "unit"}


def admitted(unit: units.Unit, *, is_frequency: bool) -> units.Unit:
    """The unit, where a frequency may be given in turns (rpm): a turn is a cycle."""
    return (unit.in_cycles() if is_frequency else None) or unit


def in_unit(
    value: Any, unit: str, read: Callable[[Any], T], *, is_frequency: bool = False
) -> T:
    """Reads a value that may carry a unit of its own, and converts it to the port's."""
    if not is_measured(value):
        return read(value)
    given = value["unit"]
    if not isinstance(given, str):
        raise Refused("wrong_type", f"a unit is a text, not {shown(given)}", "/unit")
    try:
        source = admitted(units.parse(given), is_frequency=is_frequency)
    except units.UnitError as error:
        message = f"{error}; a unit like {unit} is needed here"
        raise Refused("unknown_unit", message, "/unit") from None
    target = admitted(units.parse(unit), is_frequency=is_frequency)
    plain = _inside("value", read, value["value"])
    try:
        converted: T = _map_numbers(
            plain, lambda each: units.convert(each, source, target)
        )
        return converted
    except units.UnitError as error:
        message = f"{error}; a unit like {unit} is needed here"
        raise Refused("wrong_dimension", message, "/unit") from None


def number(value: Any) -> float:
    """A finite double."""
    value = _plain(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused("wrong_type", f"a number is needed here, not {shown(value)}")
    try:
        converted = float(value)
    except OverflowError:
        converted = math.inf
    if not math.isfinite(converted):
        what = shown(value) if isinstance(value, int) else repr(converted)
        raise Refused("not_finite", f"a finite number is needed here, not {what}")
    return converted


def _numeric(value: Any) -> int | float:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return value if is_integer else number(value)


def _integer(value: Any, largest: float = INTEGER_MAX) -> int:
    whole = value
    if isinstance(value, float) and value.is_integer():
        whole = int(value)
    if isinstance(whole, bool) or not isinstance(whole, int):
        code = "not_whole" if isinstance(value, float) else "wrong_type"
        raise Refused(code, f"a whole number is needed here, not {shown(value)}")
    if abs(whole) > largest:
        raise Refused(
            "out_of_range",
            f"{shown(whole)} is beyond ±{INTEGER_MAX}, where indices of arrays wrap: "
            "declare the port as Float or Numeric if it is no index",
        )
    return whole


def _three(value: Any) -> list[float]:
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        code = "wrong_length" if isinstance(value, (list, tuple)) else "wrong_type"
        raise Refused(code, f"a list of 3 numbers is needed, not {shown(value)}")
    return [_inside(at, number, each) for at, each in enumerate(value)]


def _matrix(value: Any) -> list[list[float]]:
    if not isinstance(value, (list, tuple)):
        raise Refused(
            "wrong_type", f"a list of rows is needed here, not {shown(value)}"
        )
    return [_inside(at, _row, row, value[0]) for at, row in enumerate(value)]


def _row(value: Any, first: Any) -> list[float]:
    if not isinstance(value, (list, tuple)):
        raise Refused("wrong_type", f"a row is a list of numbers, not {shown(value)}")
    if len(value) != len(first):
        message = f"this row has {len(value)} numbers, and the first has {len(first)}"
        raise Refused("wrong_length", message)
    return [_inside(at, number, each) for at, each in enumerate(value)]


def _members(value: Any, known: Mapping[str, Any]) -> None:
    """Raises where it is no object, or has a member that is not known."""
    if not isinstance(value, Mapping):
        raise Refused("wrong_type", f"an object is needed here, not {shown(value)}")
    for name in value:
        if name not in known:
            raise Refused(
                "unknown_field",
                f"{name!r} is not known here{suggestion(name, known)} "
                f"(there are {', '.join(known)})",
                token(name),
            )


def _inside(name: str | int, use: Callable[..., Any], *values: Any) -> Any:
    """Uses a part; what it refuses is told with the part's place."""
    try:
        return use(*values)
    except Refused as no:
        raise Refused(no.code, no.message, token(name) + no.pointer) from None


def _map_numbers(value: Any, use: Callable[[float], float]) -> Any:
    if isinstance(value, list):
        return [_map_numbers(each, use) for each in value]
    return use(value)


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays as Python's own; other values as they are."""
    if isinstance(value, (bool, int, float, str, Sequence, Mapping)):
        return value
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    return value
