"""The README's Python runs, and its test cases are test cases."""

import contextlib
import io
import re
import sys
import tempfile
import types
import unittest
from pathlib import Path

from mecapy.__main__ import main

README = Path(__file__).resolve().parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    text = README.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


class Readme(unittest.TestCase):
    def test_its_python_runs(self) -> None:
        module = types.ModuleType("readme")
        # Annotations of its functions are looked up in their module.
        sys.modules["readme"] = module
        self.addCleanup(sys.modules.pop, "readme")
        python = blocks("python")
        self.assertEqual(len(python), 6)
        for at, block in enumerate(python):
            with self.subTest(at):
                exec(compile(block, f"README.md, block {at + 1}", "exec"), vars(module))

    def test_its_test_cases_pass(self) -> None:
        self.addCleanup(sys.modules.pop, "rods", None)
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "tests").mkdir()
            (place / "rods.py").write_text(blocks("python")[0], encoding="utf-8")
            (place / "pyproject.toml").write_text(blocks("toml")[0], encoding="utf-8")
            for at, block in enumerate(blocks("json")):
                path = place / "tests" / f"test_{at}.json"
                path.write_text(block, encoding="utf-8")
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                status = main(["--folder", folder, "test"])
        self.assertEqual(
            (status, out.getvalue().splitlines()[-1]), (0, "3 passed, 0 failed")
        )
