"""The template of `mecapy new --lang python`: its README's commands work."""

import os
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

SDK = Path(__file__).resolve().parents[1]
TEMPLATE = SDK.parent / "template"


def commands(readme: str) -> list[str]:
    """The README's shell blocks, but for the one that needs a server."""
    blocks = re.findall(r"^```sh\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    return [block for block in blocks if "mecapy publish" not in block]


class Template(unittest.TestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name) / "rods-and-bolts"
        shutil.copytree(
            TEMPLATE, self.folder, ignore=shutil.ignore_patterns("__pycache__")
        )
        for path in self.folder.rglob("*"):
            if path.is_file():
                text = path.read_text(encoding="utf-8")
                text = text.replace("{{name}}", self.folder.name)
                path.write_text(text, encoding="utf-8")
        shutil.copytree(
            SDK / "src" / "mecapy",
            self.folder / ".sdk" / "mecapy",
            ignore=shutil.ignore_patterns("__pycache__"),
        )

    def run_in_folder(self, script: str) -> str:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        python = os.path.dirname(sys.executable)
        environment["PATH"] = f"{python}{os.pathsep}{environment['PATH']}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_the_commands_of_its_readme_work(self) -> None:
        blocks = commands((self.folder / "README.md").read_text(encoding="utf-8"))
        self.assertEqual(len(blocks), 4)
        said = self.run_in_folder("\n".join(blocks))
        self.assertIn("6 passed, 0 failed", said)
        self.assertEqual(said.count("is current"), 2)
        self.assertIn("640.0", said)
        self.assertIn("/bolt/diameter/unit: N (kg*m/s^2) can't be converted", said)
        self.assertIn("/loads: this input is needed", said)

    def test_nothing_of_the_template_is_left_open(self) -> None:
        for path in self.folder.rglob("*"):
            if path.is_file() and ".sdk" not in path.parts:
                self.assertNotIn("{{", path.read_text(encoding="utf-8"), path.name)
