"""Where a formula holds: `0.5 <= slenderness <= 200`, in a small language of its own.

Numbers, names of ports (in the unit that the port declares), + - * / ^, comparisons,
`and`, `or`, `not`, and abs, min, max, sqrt. Nothing else can be written in it. What has
no value (a root of a negative number, a division by zero) is no condition that holds.
"""

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from .faults import DeclarationError

__all__ = ["OnViolation", "Validity"]

EXPRESSION_BYTES_MAX = 1_000
DEPTH_MAX = 32

OnViolation = Literal["refuse", "flag"]

_FUNCTIONS: Mapping[str, tuple[Callable[..., float], int, int]] = {
    "abs": (abs, 1, 1),
    "min": (min, 1, 16),
    "max": (max, 1, 16),
    "sqrt": (math.sqrt, 1, 1),
}
_COMPARE: Mapping[type, Callable[[float, float], bool]] = {
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
}
_COMPUTE: Mapping[type, Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: math.pow,
}


# How Python writes what people write.
_WRITTEN = (("^", "**"), ("≤", "<="), ("≥", ">="), ("≠", "!="))


class _Missing(Exception):
    """A port that has no value."""


@dataclass(frozen=True)
class Validity:
    """A condition on ports, and what happens where it doesn't hold."""

    text: str
    on_violation: OnViolation = "refuse"
    names: frozenset[str] = field(init=False)
    _tree: ast.expr = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.on_violation not in ("refuse", "flag"):
            raise DeclarationError(
                f'on_violation is "refuse" or "flag", not {self.on_violation!r}'
            )
        tree = _parse(self.text)
        if not isinstance(tree, ast.Name) and not _check(tree, self.text, 0):
            raise DeclarationError(
                f"{self.text!r} is a number: a validity is a condition, as in `d > 0`"
            )
        names = (node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
        object.__setattr__(self, "names", frozenset(names) - frozenset(_FUNCTIONS))
        object.__setattr__(self, "_tree", tree)

    @property
    def form(self) -> str | dict[str, str]:
        """As the manifest writes it."""
        if self.on_violation == "refuse":
            return self.text
        return {"expression": self.text, "on_violation": self.on_violation}

    def holds(self, values: Mapping[str, object]) -> bool:
        """Whether it holds for these values.

        What speaks of a port that has no value says nothing.
        """
        try:
            return bool(_evaluate(self._tree, values))
        except _Missing:
            return True
        except (ArithmeticError, ValueError, TypeError):
            return False

    def values_shown(self, values: Mapping[str, object]) -> str:
        """`d = 3, F = 5` for the ports that it names."""
        return ", ".join(
            f"{name} = {values.get(name)!r}" for name in sorted(self.names)
        )


def _parse(text: str) -> ast.expr:
    if len(text.encode("utf-8", "replace")) > EXPRESSION_BYTES_MAX:
        raise DeclarationError(f"a validity has {EXPRESSION_BYTES_MAX} bytes at most")
    try:
        written = text.strip()
        for mark, operator in _WRITTEN:
            written = written.replace(mark, operator)
        return ast.parse(written, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DeclarationError(
            f"{text!r} is no validity: {getattr(error, 'msg', error)}"
        ) from None


def _check(node: ast.AST, text: str, depth: int) -> bool:
    """Whether it is a condition (or a number); raises for what can't be written."""

    def refuse(what: str) -> DeclarationError:
        return DeclarationError(f"{text!r} is no validity: {what}")

    def need(part: ast.AST, condition: bool) -> None:
        # A port may be a number or a truth.
        if isinstance(part, ast.Name) and part.id not in _FUNCTIONS:
            return
        if _check(part, text, depth + 1) != condition:
            needed = "a condition" if condition else "a number"
            raise refuse(f"{needed} is needed in the place of {ast.unparse(part)!r}")

    if depth > DEPTH_MAX:
        raise refuse(f"it is nested deeper than {DEPTH_MAX} levels")
    match node:
        case ast.BoolOp(values=parts):
            for part in parts:
                need(part, True)
            return True
        case ast.UnaryOp(op=ast.Not(), operand=part):
            need(part, True)
            return True
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=part):
            need(part, False)
            return False
        case ast.Compare(left=left, ops=operators, comparators=others):
            if not all(type(operator) in _COMPARE for operator in operators):
                raise refuse("only < <= > >= == and != compare")
            for part in (left, *others):
                need(part, False)
            return True
        case ast.BinOp(left=left, op=operator, right=right):
            if type(operator) not in _COMPUTE:
                raise refuse("only + - * / and ^ compute")
            need(left, False)
            need(right, False)
            return False
        case ast.Call(func=ast.Name(id=name), args=parts, keywords=[]):
            _function, least, most = _FUNCTIONS.get(name, (None, 0, -1))
            if not least <= len(parts) <= most:
                known = ", ".join(_FUNCTIONS)
                raise refuse(f"{name} with {len(parts)} values is not among {known}")
            for part in parts:
                need(part, False)
            return False
        case ast.Name(id=name):
            if name in _FUNCTIONS:
                raise refuse(f"{name} is a function, and needs its values in ( )")
            return False
        case ast.Constant(value=bool() | None):
            raise refuse(f"{node.value!r} is no number")
        case ast.Constant(value=int() | float()):
            return False
    raise refuse(f"{ast.unparse(node)!r} can't be written in it")


def _evaluate(node: ast.AST, values: Mapping[str, object]) -> float | bool:
    def of(part: ast.AST) -> float:
        return _evaluate(part, values)

    match node:
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(of(part) for part in parts)
        case ast.BoolOp(values=parts):
            return any(of(part) for part in parts)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            return not of(part)
        case ast.UnaryOp(op=ast.USub(), operand=part):
            return -of(part)
        case ast.UnaryOp(operand=part):
            return of(part)
        case ast.Compare(left=left, ops=operators, comparators=others):
            terms = [of(part) for part in (left, *others)]
            pairs = zip(operators, terms, terms[1:], strict=False)
            return all(_COMPARE[type(op)](a, b) for op, a, b in pairs)
        case ast.BinOp(left=left, op=operator, right=right):
            return _finite(_COMPUTE[type(operator)](of(left), of(right)))
        case ast.Call(func=ast.Name(id=name), args=parts):
            return _FUNCTIONS[name][0](*map(of, parts))
        case ast.Name(id=name):
            value = values.get(name)
            if value is None:
                raise _Missing
            return value if isinstance(value, bool) else float(value)  # type: ignore
        case ast.Constant(value=value):
            return float(value)  # type: ignore[arg-type]
    raise TypeError("unreachable: the expression was checked when it was parsed")


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise OverflowError
    return number
