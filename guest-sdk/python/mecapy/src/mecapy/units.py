"""Units of measurement: what `mm`, `N/mm^2` or `kg/m3` mean, and exact conversion.

A unit is a rational factor to its SI unit (with a zero of its own for temperatures) and
a dimension. Values are converted on their decimal text and rounded once, so that 0.1 in
is 2.54 mm and not a neighbour of it.
"""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from .symbols import BASES, NONE, PI, PREFIXES, SYMBOLS, Dimension, Symbol

__all__ = ["Unit", "UnitError", "convert", "parse"]

UNIT_BYTES_MAX = 80
POWER_MAX = 12
DEPTH_MAX = 4


class UnitError(ValueError):
    """A text that is no unit, or a unit of another dimension than is needed."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: `value * factor + zero` is the value in SI units."""

    text: str
    factor: Fraction
    dimension: Dimension
    zero: Fraction = Fraction(0)

    def __str__(self) -> str:
        return self.text

    @property
    def si(self) -> str:
        """The same dimension in SI base units, as in `kg*m/s^2`."""
        terms = zip(BASES, self.dimension, strict=True)
        above = [_power(base, power) for base, power in terms if power > 0]
        terms = zip(BASES, self.dimension, strict=True)
        below = [_power(base, -power) for base, power in terms if power < 0]
        text = "*".join(above) or "1"
        if len(below) > 1:
            return f"{text}/({'*'.join(below)})"
        return f"{text}/{below[0]}" if below else text

    def in_cycles(self) -> "Unit | None":
        """As a frequency, where it counts turns in a time: 60 rpm are 1 Hz."""
        is_turning = self.dimension == SYMBOLS["rpm"].dimension
        cycles = self.factor / (2 * PI)
        # What counts radians is no frequency; a turn's factor alone holds all of pi.
        if not is_turning or cycles.denominator > 10**30:
            return None
        return replace(self, factor=cycles, dimension=SYMBOLS["Hz"].dimension)


def _power(base: str, power: int) -> str:
    return base if power == 1 else f"{base}^{power}"


# Names that engineers use for more than one unit.
_AMBIGUOUS = {
    "ton": "t (1000 kg), ton_US (2000 lb) or ton_UK (2240 lb)",
    "tons": "t (1000 kg), ton_US (2000 lb) or ton_UK (2240 lb)",
    "M": "m or nmi, or a prefix with its unit",
    "c": "cm or degC",
    "a": "d (days) for times, ha for areas",
}
# Symbols with digits, which elsewhere are powers.
_WITH_DIGITS = "mmH2O|inH2O|g0"
_TOKEN = re.compile(
    rf"(?P<symbol>{_WITH_DIGITS}|[^\W\d⁰¹²³⁴⁵⁶⁷⁸⁹]+|[%°′″][CFR]?)"
    r"|(?P<power>(?:\^|\*\*)\s*[+\-−⁻]?[0-9⁰¹²³⁴⁵⁶⁷⁸⁹]+|[\-−⁻]?[0-9⁰¹²³⁴⁵⁶⁷⁸⁹]+)"
    r"|(?P<times>\s*[*.·⋅×]\s*)|(?P<over>\s*[/÷]\s*)|(?P<open>\(\s*)|(?P<close>\s*\))"
    r"|(?P<space>\s+)"
)
_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹−⁻", "0123456789--")


@lru_cache(maxsize=512)
def parse(text: str) -> Unit:
    """The unit that a text names: `mm`, `N/mm^2`, `kN*m`, `kg/m3`, `1/s`, `degC`.

    Products with `*`, `·` or a space, quotients with `/`, powers with `^`, `**` or a
    number behind the symbol, parentheses; `1` or `-` for a plain number. Raises
    `UnitError`.
    """
    if len(text.encode("utf-8", "replace")) > UNIT_BYTES_MAX:
        raise UnitError(f"a unit has {UNIT_BYTES_MAX} bytes at most")
    text = text.strip()
    if not text:
        raise UnitError('a unit is needed, such as "mm", or "1" for a plain number')
    if text == "-":
        return Unit("1", Fraction(1), NONE)
    found = _find(text)
    if found is not None:
        return Unit(text, found.factor, found.dimension, found.zero)
    factor, dimension = _Reader(text).all()
    return Unit(text, factor, dimension)


def convert(value: int | float, unit: Unit, to: Unit) -> int | float:
    """`value` in `unit` as a value in `to`, exact but for one rounding at the end."""
    if unit.dimension != to.dimension:
        raise UnitError(f"{unit} ({unit.si}) can't be converted to {to} ({to.si})")
    if (unit.factor, unit.zero) == (to.factor, to.zero):
        return value
    exact = Fraction(repr(value)) if isinstance(value, float) else Fraction(value)
    try:
        return float((exact * unit.factor + unit.zero - to.zero) / to.factor)
    except OverflowError:
        raise UnitError(
            f"{value} {unit} is beyond what a number holds in {to}"
        ) from None


def _find(text: str) -> Symbol | None:
    """The symbol, alone or with a prefix; alone goes first, so `min` is a minute."""
    found = SYMBOLS.get(text)
    if found is not None:
        return found
    for prefix, ten in PREFIXES.items():
        found = SYMBOLS.get(text[len(prefix) :]) if text.startswith(prefix) else None
        if found is not None and found.is_metric:
            return found._replace(factor=ten * found.factor, is_metric=False)
    return None


class _Reader:
    """Reads a product of units, term by term."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.tokens: list[tuple[str, str]] = []
        end = 0
        while end < len(text):
            match = _TOKEN.match(text, end)
            if match is None or match.lastgroup is None:
                raise self.refused(f"{text[end]!r} can't stand there")
            self.tokens.append((match.lastgroup, match.group().strip()))
            end = match.end()

    def refused(self, why: str) -> UnitError:
        return UnitError(f"{self.text!r} is no unit: {why}")

    def all(self) -> tuple[Fraction, Dimension]:
        factor, dimension = self.product(0)
        if self.at < len(self.tokens):
            raise self.refused(f"{self.tokens[self.at][1]!r} is left")
        if any(abs(power) > 2 * POWER_MAX for power in dimension):
            raise self.refused("its powers are too large")
        return factor, dimension

    def product(self, depth: int) -> tuple[Fraction, Dimension]:
        if depth > DEPTH_MAX:
            raise self.refused(f"parentheses are nested deeper than {DEPTH_MAX}")
        factor, dimension = self.term(depth)
        is_divided = False
        while self.next() in ("times", "space", "over"):
            kind, _ = self.take()
            if kind != "over" and is_divided:
                raise self.refused(
                    "it is unclear what is below the line: write a/(b*c) or a*c/b"
                )
            is_divided |= kind == "over"
            sign = -1 if kind == "over" else 1
            more, powers = self.term(depth)
            factor *= more**sign
            dimension = _times(dimension, powers, sign)
        return factor, dimension

    def term(self, depth: int) -> tuple[Fraction, Dimension]:
        kind, token = self.take()
        if kind == "open":
            factor, dimension = self.product(depth + 1)
            if self.next() != "close":
                raise self.refused("a ) is missing")
            self.take()
        elif kind == "symbol":
            symbol = self.symbol(token)
            factor, dimension = symbol.factor, symbol.dimension
        elif token == "1":
            return Fraction(1), NONE
        else:
            raise self.refused(f"a unit is needed, not {token!r}")
        power = self.power()
        return factor**power, _times(NONE, dimension, power)

    def symbol(self, text: str) -> Symbol:
        found = _find(text)
        if found is not None and found.zero:
            raise self.refused(
                f"{text} has a zero of its own and stands alone; write K for a "
                "difference of temperatures"
            )
        if found is not None:
            return found
        if text in _AMBIGUOUS:
            raise self.refused(f"{text!r} means several units: use {_AMBIGUOUS[text]}")
        raise self.refused(f"{text!r} is not known")

    def power(self) -> int:
        if self.next() != "power":
            return 1
        digits = self.take()[1].lstrip("^*").strip().translate(_DIGITS)
        if len(digits) > 3 or abs(int(digits)) > POWER_MAX:
            raise self.refused(f"powers are whole numbers up to {POWER_MAX}")
        return int(digits)

    def next(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def take(self) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise self.refused("it ends too early")
        self.at += 1
        return self.tokens[self.at - 1]


def _times(one: Dimension, other: Dimension, power: int) -> Dimension:
    return tuple(a + b * power for a, b in zip(one, other, strict=True))
