"""Ports from annotations: how each type is written, read and refused."""

import unittest
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import mecapy
from mecapy import (
    DeclarationError,
    File,
    Force,
    Force3,
    Frequency,
    InputError,
    Length,
    Matrix,
    Port,
    Stress,
    Temperature,
    Torsor,
    Vector3,
)
from mecapy.ports import port_of


@dataclass
class Bolt:
    d: Annotated[float, Length("mm")]
    grade: Literal["8.8", "10.9"] = "8.8"


@dataclass
class Row:
    bolts: list[Bolt] = field(default_factory=list)


class Plate(TypedDict):
    t: Annotated[float, Length("mm")]
    rows: NotRequired[list[Row]]


@dataclass
class Circle:
    inner: float
    outer: float

    def __post_init__(self) -> None:
        if self.inner >= self.outer:
            raise ValueError("the inner diameter must be the smaller one")


class Ports(unittest.TestCase):
    def test_annotations_are_types_of_the_manifest(self) -> None:
        rows: list[tuple[Any, str, str | None]] = [
            (float, "Float", None),
            (int, "Integer", None),
            (int | float, "Numeric", None),
            (bool, "Boolean", None),
            (str, "String", None),
            (dict, "Object", None),
            (dict[str, Any], "Object", None),
            (Literal["a", "b"], 'literal["a","b"]', None),
            (Literal[1, 2], "literal[1,2]", None),
            (Path, "File", None),
            (Annotated[Path, File("med", "MSH")], "File[med,msh]", None),
            (Annotated[float, Length("mm")], "Length", "mm"),
            (Annotated[float, Length], "Length", None),
            (Length["mm"], "Length", "mm"),
            (Frequency["rpm"], "Frequency", "rpm"),
            (
                Annotated[float, Port("Conductivity", unit="W/(m*K)")],
                "Float",
                "W/(m*K)",
            ),
            (list[float], "list[Float]", None),
            (list[Annotated[float, Force("N")]], "list[Force]", "N"),
            (Annotated[list[float], Force("N")], "list[Force]", "N"),
            (dict[str, Length["m"]], "dict[str,Length]", "m"),
            (list[list[int]], "list[list[Integer]]", None),
            (Force3["kN"], "Force3", "kN"),
            (Annotated[tuple[float, float, float], Vector3], "Vector3", None),
            (Annotated[list[list[float]], Matrix("N/mm")], "Matrix", "N/mm"),
            (Annotated[dict[str, Any], Torsor], "Torsor", None),
            (Bolt, 'struct{d: Length in mm, grade?: literal["8.8","10.9"]}', None),
            (
                Plate,
                "struct{t: Length in mm, rows?: list[struct{bolts?: list[struct{"
                'd: Length in mm, grade?: literal["8.8","10.9"]}]}]}',
                None,
            ),
        ]
        for annotation, text, unit in rows:
            with self.subTest(text):
                kind = port_of(annotation).kind
                self.assertEqual((kind.form, kind.unit), (text, unit))

    def test_what_can_be_no_port_is_refused(self) -> None:
        rows: list[tuple[Any, str]] = [
            (set, "no type of a port"),
            (list, "no type of a port"),
            (complex, "no type of a port"),
            (Any, "no type of a port"),
            (tuple[float, float], "no type of a port"),
            (int | str, "several types"),
            (dict[int, float], "names of a dict are str"),
            (Annotated[int, Length("mm")], "a Length is a float"),
            (Annotated[str, File("txt")], "a File is a pathlib.Path"),
            (Annotated[Path, Length("mm")], "a path is a File"),
            (Annotated[str, Port(unit="mm")], "String has no unit"),
            (Literal[1.5], "choices are texts or integers"),  # type: ignore[valid-type]
        ]
        for annotation, reason in rows:
            with self.subTest(str(annotation)):
                with self.assertRaisesRegex(DeclarationError, reason):
                    port_of(annotation)

    def test_a_unit_of_another_dimension_is_refused_at_once(self) -> None:
        rows: list[Callable[[], Any]] = [
            lambda: Length("N"),
            lambda: Stress("mm"),
            lambda: Frequency("rad/s"),
            lambda: Force3("mm"),
            lambda: Torsor("N"),
            lambda: Length("furlong"),
            lambda: Length["kg"],
            lambda: File(".med"),
        ]
        for make in rows:
            with self.assertRaises(DeclarationError):
                make()


class Reading(unittest.TestCase):
    def read(self, annotation: Any, value: Any) -> Any:
        with TemporaryDirectory() as folder:
            (Path(folder) / "mesh.med").touch()
            (Path(folder) / "note.txt").touch()
            return port_of(annotation).read(value, Path(folder))

    def test_values_become_what_the_function_is_called_with(self) -> None:
        rows: list[tuple[Any, Any, Any]] = [
            (float, 2, 2.0),
            (int, 2.0, 2),
            (int | float, 2, 2),
            (Length["mm"], 2, 2.0),
            (Length["mm"], {"value": 0.1, "unit": "in"}, 2.54),
            (Length, {"value": 5, "unit": "mm"}, 0.005),
            (Temperature["degC"], {"value": 68, "unit": "degF"}, 20.0),
            (Frequency["Hz"], {"value": 90, "unit": "rpm"}, 1.5),
            (Force3["N"], {"value": [1, 2, 3], "unit": "kN"}, [1000.0, 2000.0, 3000.0]),
            (
                Annotated[list[float], Length("mm")],
                [1, {"value": 1, "unit": "cm"}],
                None,
            ),
            (list[Length["mm"]], {"value": [1, 2], "unit": "cm"}, [10.0, 20.0]),
            (
                Annotated[list[list[float]], Matrix],
                [[1, 2], [3, 4]],
                [[1.0, 2.0], [3, 4]],
            ),
            (Bolt, {"d": 12}, Bolt(12.0)),
            (Bolt, {"d": 12, "grade": None}, Bolt(12.0)),
            (Bolt, Bolt(3.0), Bolt(3.0)),
            (Row, {"bolts": [{"d": 1}]}, Row([Bolt(1.0)])),
            (Literal["8.8"], "8.8", "8.8"),
            (float | None, None, None),
        ]
        for annotation, value, expected in rows:
            with self.subTest(f"{annotation} {value}"):
                wanted = [1.0, 10.0] if expected is None and value else expected
                self.assertEqual(self.read(annotation, value), wanted)

    def test_a_file_is_a_path(self) -> None:
        path = self.read(Annotated[Path, File("med")], "mesh.med")
        self.assertEqual(path.name, "mesh.med")

    def test_what_does_not_fit_is_refused_with_its_place(self) -> None:
        nan = float("nan")
        rows: list[tuple[Any, Any, str, str]] = [
            (float, "2", "/x", "a number is needed here, not the text '2'"),
            (float, True, "/x", "not true"),
            (float, nan, "/x", "finite"),
            (float, 10**400, "/x", "finite"),
            (int, 1.5, "/x", "whole number"),
            (int, 2**31, "/x", "2147483647"),
            (bool, 1, "/x", "true or false"),
            (str, None, "/x", "a text is needed, not null"),
            (dict[str, Any], [1], "/x", "an object is needed, not a list of 1"),
            (Length["mm"], {"value": 1, "unit": "N"}, "/x/unit", "a unit like mm"),
            (Length["mm"], {"value": 1, "unit": 2}, "/x/unit", "a unit is a text"),
            (
                Length["mm"],
                {"value": "1", "unit": "mm"},
                "/x/value",
                "a number is needed",
            ),
            (Length["mm"], {"value": 1}, "/x", "not an object"),
            (Force3["N"], [1, 2], "/x", "3 numbers"),
            (Force3["N"], [1, 2, "3"], "/x/2", "a number"),
            (Annotated[Any, Matrix], [[1], [1, 2]], "/x/1", "2 numbers, and the first"),
            (Annotated[Any, Torsor], {"force": [1, 2, 3]}, "/x/moment", "needed"),
            (list[int], [1, "2"], "/x/1", "whole number"),
            (dict[str, int], {"a/b": None}, "/x/a~1b", "whole number"),
            (Literal["8.8", "10.9"], "8,8", "/x", "did you mean '8.8'"),
            (Bolt, {"D": 1}, "/x/D", "did you mean 'd'"),
            (Bolt, {}, "/x/d", "d is needed here"),
            (Plate, {"t": 1, "rows": [{"bolts": [{"d": "M12"}]}]}, "", "M12"),
            (Circle, {"inner": 2, "outer": 1}, "/x", "must be the smaller"),
            (Annotated[Path, File("med")], "note.txt", "/x", "not 'note.txt'"),
            (Path, "none.txt", "/x", "there is no file 'none.txt'"),
        ]
        for annotation, value, pointer, reason in rows:

            def call(x: Any) -> None: ...

            call.__annotations__ = {"x": annotation}
            declared = mecapy.function_of(mecapy.function(call))
            assert declared is not None
            with self.subTest(
                f"{annotation} {value!r}"
            ), TemporaryDirectory() as folder:
                (Path(folder) / "note.txt").touch()
                with self.assertRaises(InputError) as caught:
                    declared.read({"x": value}, Path(folder))
                (fault,) = caught.exception.faults
                expected = pointer or "/x/rows/0/bolts/0/d"
                self.assertEqual(fault.pointer, expected)
                self.assertIn(reason, fault.message)
