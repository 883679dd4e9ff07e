"""`python -m mecapy`: test cases in both dialects, and the manifest."""

import contextlib
import io
import json
import sys
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mecapy.__main__ import main
from mecapy.cases import CaseError, json_form, read_cases
from mecapy.yaml_text import yaml_text

SETTINGS = """
[project]
name = "rods"
version = "1.2.0"
description = "Rods: stress and more"
requires-python = ">=3.11"
dependencies = ["scipy>=1.11", "mecapy-guest"]
license = "MIT"
authors = [{name = "An Engineer"}]

[tool.mecapy]
modules = ["rods"]
tags = ["rods"]
visibility = "internal"
"""
MODULE = '''
from pathlib import Path
from typing import Annotated
import mecapy
from mecapy import Area, File, Force, Length, Stress

@mecapy.function(validity={"d > 0"!r}, tier="nano")
def stress(
    F: Annotated[float, Force("N", "Axial: force")],
    d: Annotated[float, Length("mm", validity="d < 500", on_violation="flag")] = 10.0,
) -> Annotated[float, Stress("MPa")]:
    """Mean stress in a round rod."""
    return F / (3.0 * d**2 / 4)

@mecapy.function(name="lines", outputs={"count": int})
def count_lines(text: Annotated[Path, File("txt")]):
    if text.stat().st_size == 0:
        raise RuntimeError("an empty file")
    return {"count": text.read_text().count("\\n")}

def plain(a, b):
    return {"sum": a + b, "more": [a, {"b": b}]}
'''.replace('{"d > 0"!r}', '"d > 0"')


class Package(unittest.TestCase):
    """A package in a temporary folder, with the commands run in this process."""

    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.addCleanup(sys.modules.pop, "rods", None)
        self.write("pyproject.toml", SETTINGS)
        self.write("rods.py", MODULE)
        self.write("tests/three.txt", "a\nb\nc\n")
        self.write("shared.txt", "")

    def write(self, name: str, content: Any) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run_command(self, *arguments: str) -> tuple[int, str]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            status = main(["--folder", str(self.folder), *arguments])
        return status, out.getvalue()


class Testing(Package):
    def test_both_dialects_run(self) -> None:
        self.write(
            "tests/test_stress.json",
            {
                "handler": "rods:stress",
                "description": "Rods",
                "test_cases": [
                    {
                        "name": "by name",
                        "request": {"F": 300, "d": 10},
                        "expected": 4.0,
                    },
                    {"name": "in order", "request": {"f": 300}, "expected": 4},
                    {
                        "name": "with units",
                        "request": {"F": {"value": 0.3, "unit": "kN"}, "d": 20},
                        "expected": {"result": 1.04},
                        "tolerance": {"numeric": 0.05},
                    },
                    {"name": "smoke", "request": {"F": 1, "d": 600}, "expected": {}},
                ],
            },
        )
        self.write(
            "tests/test_lines.json",
            {
                "function": "lines",
                "version": "1.0.0",
                "test_cases": [
                    {"inputs": {"text": "three.txt"}, "expected_outputs": {"count": 3}},
                    {
                        "name": "a file at the root",
                        "inputs": {"text": "shared.txt"},
                        "expected_exception": "RuntimeError: empty",
                    },
                ],
            },
        )
        self.write(
            "tests/test_plain.json",
            {
                "function": "rods:plain",
                "test_cases": [
                    {
                        "inputs": {"a": 1, "b": 0.1},
                        "expected_outputs": {"more": [1, {"b": 0.1}]},
                        "tolerance": {"relative": 1e-3},
                    }
                ],
            },
        )
        status, said = self.run_command("test")
        self.assertEqual(
            (status, said.splitlines()[-1]), (0, "7 passed, 0 failed"), said
        )
        self.assertIn("flagged: stress is valid where d < 500", said)
        status, said = self.run_command("test", "-k", "smoke")
        self.assertEqual((status, said.splitlines()[-1]), (0, "1 passed, 0 failed"))

    def test_what_fails_says_why(self) -> None:
        rows: list[tuple[dict[str, Any], str]] = [
            (
                {"inputs": {"F": 300}, "expected": 5},
                "result is 4.0, and 5 ± 1e-09 of it",
            ),
            (
                {"inputs": {"F": 3}, "expected": 5, "tolerance": {"numeric": 0.5}},
                "result is 0.04, and 5 ± 0.5 is expected",
            ),
            ({"inputs": {"F": 3}, "expected": "x"}, "and the text 'x' is expected"),
            ({"inputs": {"F": 3}, "expected": [1]}, "and a list of 1 is expected"),
            ({"inputs": {"F": 3}, "expected": {"a": 1}}, "result.a is missing"),
            ({"inputs": {"F": 3}, "expected": {"result": {"a": 1}}}, "an object is"),
            (
                {"inputs": {"F": "x"}, "expected": 1},
                "InputError: /F: a number is needed",
            ),
            (
                {"inputs": {"F": "x"}, "expected_exception": "InputError"},
                "InputError: /F",
            ),
            ({"inputs": {"F": 3}, "expected_exception": "ValueError"}, "it returned"),
            (
                {"inputs": {"F": 3, "d": 0}, "expected_exception": "ZeroDivisionError"},
                "valid where d > 0",
            ),
        ]
        for case, reason in rows:
            with self.subTest(reason):
                file = {"function": "stress", "test_cases": [case]}
                self.write("tests/test_one.json", file)
                status, said = self.run_command("test")
                self.assertEqual(
                    (status, said.splitlines()[-1]), (1, "0 passed, 1 failed")
                )
                self.assertIn(reason, said)

    def test_where_the_function_raised_is_told(self) -> None:
        case = {"inputs": {"text": "../shared.txt"}, "expected": {}}
        self.write("tests/test_one.json", {"function": "lines", "test_cases": [case]})
        _, said = self.run_command("test")
        self.assertIn("RuntimeError: an empty file (rods.py, line 18)", said)

    def test_files_that_are_none_are_refused_with_their_place(self) -> None:
        case = {"inputs": {}, "expected": 1}
        rows: list[tuple[Any, str]] = [
            ("{", "is no JSON"),
            ([1], "an object is needed"),
            ({"test_cases": [case]}, '"handler" or "function"'),
            ({"function": "a:b", "handler": "a:b", "test_cases": [case]}, "must say"),
            ({"function": "a:b", "test_cases": []}, "one case at least"),
            ({"function": "a:b", "test_cases": [1]}, "/test_cases/0: an object"),
            (
                {"function": "a:b", "test_cases": [{"inputs": 1, "expected": 1}]},
                "/inputs",
            ),
            ({"function": "a:b", "test_cases": [{"inputs": {}}]}, "there is none"),
            (
                {"function": "a:b", "test_cases": [{**case, "expected_outputs": 1}]},
                "'expected' and 'expected_outputs'",
            ),
            (
                {"function": "a:b", "test_cases": [{**case, "request": {}}]},
                "'request' and 'inputs'",
            ),
            (
                {
                    "function": "a:b",
                    "test_cases": [{**case, "tolerance": {"numeric": -1}}],
                },
                "/tolerance",
            ),
            (
                {"function": "a:b", "test_cases": [{**case, "tolerance": 1}]},
                "/tolerance",
            ),
            (
                {"function": "a:b", "test_cases": [{"expected_exception": 1}]},
                "the name of an exception",
            ),
        ]
        for content, reason in rows:
            with self.subTest(reason):
                self.write("tests/test_one.json", content)
                with self.assertRaisesRegex(CaseError, reason):
                    read_cases(self.folder / "tests/test_one.json")

    def test_functions_that_are_not_there_are_named(self) -> None:
        rows = [
            ("rods:stres", "did you mean 'stress'"),
            ("rod:stress", "no module 'rod'"),
            ("stres", "did you mean 'stress'"),
        ]
        for target, reason in rows:
            with self.subTest(target):
                cases = [{"inputs": {}, "expected": 1}]
                file = {"function": target, "test_cases": cases}
                self.write("tests/test_one.json", file)
                status, said = self.run_command("test")
                self.assertEqual(status, 2, said)
                self.assertIn(reason, said)

    def test_nothing_to_test_is_an_error(self) -> None:
        status, said = self.run_command("test")
        self.assertEqual(status, 2)
        self.assertIn("no test cases", said)

    def test_results_have_the_platforms_form(self) -> None:
        rows = [
            ((1, 2), [1, 2]),
            ({3, 1}, [1, 3]),
            (1 + 2j, {"re": 1.0, "im": 2.0}),
            (Path("a/b"), "a/b"),
        ]
        for value, form in rows:
            self.assertEqual(json_form(value), form)
        for bad in (float("nan"), object(), lambda: 1):
            with self.assertRaises(ValueError):
                json_form({"a": [bad]})


class Manifest(Package):
    def test_it_is_written_and_checked(self) -> None:
        status, said = self.run_command("manifest", "--check")
        self.assertEqual(status, 1)
        self.assertIn("+  name: rods", said)
        self.assertEqual(self.run_command("manifest")[0], 0)
        self.assertEqual(self.run_command("manifest", "--check")[0], 0)
        self.assertIn("is current", self.run_command("manifest")[1])
        text = (self.folder / "mecapy.yml").read_text(encoding="utf-8")
        self.assertEqual(text.partition("\n")[2], EXPECTED)

    def test_a_package_that_lacks_something_is_told(self) -> None:
        rows = [
            ('version = "1.2.0"', 'version = "1.2"', "is not semantic"),
            ('name = "rods"\n', "", "needs a name"),
            (
                'visibility = "internal"',
                'visibility = "all"',
                "private, internal, public",
            ),
            ('modules = ["rods"]', "", "doesn't say where functions are"),
            ('modules = ["rods"]', 'modules = ["rod"]', "no module 'rod'"),
            ('modules = ["rods"]', 'modules = ["json"]', "is decorated"),
            ('tags = ["rods"]', "tag = 1", "has no 'tag'"),
            ("[project]", "[project", "pyproject.toml"),
        ]
        for old, new, reason in rows:
            with self.subTest(reason):
                self.write("pyproject.toml", SETTINGS.replace(old, new))
                status, said = self.run_command("manifest")
                self.assertEqual(status, 2, said)
                self.assertIn(reason, said)

    def test_yaml_is_read_as_it_was_meant(self) -> None:
        rows = [
            ("yes", '"yes"'),
            ("1.2", '"1.2"'),
            ("a: b", '"a: b"'),
            ("a #b", '"a #b"'),
            ("- a", '"- a"'),
            ("", '""'),
            ("é", '"é"'),
            ("list[Length]", '"list[Length]"'),
            ("a b-c.d", "a b-c.d"),
            ("module:function", "module:function"),
            ('literal["a"]', "'literal[\"a\"]'"),
            ('a"\\', '"a\\"\\\\"'),
            (True, "true"),
            (None, "null"),
            (1.5, "1.5"),
        ]
        for value, text in rows:
            self.assertEqual(yaml_text({"k": value}), f"k: {text}\n")
        nested = yaml_text({"a": {}, "b": [], "c": [{"d": 1}, "x"]})
        self.assertEqual(nested, "a: {}\nb: []\nc:\n  -\n    d: 1\n  - x\n")


EXPECTED = """\
version: "1"
package:
  name: rods
  version: "1.2.0"
  description: "Rods: stress and more"
  author: An Engineer
  license: MIT
  visibility: internal
  tags:
    - rods
runtime:
  kind: python
  version: "3.11"
  requirements:
    - "scipy>=1.11"
functions:
  stress:
    handler: rods:stress
    description: Mean stress in a round rod.
    inputs:
      F:
        type: Force
        unit: "N"
        description: "Axial: force"
        required: true
      d:
        type: Length
        unit: mm
        required: false
        default: 10.0
        validity:
          expression: "d < 500"
          on_violation: flag
    outputs:
      result:
        type: Stress
        unit: MPa
    validity: "d > 0"
    resources:
      tier: nano
  lines:
    handler: rods:count_lines
    inputs:
      text:
        type: "File[txt]"
        required: true
    outputs:
      count:
        type: Integer
quality:
  validation_testcases:
    on_deployment: true
    fail_on_error: true
"""
