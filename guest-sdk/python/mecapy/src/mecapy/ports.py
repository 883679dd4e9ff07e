"""Ports from Python's own annotations: `Annotated[float, Length("mm")]` and its kin."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from . import kinds, units
from .faults import DeclarationError
from .kinds import PortType
from .validity import OnViolation, Validity

__all__ = ["Kind", "Port", "PortNote", "port_of", "struct_fields"]

STRUCT_DEPTH_MAX = 16
# Stands where None would be a default.
NO_DEFAULT: Any = object()


@dataclass(frozen=True)
class PortNote:
    """What an annotation says of a port beside its Python type."""

    kind: str | None = None
    unit: str | None = None
    extensions: tuple[str, ...] = ()
    description: str = ""
    validity: str | None = None
    on_violation: OnViolation = "refuse"


@dataclass(frozen=True)
class Kind:
    """A type of the catalogue, to annotate with.

    `Annotated[float, Length("mm")]` is what type checkers understand; `Length["mm"]`
    says the same in short.
    """

    name: str
    # What `Kind[unit]` annotates.
    base: Any = float

    def __call__(
        self,
        unit: str | None = None,
        description: str = "",
        *,
        validity: str | None = None,
        on_violation: OnViolation = "refuse",
    ) -> PortNote:
        """A port in `unit` (else in SI), where `validity` holds."""
        _check_unit(self.name, unit)
        return PortNote(
            kind=self.name,
            unit=unit,
            description=description,
            validity=validity,
            on_violation=on_violation,
        )

    def __getitem__(self, unit: str) -> Any:
        return Annotated[self.base, self(unit)]


def note(
    description: str = "",
    *,
    unit: str | None = None,
    validity: str | None = None,
    on_violation: OnViolation = "refuse",
) -> PortNote:
    """Describes a port that has no kind of its own: `Annotated[int, Port("Teeth")]`.

    A number may have any unit: `Annotated[float, Port(unit="W/(m*K)")]`.
    """
    _check_unit("", unit)
    return PortNote(
        unit=unit, description=description, validity=validity, on_violation=on_violation
    )


def file_note(*extensions: str, description: str = "") -> PortNote:
    """A file with one of these extensions: `Annotated[Path, File("med", "msh")]`."""
    for extension in extensions:
        if not extension.isalnum():
            raise DeclarationError(
                f"an extension is letters and digits, without a dot, not {extension!r}"
            )
    lower = tuple(extension.lower() for extension in extensions)
    return PortNote(kind="File", extensions=lower, description=description)


@dataclass(frozen=True)
class Port:
    """One input or output of a function."""

    kind: PortType
    description: str = ""
    required: bool = True
    default: Any = field(default=NO_DEFAULT, compare=False)
    validity: Validity | None = None

    def read(self, value: Any, files: Path) -> Any:
        """JSON to what the function is called with."""
        if value is None and not self.required:
            return None
        return self.kind.read(value, files)

    def write(self, value: Any, files: Path) -> Any:
        """What the function returned, as JSON."""
        if value is None and not self.required:
            return None
        return self.kind.write(value, files)

    def form(self, *, is_input: bool) -> dict[str, Any]:
        """The port as the manifest writes it."""
        form: dict[str, Any] = {"type": self.kind.form}
        if self.kind.unit is not None:
            form["unit"] = self.kind.unit
        if self.description:
            form["description"] = self.description
        if is_input or not self.required:
            form["required"] = self.required
        default = _plain_default(self.default)
        if is_input and default is not None:
            form["default"] = default
        if self.validity is not None:
            form["validity"] = self.validity.form
        return form


def port_of(annotation: Any, default: Any = NO_DEFAULT, *, depth: int = 0) -> Port:
    """The port that an annotation describes. Raises `DeclarationError`."""
    annotation, said = _unwrap(annotation)
    inner, is_optional = _without_none(annotation)
    if is_optional:
        inner, more = _unwrap(inner)
        said = said if more == PortNote() else more
    kind = _kind_of(inner, said, depth)
    if said.unit is not None and kind.unit is None:
        raise DeclarationError(f"{kind.form} has no unit, and {said.unit!r} is given")
    validity = said.validity
    return Port(
        kind=kind,
        description=said.description,
        required=default is NO_DEFAULT and not is_optional,
        default=default,
        validity=None if validity is None else Validity(validity, said.on_violation),
    )


def struct_fields(struct: Any, depth: int = 0) -> dict[str, Port]:
    """The fields of a dataclass or TypedDict as ports, in their order."""
    if depth > STRUCT_DEPTH_MAX:
        raise DeclarationError(f"{struct.__name__} is nested in itself, or too deep")
    hints = typing.get_type_hints(struct, include_extras=True)
    fields = {}
    if typing.is_typeddict(struct):
        for name, hint in hints.items():
            if get_origin(hint) in (typing.Required, typing.NotRequired):
                hint = get_args(hint)[0]
            default = NO_DEFAULT if name in struct.__required_keys__ else None
            fields[name] = _field(hint, default, depth)
        return fields
    for each in dataclasses.fields(struct):
        if not each.init:
            continue
        default = NO_DEFAULT
        if each.default is not dataclasses.MISSING:
            default = each.default
        elif each.default_factory is not dataclasses.MISSING:
            default = each.default_factory()
        try:
            fields[each.name] = _field(hints[each.name], default, depth)
        except DeclarationError as error:
            raise DeclarationError(f"{struct.__name__}.{each.name}: {error}") from None
    return fields


def _field(hint: Any, default: Any, depth: int) -> Port:
    port = port_of(hint, default, depth=depth + 1)
    if port.validity is not None and depth > 0:
        raise DeclarationError(
            "a field of a struct has no validity of its own: give the function one, or "
            "check it in __post_init__"
        )
    return port


def is_struct(annotation: Any) -> bool:
    """Whether it is a class with named fields."""
    return isinstance(annotation, type) and (
        dataclasses.is_dataclass(annotation) or typing.is_typeddict(annotation)
    )


def _unwrap(annotation: Any) -> tuple[Any, PortNote]:
    """The type inside `Annotated`, and our note beside it."""
    if isinstance(annotation, Kind):
        return annotation.base, annotation()
    if get_origin(annotation) is not Annotated:
        return annotation, PortNote()
    inner, *said = get_args(annotation)
    for each in said:
        if isinstance(each, PortNote):
            return inner, each
        if isinstance(each, Kind):
            return inner, each()
    return inner, PortNote()


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation, False
    members = get_args(annotation)
    rest = [member for member in members if member is not type(None)]
    if set(rest) == {int, float}:
        return int | float, len(rest) < len(members)
    if len(rest) != 1:
        raise DeclarationError(f"{annotation} has several types: a port has one")
    return rest[0], True


_SCALARS: Mapping[Any, str] = {
    float: "Float",
    int: "Integer",
    bool: "Boolean",
    str: "String",
    dict: "Object",
    int | float: "Numeric",
}
_WITH_UNIT = ("Float", "Integer", "Numeric")


def _kind_of(annotation: Any, said: PortNote, depth: int) -> PortType:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if said.kind == "Torsor":
        return kinds.Torsor()
    if said.kind is not None and said.kind in kinds.COMPONENTS:
        return kinds.Components(said.kind, said.unit)
    if isinstance(annotation, type) and issubclass(annotation, PurePath):
        if said.kind not in (None, "File"):
            raise DeclarationError(f"a path is a File, not a {said.kind}")
        return kinds.File(said.extensions)
    if (
        origin in (list, typing.get_origin(typing.Sequence[int]))
        and len(arguments) == 1
    ):
        return kinds.List(_item(arguments[0], said, depth))
    if origin in (dict, typing.get_origin(Mapping[str, int])) and len(arguments) == 2:
        if arguments[0] is not str:
            raise DeclarationError(f"{annotation}: the names of a dict are str")
        if arguments[1] is Any or arguments[1] is object:
            return kinds.Scalar("Object")
        return kinds.Dict(_item(arguments[1], said, depth))
    if said.kind == "File":
        raise DeclarationError(f"a File is a pathlib.Path, not {annotation}")
    if said.kind is not None:
        if annotation not in (float, int | float):
            raise DeclarationError(f"a {said.kind} is a float, not {_name(annotation)}")
        return kinds.Quantity(said.kind, said.unit)
    if origin is Literal:
        if not all(isinstance(value, (str, int)) for value in arguments):
            raise DeclarationError(f"{annotation}: choices are texts or integers")
        return kinds.Choice(arguments)
    if is_struct(annotation):
        return kinds.Struct(struct_fields(annotation, depth + 1), annotation)
    try:
        name = _SCALARS[annotation]
        return kinds.Scalar(name, said.unit if name in _WITH_UNIT else None)
    except (KeyError, TypeError):
        raise DeclarationError(
            f"{_name(annotation)} is no type of a port: there are float, int, bool, "
            "str, Path, Literal, list[…], dict[str, …], dataclasses, and mecapy's "
            "quantities"
        ) from None


def _item(annotation: Any, said: PortNote, depth: int) -> PortType:
    """What a list or dict holds: the note beside the list speaks of its items."""
    inner, own = _unwrap(annotation)
    return _kind_of(inner, said if own == PortNote() else own, depth)


def _check_unit(kind: str, unit: str | None) -> None:
    if unit is None:
        return
    if not isinstance(unit, str):
        raise DeclarationError(f"the unit of a {kind} is a text, as in {kind}('mm')")
    try:
        parsed = units.parse(unit)
        parsed = kinds.admitted(parsed, is_frequency=kind == "Frequency")
        si = kinds.QUANTITIES.get(kind) or kinds.COMPONENTS.get(kind, "1")
        if kind == "Torsor":
            raise DeclarationError(
                "a Torsor is in N and N*m, and has no unit of its own"
            )
        if si != "1" and units.parse(si).dimension != parsed.dimension:
            raise DeclarationError(f"{unit!r} is no unit of a {kind}, as {si} is")
    except units.UnitError as error:
        raise DeclarationError(str(error)) from None


def _plain_default(default: Any) -> Any:
    """A default as JSON where it has a plain form; None otherwise."""
    if default is NO_DEFAULT or isinstance(default, PurePath):
        return None
    if dataclasses.is_dataclass(default) and not isinstance(default, type):
        default = dataclasses.asdict(default)
    return default if isinstance(default, (bool, int, float, str, list, dict)) else None


def _name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
