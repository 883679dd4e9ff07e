"""Units: what texts mean, and that conversions are exact."""

import math
import unittest
from fractions import Fraction

from mecapy import UnitError, convert
from mecapy.symbols import PREFIXES, SYMBOLS
from mecapy.units import parse


class Units(unittest.TestCase):
    def test_texts_mean_what_engineers_write(self) -> None:
        rows = [
            ("mm", Fraction(1, 1000), "m"),
            ("N/mm^2", Fraction(10**6), "kg/(m*s^2)"),
            ("N/mm²", Fraction(10**6), "kg/(m*s^2)"),
            ("MPa", Fraction(10**6), "kg/(m*s^2)"),
            ("kN*m", Fraction(1000), "kg*m^2/s^2"),
            ("N m", Fraction(1), "kg*m^2/s^2"),
            ("N·mm", Fraction(1, 1000), "kg*m^2/s^2"),
            ("kg/m3", Fraction(1), "kg/m^3"),
            ("1/s", Fraction(1), "1/s"),
            ("s**-1", Fraction(1), "1/s"),
            ("W/(m*K)", Fraction(1), "kg*m/(s^3*K)"),
            ("m⁻¹", Fraction(1), "1/m"),
            ("min", Fraction(60), "s"),
            ("µm", Fraction(1, 10**6), "m"),
            ("μm", Fraction(1, 10**6), "m"),
            ("in", Fraction("0.0254"), "m"),
            ("-", Fraction(1), "1"),
            ("%", Fraction(1, 100), "1"),
        ]
        for text, factor, dimension in rows:
            with self.subTest(text):
                unit = parse(text)
                self.assertEqual((unit.factor, unit.si), (factor, dimension))

    def test_what_is_no_unit_is_refused_with_the_reason(self) -> None:
        rows = [
            ("", "a unit is needed"),
            ("mm/", "it ends too early"),
            ("foo", "'foo' is not known"),
            ("ton", "means several units"),
            ("degC/s", "stands alone"),
            ("m/s*kg", "unclear what is below the line"),
            ("m^99", "powers are whole numbers"),
            ("m^0.5", "a unit is needed, not '5'"),
            ("(m", "a ) is missing"),
            ("m)", "')' is left"),
            ("2*m", "a unit is needed, not '2'"),
            ("((((((m))))))", "nested deeper"),
            ("m" * 81, "80 bytes"),
        ]
        for text, reason in rows:
            with self.subTest(text):
                with self.assertRaisesRegex(UnitError, reason.replace(")", r"\)")):
                    parse(text)

    def test_conversions_are_rounded_once(self) -> None:
        rows = [
            (0.1, "in", "mm", 2.54),
            (1, "in", "mm", 25.4),
            (3, "ft", "m", 0.9144),
            (20, "degC", "K", 293.15),
            (100.0, "degC", "degF", 212.0),
            (-40, "degF", "degC", -40.0),
            (0.3, "kN", "N", 300.0),
            (7, "mm", "mm", 7),
            (1, "rev", "rad", 2 * math.pi),
            (90, "deg", "rad", math.pi / 2),
            (1, "Btu", "J", 1055.05585262),
            (1, "hp", "W", 745.6998715822702),
            (1, "atm", "Pa", 101_325.0),
        ]
        for value, unit, to, expected in rows:
            with self.subTest(f"{value} {unit}"):
                self.assertEqual(convert(value, unit, to), expected)

    def test_a_pound_of_force_on_a_square_inch_is_psi(self) -> None:
        self.assertEqual(parse("psi").factor, parse("lbf/in^2").factor)
        self.assertEqual(parse("slug").factor, parse("lbf*s^2/ft").factor)

    def test_other_dimensions_and_overflows_are_refused(self) -> None:
        with self.assertRaisesRegex(UnitError, "can't be converted"):
            convert(1, "N", "mm")
        with self.assertRaisesRegex(UnitError, "beyond"):
            convert(1e300, "Gm", "pm")

    def test_turns_are_cycles_and_radians_are_not(self) -> None:
        turns = parse("rpm").in_cycles()
        self.assertIsNotNone(turns)
        self.assertEqual(turns and turns.factor, Fraction(1, 60))
        self.assertIsNone(parse("rad/s").in_cycles())
        self.assertIsNone(parse("m/s").in_cycles())

    def test_no_prefixed_symbol_is_read_as_another(self) -> None:
        for name, symbol in SYMBOLS.items():
            self.assertEqual(parse(name).factor, symbol.factor, name)
            if not symbol.is_metric:
                continue
            for prefix, ten in PREFIXES.items():
                if prefix + name not in SYMBOLS and not name.startswith("a"):
                    unit = parse(prefix + name)
                    self.assertEqual(unit.dimension, symbol.dimension, prefix + name)
                    self.assertEqual(unit.factor, ten * symbol.factor, prefix + name)
