"""What is wrong with inputs, outputs or a declaration: where, what, and what to do."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["DeclarationError", "Fault", "InputError", "OutputError"]

SHOWN_CHARS_MAX = 40


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: a JSON pointer, a word for programs and a sentence for people."""

    pointer: str
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.pointer}: {self.message}" if self.pointer else self.message


class _Faulty(ValueError):
    """Values that don't fit their ports; `faults` has each of them."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(map(str, self.faults)))


class InputError(_Faulty):
    """Inputs that a function doesn't take."""


class OutputError(_Faulty):
    """A result that a function's outputs don't allow."""


class DeclarationError(TypeError):
    """An annotation or option that says nothing a port can be made of."""


class Refused(Exception):
    """One value doesn't fit; becomes a `Fault` where its place is known."""

    def __init__(self, code: str, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.pointer = pointer

    def at(self, pointer: str) -> Fault:
        return Fault(pointer + self.pointer, self.code, self.message)


def token(name: str | int) -> str:
    """A member's name or an element's index as the last part of a JSON pointer."""
    return "/" + str(name).replace("~", "~0").replace("/", "~1")


def shown(value: object) -> str:
    """A value in a message: its kind, and as much of it as fits."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float, str)):
        try:
            text = repr(value)
        except ValueError:
            # More digits than Python writes.
            return "a very large integer"
        if len(text) > SHOWN_CHARS_MAX:
            text = text[:SHOWN_CHARS_MAX] + "…"
        return f"the text {text}" if isinstance(value, str) else text
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    return f"a value of type {type(value).__name__}"


def suggestion(name: object, candidates: Iterable[str]) -> str:
    """`, did you mean …?` where one of the candidates is close."""
    listed = list(candidates)
    close = [each for each in listed if each.lower() == str(name).lower()]
    close = close or difflib.get_close_matches(str(name), listed, 1, 0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
