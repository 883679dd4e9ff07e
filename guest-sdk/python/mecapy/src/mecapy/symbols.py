"""The symbols of units, each with its exact factor to SI and its dimension.

The platform's own table has the same symbols with the same meaning. Powers in a
dimension are those of kg, m, s, A, K, mol, cd and rad: the plane angle is counted as a
dimension, so that 3 rad/s are never taken for 3 Hz.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

__all__ = ["BASES", "NONE", "PI", "PREFIXES", "SYMBOLS", "Dimension", "Symbol"]

BASES = ("kg", "m", "s", "A", "K", "mol", "cd", "rad")

Dimension = tuple[int, ...]

# More digits of the circle's number than doubles can tell apart.
PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494459")


class Symbol(NamedTuple):
    """A unit with a symbol of its own."""

    factor: Fraction
    dimension: Dimension
    # Whether it takes an SI prefix.
    is_metric: bool = False
    # How far its zero lies above the absolute zero, in kelvin.
    zero: Fraction = Fraction(0)


# fmt: off
PREFIXES: Mapping[str, Fraction] = {
    prefix: Fraction(10) ** power
    for prefix, power in {
        "da": 1, "p": -12, "n": -9, "µ": -6, "μ": -6, "u": -6, "m": -3, "c": -2,
        "d": -1, "h": 2, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "f": -15,
    }.items()
}
# fmt: on


def _dimension(
    kg: int = 0, m: int = 0, s: int = 0, A: int = 0, **more: int
) -> Dimension:
    return (kg, m, s, A, *(more.get(base, 0) for base in BASES[4:]))


NONE = _dimension()
_LENGTH, _AREA, _VOLUME = _dimension(m=1), _dimension(m=2), _dimension(m=3)
_MASS, _TIME, _ANGLE = _dimension(kg=1), _dimension(s=1), _dimension(rad=1)
_TEMPERATURE, _TURNING = _dimension(K=1), _dimension(s=-1, rad=1)
_VELOCITY, _ACCELERATION = _dimension(m=1, s=-1), _dimension(m=1, s=-2)
_FORCE, _PRESSURE = _dimension(1, 1, -2), _dimension(1, -1, -2)
_ENERGY, _POWER = _dimension(1, 2, -2), _dimension(1, 2, -3)

_INCH, _FOOT, _MILE = Fraction("0.0254"), Fraction("0.3048"), Fraction("1609.344")
_POUND, _GRAVITY = Fraction("0.45359237"), Fraction("9.80665")
_LBF, _RANKINE = _POUND * _GRAVITY, Fraction(5, 9)
_PSI = _LBF / _INCH**2
_GALLON = 231 * _INCH**3
_ATMOSPHERE = Fraction(101_325)
_DEGREE = PI / 180


# fmt: off
def _plain() -> dict[str, Symbol]:
    """Symbols that take no prefix, by dimension."""
    table: dict[Dimension, dict[str, Fraction | int | str]] = {
        NONE: {"%": "0.01", "percent": "0.01", "ppm": "0.000001"},
        _LENGTH: {
            "in": _INCH, "ft": _FOOT, "yd": 3 * _FOOT, "mi": _MILE, "nmi": 1852,
            "mil": _INCH / 1000, "thou": _INCH / 1000,
            "µin": _INCH / 10**6, "μin": _INCH / 10**6, "uin": _INCH / 10**6,
            "Å": "1e-10", "\u212b": "1e-10", "angstrom": "1e-10",
            "au": 149_597_870_700, "ua": 149_597_870_700,
        },
        _AREA: {"ha": 10_000},
        _VOLUME: {
            "gal": _GALLON, "gal_US": _GALLON, "gal_UK": "0.00454609",
            "bbl": 42 * _GALLON,
        },
        _MASS: {
            "t": 1000, "lb": _POUND, "lbm": _POUND, "oz": _POUND / 16,
            "gr": _POUND / 7000, "ct": "0.0002", "slug": _LBF / _FOOT,
            "ton_US": 2000 * _POUND, "ton_UK": 2240 * _POUND,
        },
        _TIME: {"min": 60, "h": 3600, "d": 86_400},
        _ANGLE: {
            "deg": _DEGREE, "°": _DEGREE, "arcmin": _DEGREE / 60, "′": _DEGREE / 60,
            "arcsec": _DEGREE / 3600, "″": _DEGREE / 3600,
            "gon": PI / 200, "grad": PI / 200,
            "rev": 2 * PI, "r": 2 * PI, "turn": 2 * PI, "tr": 2 * PI,
        },
        _TURNING: {"rps": 2 * PI, "rpm": 2 * PI / 60},
        _VELOCITY: {"mph": _MILE / 3600, "kn": Fraction(1852, 3600)},
        _ACCELERATION: {
            "g0": _GRAVITY, "g₀": _GRAVITY, "gn": _GRAVITY, "Gal": "0.01",
        },
        _FORCE: {
            "dyn": "0.00001", "kgf": _GRAVITY, "gf": _GRAVITY / 1000,
            "tf": 1000 * _GRAVITY,
            "lbf": _LBF, "ozf": _LBF / 16, "kip": 1000 * _LBF, "pdl": _POUND * _FOOT,
        },
        _PRESSURE: {
            "atm": _ATMOSPHERE, "at": 10_000 * _GRAVITY,
            "psi": _PSI, "ksi": 1000 * _PSI,
            "mmHg": Fraction("13.5951") * _GRAVITY,
            "inHg": Fraction("13.5951") * _GRAVITY * Fraction("25.4"),
            "mmH2O": _GRAVITY, "mmH₂O": _GRAVITY,
            "inH2O": _GRAVITY * Fraction("25.4"), "inH₂O": _GRAVITY * Fraction("25.4"),
        },
        _ENERGY: {
            "cal_IT": "4.1868", "erg": "0.0000001",
            **dict.fromkeys(
                ("Btu", "BTU", "Btu_IT"), Fraction("4186.8") * _POUND * _RANKINE
            ),
        },
        _POWER: {
            "hp": 550 * _LBF * _FOOT, "PS": 75 * _GRAVITY, "hp_M": 75 * _GRAVITY,
        },
    }
    return {
        text: Symbol(Fraction(factor), dimension)
        for dimension, symbols in table.items()
        for text, factor in symbols.items()
    }


def _metric() -> dict[str, Symbol]:
    """Symbols that take SI prefixes."""
    joule, hour = _ENERGY, 3600
    table: dict[str, tuple[Fraction | int | str, Dimension]] = {
        "m": (1, _LENGTH), "L": ("0.001", _VOLUME), "l": ("0.001", _VOLUME),
        "g": ("0.001", _MASS), "s": (1, _TIME), "Hz": (1, _dimension(s=-1)),
        "rad": (1, _ANGLE), "N": (1, _FORCE), "Nm": (1, joule), "Nmm": ("0.001", joule),
        "Pa": (1, _PRESSURE), "bar": (100_000, _PRESSURE),
        "Torr": (_ATMOSPHERE / 760, _PRESSURE), "J": (1, joule), "Wh": (hour, joule),
        "eV": ("1.602176634e-19", joule), "cal": ("4.184", joule), "W": (1, _POWER),
        "P": ("0.1", _dimension(1, -1, -1)), "St": ("0.0001", _dimension(0, 2, -1)),
        "K": (1, _TEMPERATURE), "A": (1, _dimension(A=1)),
        "C": (1, _dimension(s=1, A=1)), "V": (1, _dimension(1, 2, -3, -1)),
        "F": (1, _dimension(-1, -2, 4, 2)), "S": (1, _dimension(-1, -2, 3, 2)),
        "H": (1, _dimension(1, 2, -2, -2)), "T": (1, _dimension(1, 0, -2, -1)),
        "Wb": (1, _dimension(1, 2, -2, -1)), "mol": (1, _dimension(mol=1)),
        "cd": (1, _dimension(cd=1)),
        **dict.fromkeys(("ohm", "Ω", "\u2126"), (1, _dimension(1, 2, -3, -2))),
    }
    return {
        text: Symbol(Fraction(factor), dimension, is_metric=True)
        for text, (factor, dimension) in table.items()
    }


def _temperatures() -> dict[str, Symbol]:
    celsius = Symbol(Fraction(1), _TEMPERATURE, zero=Fraction("273.15"))
    fahrenheit = Symbol(_RANKINE, _TEMPERATURE, zero=Fraction("459.67") * _RANKINE)
    rankine = Symbol(_RANKINE, _TEMPERATURE)
    return {
        "degC": celsius, "°C": celsius, "degF": fahrenheit, "°F": fahrenheit,
        "degR": rankine, "°R": rankine,
    }
# fmt: on


SYMBOLS: Mapping[str, Symbol] = {**_plain(), **_metric(), **_temperatures()}
