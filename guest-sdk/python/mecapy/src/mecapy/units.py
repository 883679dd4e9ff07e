"""Units of measurement: what `mm`, `N/mm^2` or `kg/m3` mean, and exact conversion.

A unit is a rational factor to its SI unit (with an offset for temperatures) and a
dimension. Values are converted on their decimal text and rounded once, so that 0.1 in
is 2.54 mm and not a neighbour of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

__all__ = ["Unit", "UnitError", "convert", "parse"]

UNIT_CHARS_MAX = 64
EXPONENT_MAX = 12

# Of the angle, which is no base quantity of SI but must not be mistaken for a number,
# the dimension is counted too.
_BASES = ("m", "kg", "s", "K", "rad")

# The circle's number, to more digits than any double can tell apart.
_PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494459")


class UnitError(ValueError):
    """A text that is no unit, or a unit of another dimension than is needed."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: `value * factor + offset` is the value in SI units."""

    text: str
    factor: Fraction
    dimension: tuple[int, ...]
    offset: Fraction = Fraction(0)

    def __str__(self) -> str:
        return self.text

    @property
    def si(self) -> str:
        """The same dimension in SI base units, as in `kg/m/s^2`."""
        over = [
            base if power == 1 else f"{base}^{power}"
            for base, power in zip(_BASES, self.dimension, strict=True)
            if power > 0
        ]
        under = "".join(
            f"/{base}" if power == -1 else f"/{base}^{-power}"
            for base, power in zip(_BASES, self.dimension, strict=True)
            if power < 0
        )
        return "*".join(over) + under if over else "1" + under


def _dimension(**powers: int) -> tuple[int, ...]:
    return tuple(powers.get(base, 0) for base in _BASES)


_LENGTH = _dimension(m=1)
_MASS = _dimension(kg=1)
_TIME = _dimension(s=1)
_TEMPERATURE = _dimension(K=1)
_ANGLE = _dimension(rad=1)
_FREQUENCY = _dimension(s=-1)
_VOLUME = _dimension(m=3)
_VELOCITY = _dimension(m=1, s=-1)
_ACCELERATION = _dimension(m=1, s=-2)
_FORCE = _dimension(kg=1, m=1, s=-2)
_PRESSURE = _dimension(kg=1, m=-1, s=-2)
_ENERGY = _dimension(kg=1, m=2, s=-2)
_POWER = _dimension(kg=1, m=2, s=-3)

_INCH = Fraction("0.0254")
_POUND = Fraction("0.45359237")
_GRAVITY = Fraction("9.80665")
_POUND_FORCE = _POUND * _GRAVITY

# Units that take the prefixes below: factor to SI, dimension.
_PREFIXED: Mapping[str, tuple[Fraction, tuple[int, ...]]] = {
    "m": (Fraction(1), _LENGTH),
    "g": (Fraction(1, 1000), _MASS),
    "s": (Fraction(1), _TIME),
    "K": (Fraction(1), _TEMPERATURE),
    "rad": (Fraction(1), _ANGLE),
    "Hz": (Fraction(1), _FREQUENCY),
    "N": (Fraction(1), _FORCE),
    "Pa": (Fraction(1), _PRESSURE),
    "bar": (Fraction(100_000), _PRESSURE),
    "J": (Fraction(1), _ENERGY),
    "Wh": (Fraction(3600), _ENERGY),
    "cal": (Fraction("4.184"), _ENERGY),
    "W": (Fraction(1), _POWER),
    "L": (Fraction(1, 1000), _VOLUME),
    "l": (Fraction(1, 1000), _VOLUME),
}
_PREFIXES: Mapping[str, Fraction] = {
    "G": Fraction(10**9),
    "M": Fraction(10**6),
    "k": Fraction(10**3),
    "h": Fraction(10**2),
    "da": Fraction(10),
    "d": Fraction(1, 10),
    "c": Fraction(1, 10**2),
    "m": Fraction(1, 10**3),
    "u": Fraction(1, 10**6),
    "µ": Fraction(1, 10**6),
    "μ": Fraction(1, 10**6),
    "n": Fraction(1, 10**9),
    "p": Fraction(1, 10**12),
}
# Units that stand as they are, and come before a prefix (`min` is no milli-inch).
_PLAIN: Mapping[str, tuple[Fraction, tuple[int, ...]]] = {
    "in": (_INCH, _LENGTH),
    "ft": (12 * _INCH, _LENGTH),
    "yd": (36 * _INCH, _LENGTH),
    "mi": (63_360 * _INCH, _LENGTH),
    "mil": (_INCH / 1000, _LENGTH),
    "t": (Fraction(1000), _MASS),
    "lb": (_POUND, _MASS),
    "lbm": (_POUND, _MASS),
    "oz": (_POUND / 16, _MASS),
    "slug": (_POUND_FORCE / (12 * _INCH), _MASS),
    "min": (Fraction(60), _TIME),
    "h": (Fraction(3600), _TIME),
    "d": (Fraction(86_400), _TIME),
    "rpm": (Fraction(1, 60), _FREQUENCY),
    "deg": (_PI / 180, _ANGLE),
    "°": (_PI / 180, _ANGLE),
    "arcmin": (_PI / 10_800, _ANGLE),
    "arcsec": (_PI / 648_000, _ANGLE),
    "gon": (_PI / 200, _ANGLE),
    "rev": (2 * _PI, _ANGLE),
    "lbf": (_POUND_FORCE, _FORCE),
    "kip": (1000 * _POUND_FORCE, _FORCE),
    "kgf": (_GRAVITY, _FORCE),
    "dyn": (Fraction(1, 100_000), _FORCE),
    "psi": (_POUND_FORCE / _INCH**2, _PRESSURE),
    "ksi": (1000 * _POUND_FORCE / _INCH**2, _PRESSURE),
    "atm": (Fraction(101_325), _PRESSURE),
    "hp": (550 * 12 * _INCH * _POUND_FORCE, _POWER),
    "PS": (75 * _GRAVITY, _POWER),
    "gn": (_GRAVITY, _ACCELERATION),
    "mph": (63_360 * _INCH / 3600, _VELOCITY),
    "kph": (Fraction(1000, 3600), _VELOCITY),
    "knot": (Fraction(1852, 3600), _VELOCITY),
    "degR": (Fraction(5, 9), _TEMPERATURE),
}
# Temperatures whose zero is elsewhere: they stand alone, never in a product.
_SHIFTED: Mapping[str, tuple[Fraction, Fraction]] = {
    "degC": (Fraction(1), Fraction("273.15")),
    "°C": (Fraction(1), Fraction("273.15")),
    "degF": (Fraction(5, 9), Fraction("459.67") * Fraction(5, 9)),
    "°F": (Fraction(5, 9), Fraction("459.67") * Fraction(5, 9)),
}

_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-zµμ]+|°[CF]?)|(?P<number>\d+)|(?P<operator>\*\*|[*/^()·⋅-])"
    r"|(?P<raised>[²³⁴]))"
)
_RAISED = {"²": 2, "³": 3, "⁴": 4}


@lru_cache(maxsize=512)
def parse(text: str) -> Unit:
    """The unit that a text names: `mm`, `N/mm^2`, `kN*m`, `kg/m3`, `1/s`, `degC`.

    Products with `*` or `·`, quotients with `/`, powers with `^`, `**` or a number
    behind the name, parentheses. Raises `UnitError`.
    """
    if len(text) > UNIT_CHARS_MAX:
        raise UnitError(f"a unit has at most {UNIT_CHARS_MAX} characters")
    stripped = text.strip()
    shifted = _SHIFTED.get(stripped)
    if shifted is not None:
        return Unit(text, shifted[0], _TEMPERATURE, shifted[1])
    reader = _Reader(text)
    factor, dimension = reader.product()
    if reader.at < len(reader.tokens):
        raise UnitError(f"{text!r} is no unit: {reader.tokens[reader.at][1]!r} is left")
    return Unit(text, factor, dimension)


def convert(value: int | float, unit: Unit, to: Unit) -> int | float:
    """`value` in `unit` as a value in `to`, exact but for one rounding at the end."""
    if unit.dimension != to.dimension:
        raise UnitError(f"{unit} ({unit.si}) can't be converted to {to} ({to.si})")
    if (unit.factor, unit.offset) == (to.factor, to.offset):
        return value
    exact = Fraction(repr(value)) if isinstance(value, float) else Fraction(value)
    try:
        return float((exact * unit.factor + unit.offset - to.offset) / to.factor)
    except OverflowError:
        raise UnitError(
            f"{value} {unit} is beyond what a number holds in {to}"
        ) from None


class _Reader:
    """Reads a product of units, term by term."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.tokens: list[tuple[str, str]] = []
        end = 0
        while end < len(text.rstrip()):
            match = _TOKEN.match(text, end)
            if match is None or match.lastgroup is None:
                raise UnitError(f"{text!r} is no unit: {text[end]!r} can't stand there")
            self.tokens.append((match.lastgroup, match.group(match.lastgroup)))
            end = match.end()

    def product(self, depth: int = 0) -> tuple[Fraction, tuple[int, ...]]:
        if depth > 8:
            raise UnitError(f"{self.text!r} has too many parentheses")
        factor, dimension = self.term(depth)
        while self.operator() in ("*", "·", "⋅", "/"):
            sign = -1 if self.take()[1] == "/" else 1
            more, powers = self.term(depth)
            factor = factor * more if sign == 1 else factor / more
            dimension = tuple(
                a + sign * b for a, b in zip(dimension, powers, strict=True)
            )
        return factor, dimension

    def term(self, depth: int) -> tuple[Fraction, tuple[int, ...]]:
        kind, token = self.take()
        if token == "(":
            factor, dimension = self.product(depth + 1)
            if self.take()[1] != ")":
                raise UnitError(f"{self.text!r} is no unit: a ) is missing")
        elif kind == "name":
            factor, dimension = _named(token, self.text)
        elif token == "1":
            return Fraction(1), _dimension()
        else:
            raise UnitError(
                f"{self.text!r} is no unit: a name is needed, not {token!r}"
            )
        power = self.power()
        return factor**power, tuple(power * each for each in dimension)

    def power(self) -> int:
        kind = self.tokens[self.at][0] if self.at < len(self.tokens) else None
        if kind == "raised":
            return _RAISED[self.take()[1]]
        if kind == "number":
            return self.bounded(1)
        if self.operator() not in ("^", "**"):
            return 1
        self.take()
        sign = 1
        if self.operator() == "-":
            self.take()
            sign = -1
        return self.bounded(sign)

    def bounded(self, sign: int) -> int:
        kind, token = self.take()
        if kind != "number" or len(token) > 2 or int(token) > EXPONENT_MAX:
            raise UnitError(f"{self.text!r} is no unit: a power is 0 to {EXPONENT_MAX}")
        return sign * int(token)

    def operator(self) -> str | None:
        if self.at < len(self.tokens) and self.tokens[self.at][0] == "operator":
            return self.tokens[self.at][1]
        return None

    def take(self) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise UnitError(f"{self.text!r} is no unit: it ends too early")
        self.at += 1
        return self.tokens[self.at - 1]


def _named(name: str, text: str) -> tuple[Fraction, tuple[int, ...]]:
    if name in _SHIFTED:
        raise UnitError(
            f"{text!r} is no unit: {name} has a zero of its own and stands alone; "
            "write K for a difference of temperatures"
        )
    found = _PLAIN.get(name) or _PREFIXED.get(name)
    if found is not None:
        return found
    for size in (1, 2):
        prefix, base = _PREFIXES.get(name[:size]), _PREFIXED.get(name[size:])
        if prefix is not None and base is not None:
            return prefix * base[0], base[1]
    raise UnitError(f"{text!r} is no unit: {name!r} is not known")
