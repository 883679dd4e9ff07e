"""Decorated functions: plain to Python, checked by their ports where others call."""

import math
import unittest
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import mecapy
from mecapy import (
    DeclarationError,
    File,
    Force,
    InputError,
    Length,
    OutputError,
    Stress,
    function_of,
)
from mecapy.functions import Function
from mecapy.surroundings import Surroundings, use


@dataclass
class Answer:
    stress: Annotated[float, Stress("MPa")]
    ok: bool


@mecapy.function(validity="d >= 0.5 and stress < 1000", tier="nano")
def rod(
    F: Annotated[float, Force("N", "Axial force", validity="F > 0")],
    d: Annotated[float, Length("mm", validity="d < 500", on_violation="flag")] = 12.0,
) -> Answer:
    """Stress in a
    round rod.

    F / A.
    """
    stress = F / (math.pi * d**2 / 4)
    return Answer(stress, stress < 235)


def declared(call: Any, **said: Any) -> Function:
    found = function_of(mecapy.function(**said)(call))
    assert found is not None
    return found


class Functions(unittest.TestCase):
    def test_python_calls_it_as_before(self) -> None:
        self.assertIsInstance(rod(5000, d=10), Answer)
        self.assertLess(rod(-1.0).stress, 0)
        self.assertEqual(rod.__name__, "rod")

    def test_others_call_it_by_its_ports(self) -> None:
        function = function_of(rod)
        assert function is not None
        self.assertEqual(function.handler, f"{__name__}:rod")
        self.assertEqual(function.description, "Stress in a round rod.")
        got = function.run({"F": {"value": 5, "unit": "kN"}})
        self.assertEqual(got.values, {"stress": rod(5000).stress, "ok": True})
        self.assertEqual(got.warnings, ())

    def test_every_fault_is_told(self) -> None:
        function = function_of(rod)
        assert function is not None
        with self.assertRaises(InputError) as caught:
            function.run({"f": 1, "d": "x"})
        places = [(fault.pointer, fault.code) for fault in caught.exception.faults]
        expected = [("/f", "unknown_field"), ("/F", "required"), ("/d", "wrong_type")]
        self.assertEqual(places, expected)
        self.assertIn("did you mean 'F'?", str(caught.exception))

    def test_validity_is_checked_before_and_after(self) -> None:
        function = function_of(rod)
        assert function is not None
        with self.assertRaises(InputError) as before:
            function.run({"F": -1})
        self.assertEqual(before.exception.faults[0].pointer, "/F")
        with self.assertRaises(OutputError) as after:
            function.run({"F": 1e9})
        self.assertIn("stress = ", str(after.exception))
        self.assertEqual(after.exception.faults[0].pointer, "")
        flagged = function.run({"F": 1, "d": 600}).warnings
        self.assertEqual(len(flagged), 1)
        self.assertIn("d < 500, and here d = 600.0", flagged[0])

    def test_a_single_value_is_the_result(self) -> None:
        def area(d: float) -> Annotated[float, mecapy.Area("mm^2")]:
            return d * d

        self.assertEqual(declared(area).run({"d": 2}).values, {"result": 4.0})

    def test_a_result_that_is_not_described_is_as_it_is(self) -> None:
        def any_of(d: float):  # type: ignore[no-untyped-def]
            return {"d": d, "more": [d]}

        got = declared(any_of).run({"d": 2}).values
        self.assertEqual(got, {"d": 2.0, "more": [2.0]})

    def test_outputs_of_a_dict_are_named(self) -> None:
        def both(x: float):  # type: ignore[no-untyped-def]
            return {"length": x, "n": 3} if x > 0 else {"lenght": x}

        outputs = {"length": Length("mm"), "n": int}
        function = declared(both, outputs=outputs)
        self.assertEqual(function.run({"x": 1}).values, {"length": 1.0, "n": 3})
        with self.assertRaisesRegex(OutputError, "did you mean 'length'"):
            function.run({"x": -1})

    def test_outputs_that_do_not_fit_are_refused(self) -> None:
        rows: list[tuple[Any, Any, str]] = [
            (float, "1", "/result: a number"),
            (float, float("inf"), "/result: a finite number"),
            (list[float], [1, None], "/result/1: a number"),
            (dict[str, float], {"a": {}}, "/result/a: a number"),
            (Answer, {"stress": 1.0}, "/ok: ok is missing"),
            (Answer, None, "an object is needed"),
            (int, 1.5, "/result: a whole number"),
        ]
        for annotation, value, reason in rows:

            def call() -> Any: ...

            call.__annotations__ = {"return": annotation}
            with self.subTest(f"{annotation} {value!r}"):
                with self.assertRaisesRegex(OutputError, reason):
                    declared(call).write(value)

    def test_what_numpy_returns_is_taken(self) -> None:
        class Scalar:
            """As NumPy's: a number that `tolist` makes Python's."""

            def tolist(self) -> Any:
                return 2.5

        class Array:
            def tolist(self) -> Any:
                return [1.0, 2.0]

        def call() -> Any: ...

        call.__annotations__ = {"return": float}
        self.assertEqual(declared(call).write(Scalar()).values, {"result": 2.5})
        call.__annotations__ = {"return": int}
        self.assertEqual(declared(call).write(2**40).values, {"result": 2**40})
        call.__annotations__ = {"return": list[float]}
        self.assertEqual(declared(call).write(Array()).values, {"result": [1.0, 2.0]})

    def test_what_says_nothing_is_refused(self) -> None:
        def bare(x): ...  # type: ignore[no-untyped-def]
        def rest(*x: float) -> None: ...
        def positional(x: float, /) -> None: ...
        def unknown(x: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821
        def object_out(x: float) -> list[dict[str, Any]]: ...  # type: ignore[empty-body]
        def plain(x: float) -> float: ...  # type: ignore[empty-body]

        rows: list[tuple[Any, dict[str, Any], str]] = [
            (bare, {}, "x has no annotation"),
            (rest, {}, "come by name"),
            (positional, {}, "come by name"),
            (unknown, {}, "Missing"),
            (object_out, {}, "result is an Object"),
            (plain, {"validity": "y > 0"}, "no port 'y'"),
            (plain, {"outputs": {"a": complex}}, "no type of a port"),
        ]
        for call, said, reason in rows:
            with self.subTest(reason), self.assertRaisesRegex(DeclarationError, reason):
                self.assertIsNone(declared(call, **said).signature)
        with self.assertRaisesRegex(DeclarationError, "tier is one of"):
            declared(plain, tier="huge")
        with self.assertRaisesRegex(DeclarationError, "before a `def`"):
            mecapy.function(3)  # type: ignore[call-overload]


class Files(unittest.TestCase):
    def test_an_artifact_is_an_output(self) -> None:
        def copy(text: Annotated[Path, File("txt")]):  # type: ignore[no-untyped-def]
            mecapy.progress(0.5, "half")
            return {"copy": mecapy.artifact(text.read_bytes() * 2, "a/copy.txt")}

        function = declared(copy, outputs={"copy": File("txt")})
        told: list[Any] = []
        with TemporaryDirectory() as folder:
            inputs, artifacts = Path(folder, "in"), Path(folder, "out")
            inputs.mkdir()
            (inputs / "x.txt").write_text("ab")
            place = Surroundings(inputs, artifacts, lambda *said: told.append(said))
            with use(place):
                got = function.run({"text": "x.txt"})
            self.assertEqual(got.values, {"copy": "a/copy.txt"})
            self.assertEqual((artifacts / "a/copy.txt").read_text(), "abab")
        self.assertEqual(told, [(0.5, "half")])

    def test_a_file_elsewhere_is_no_output(self) -> None:
        with TemporaryDirectory() as folder:
            inputs, artifacts = Path(folder, "in"), Path(folder, "out")
            inputs.mkdir()
            (inputs / "x.txt").touch()

            def own(x: float) -> Path:
                return inputs / "x.txt"

            with use(Surroundings(inputs, artifacts)):
                with self.assertRaisesRegex(OutputError, "mecapy.artifact"):
                    declared(own).run({"x": 1})

    def test_artifacts_stay_in_their_folder(self) -> None:
        with TemporaryDirectory() as folder, use(Surroundings(Path(), Path(folder))):
            for name in ("../x", "/etc/x", "a/../../x", "", "a\nb", "x" * 300):
                with self.subTest(name), self.assertRaisesRegex(ValueError, "artifact"):
                    mecapy.artifact(b"x", name)
            with self.assertRaises(TypeError):
                mecapy.artifact(b"x")
            with self.assertRaises(FileNotFoundError):
                mecapy.artifact(Path(folder) / "none")
            kept = mecapy.artifact(b"x", "x.bin")
            self.assertEqual(mecapy.artifact(kept), kept)

    def test_progress_is_a_number(self) -> None:
        with self.assertRaises(ValueError):
            mecapy.progress(float("nan"))
