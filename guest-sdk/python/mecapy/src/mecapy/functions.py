"""Functions that others call by name, with inputs that are checked.

`@function` leaves the function as it is: Python code calls it as before, at no cost.
What it adds is `__mecapy__`, from which the platform, the test runner and the manifest
read the ports.
"""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, overload

from . import kinds, surroundings
from .faults import (
    DeclarationError,
    Fault,
    InputError,
    OutputError,
    Refused,
    suggestion,
    token,
)
from .ports import NO_DEFAULT, Port, PortNote, is_struct, port_of, struct_fields
from .validity import OnViolation, Validity

__all__ = ["Function", "Signature", "function", "function_of"]

F = TypeVar("F", bound=Callable[..., Any])

TIERS = ("nano", "micro", "small", "medium", "large")
_NUMBERS = ("Numeric", "Integer", "Float", "Boolean")
# What a single returned value is called.
RESULT = "result"


@dataclass(frozen=True)
class Signature:
    """The ports of a function; `outputs` is None where its result is not described."""

    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port] | None
    # Whether the function returns the one output itself, not an object of outputs.
    is_single: bool = False


@dataclass(frozen=True)
class Checked:
    """Values that fit, and what was flagged about them."""

    values: dict[str, Any]
    warnings: tuple[str, ...] = ()


class Function:
    """A decorated function with what is said of it."""

    def __init__(
        self,
        call: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        outputs: Mapping[str, Any] | None = None,
        validity: str | None = None,
        on_violation: OnViolation = "refuse",
        tier: str | None = None,
    ) -> None:
        if tier is not None and tier not in TIERS:
            raise DeclarationError(f"tier is one of {', '.join(TIERS)}, not {tier!r}")
        self.call = call
        self.name = name or call.__name__
        self.description = _described(call) if description is None else description
        self.tier = tier
        self._outputs = outputs
        self.validity = None if validity is None else Validity(validity, on_violation)

    @property
    def handler(self) -> str:
        """Where the platform finds it: `module:function`."""
        return f"{self.call.__module__}:{self.call.__name__}"

    @functools.cached_property
    def signature(self) -> Signature:
        """The ports, from the annotations. Raises `DeclarationError`."""
        try:
            hints = typing.get_type_hints(self.call, include_extras=True)
            inputs = _inputs(self.call, hints)
            signature = _outputs(inputs, hints.get("return", NO_DEFAULT), self._outputs)
            for name, port in (signature.outputs or {}).items():
                if kinds.holds_object(port.kind):
                    raise DeclarationError(
                        f"the output {name} is an Object: say what it holds, with a "
                        "dataclass or as dict[str, float]"
                    )
            self._check_validities(signature)
        except (DeclarationError, NameError) as error:
            raise DeclarationError(f"{self.name}: {error}") from None
        return signature

    def read(self, inputs: Mapping[str, Any], files: Path | None = None) -> Checked:
        """JSON inputs as keyword arguments. Raises `InputError` with every fault."""
        signature = self.signature
        files = surroundings.current().inputs if files is None else files
        faults = []
        values: dict[str, Any] = {}
        for name in inputs:
            if name not in signature.inputs:
                message = (
                    f"{self.name} has no input {name!r}"
                    f"{suggestion(name, signature.inputs)} "
                    f"(it takes {', '.join(signature.inputs) or 'none'})"
                )
                faults.append(Fault(token(name), "unknown_field", message))
        for name, port in signature.inputs.items():
            value = inputs.get(name)
            if value is None and port.default is not NO_DEFAULT:
                # Conditions may speak of it.
                values[name] = port.default
                continue
            if name not in inputs and port.required:
                faults.append(Fault(token(name), "required", "this input is needed"))
                continue
            try:
                values[name] = port.read(value, files)
            except Refused as no:
                faults.append(no.at(token(name)))
        if faults:
            raise InputError(faults)
        return self._valid(values, signature.inputs, InputError, {})

    def write(
        self,
        value: Any,
        files: Path | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> Checked:
        """What the function returned as JSON. Raises `OutputError` with every fault."""
        signature = self.signature
        if signature.outputs is None:
            return Checked({RESULT: value} if not isinstance(value, dict) else value)
        files = surroundings.current().artifacts if files is None else files
        if signature.is_single:
            value = {RESULT: value}
        try:
            struct = kinds.Struct(signature.outputs, self._returned())
            values = struct.write(value, files)
        except Refused as no:
            raise OutputError([no.at("")]) from None
        return self._valid(values, signature.outputs, OutputError, inputs or {})

    def run(self, inputs: Mapping[str, Any]) -> Checked:
        """Reads the inputs, calls the function and writes its result."""
        read = self.read(inputs)
        written = self.write(self.call(**read.values), inputs=read.values)
        return Checked(written.values, read.warnings + written.warnings)

    def _returned(self) -> Any:
        hint = typing.get_type_hints(self.call).get("return")
        return hint if is_struct(hint) else dict

    def _valid(
        self,
        values: dict[str, Any],
        ports: Mapping[str, Port],
        error: type[InputError] | type[OutputError],
        others: Mapping[str, Any],
    ) -> Checked:
        """Checks where the values are valid, together with those known already."""
        known = {**others, **values}
        checks = [
            (token(name), port.validity)
            for name, port in ports.items()
            if port.validity is not None
        ]
        # The function's own waits for the outputs where it names one.
        if self.validity is not None and self.validity.names <= known.keys():
            if not (others and self.validity.names <= others.keys()):
                checks.append(("", self.validity))
        faults, warnings = [], []
        for pointer, validity in checks:
            if validity.holds(known):
                continue
            message = (
                f"{self.name} is valid where {validity.text}, "
                f"and here {validity.values_shown(known)}"
            )
            if validity.on_violation == "flag":
                warnings.append(message)
            else:
                faults.append(Fault(pointer, "outside_validity", message))
        if faults:
            raise error(faults)
        return Checked(values, tuple(warnings))

    def _check_validities(self, signature: Signature) -> None:
        """Raises where a condition names what is no number, or nothing."""
        outputs = signature.outputs or {}
        both = {**signature.inputs, **outputs}
        wanted: list[tuple[Validity | None, Mapping[str, Port]]] = [
            (port.validity, signature.inputs) for port in signature.inputs.values()
        ]
        wanted += [(port.validity, both) for port in outputs.values()]
        wanted.append((self.validity, both))
        for validity, ports in wanted:
            if validity is None:
                continue
            for name in sorted(validity.names):
                if name not in ports:
                    raise DeclarationError(
                        f"validity {validity.text!r}: there is no port {name!r}"
                        f"{suggestion(name, ports)}"
                    )
                kind = ports[name].kind
                if not isinstance(kind, kinds.Quantity) and kind.form not in _NUMBERS:
                    raise DeclarationError(
                        f"validity {validity.text!r}: the port {name!r} is no number"
                    )


@overload
def function(call: F, /) -> F: ...


@overload
def function(
    *,
    name: str | None = None,
    description: str | None = None,
    outputs: Mapping[str, Any] | None = None,
    validity: str | None = None,
    on_violation: OnViolation = "refuse",
    tier: str | None = None,
) -> Callable[[F], F]: ...


def function(call: Any = None, /, **said: Any) -> Any:
    """Makes a function callable by name on the platform, and leaves it as it is.

    `name` is its public name (the function's own when left out), `description` what it
    is for (else the first paragraph of its docstring), `outputs` the ports of a
    returned dict by name, `validity` a condition on inputs and outputs with
    `on_violation` ("refuse" or "flag"), `tier` the resources that it needs.
    """
    if call is None:
        return functools.partial(_decorate, said)
    return _decorate(said, call)


def function_of(call: Any) -> Function | None:
    """What `@function` said of it; None where it is not decorated."""
    found = getattr(call, "__mecapy__", None)
    return found if isinstance(found, Function) else None


def _decorate(said: dict[str, Any], call: F) -> F:
    if not inspect.isfunction(call):
        raise DeclarationError(f"@mecapy.function goes before a `def`, not {call!r}")
    call.__mecapy__ = Function(call, **said)  # type: ignore[attr-defined]
    return call


def _inputs(call: Callable[..., Any], hints: Mapping[str, Any]) -> dict[str, Port]:
    inputs = {}
    for name, parameter in inspect.signature(call).parameters.items():
        if parameter.kind not in (
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.KEYWORD_ONLY,
        ):
            raise DeclarationError(
                f"{parameter}: inputs come by name, so *, ** and / can't be declared"
            )
        if name not in hints:
            raise DeclarationError(f"the parameter {name} has no annotation")
        default = parameter.default
        try:
            inputs[name] = port_of(
                hints[name], NO_DEFAULT if default is parameter.empty else default
            )
        except DeclarationError as error:
            raise DeclarationError(f"the parameter {name}: {error}") from None
    return inputs


def _outputs(
    inputs: Mapping[str, Port], returned: Any, declared: Mapping[str, Any] | None
) -> Signature:
    if declared is not None:
        ports = {}
        for name, said in declared.items():
            if isinstance(said, PortNote):
                base = Path if said.kind == "File" else float
                said = Annotated[base, said]
            ports[name] = port_of(said)
        return Signature(inputs, ports)
    if is_struct(returned):
        return Signature(inputs, struct_fields(returned))
    is_open = returned is NO_DEFAULT or returned is Any or returned is object
    if is_open or returned in (dict, dict[str, Any]):
        return Signature(inputs, None)
    if returned is type(None):
        return Signature(inputs, {})
    try:
        return Signature(inputs, {RESULT: port_of(returned)}, is_single=True)
    except DeclarationError as error:
        raise DeclarationError(f"what is returned: {error}") from None


def _described(call: Callable[..., Any]) -> str:
    """The first paragraph of the docstring, on one line."""
    paragraph = (inspect.getdoc(call) or "").strip().split("\n\n")[0]
    return " ".join(paragraph.split())
