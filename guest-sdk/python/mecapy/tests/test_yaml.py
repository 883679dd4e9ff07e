"""Packages as the public SDK has them: a manifest by hand, nothing decorated, YAML."""

import yaml

from mecapy.manifest import manifest_text
from mecapy.project import Project
from mecapy.yaml_text import yaml_text

from .test_command import SETTINGS, Package

MANIFEST = """
version: "1"
package: {name: plain, version: 2.1.0}
runtime: {kind: python, version: "3.12", requirements: false}
functions:
  total:
    handler: rods:plain
    inputs:
      a: {type: Float}
      b: {type: Float}
  size:
    handler: rods:size
    inputs:
      file: {type: "File[txt]", required: true}
tests: {framework: pytest}
"""


class Plain(Package):
    def setUp(self) -> None:
        super().setUp()
        self.write("pyproject.toml", "")
        self.write("mecapy.yml", MANIFEST)
        module = (self.folder / "rods.py").read_text(encoding="utf-8")
        more = "\ndef size(file):\n    return file.stat().st_size\n"
        self.write("rods.py", module + more)

    def test_functions_are_found_by_the_manifests_names(self) -> None:
        self.write(
            "tests/test_total.yml",
            "function: total\ntest_cases:\n"
            "  - {inputs: {a: 1, b: 2.5}, expected_outputs: {sum: 3.5}}\n",
        )
        self.write(
            "tests/test_size.yaml",
            "function: size\ntest_cases:\n"
            "  - {name: a file is a path, inputs: {file: three.txt}, expected: 6}\n",
        )
        status, said = self.run_command("test")
        self.assertEqual(
            (status, said.splitlines()[-1]), (0, "2 passed, 0 failed"), said
        )

    def test_names_and_documents_that_are_none_are_told(self) -> None:
        rows = [
            ("function: totals\ntest_cases: [{expected: 1}]", "no function 'totals'"),
            ("function: [", "is no YAML"),
        ]
        for text, reason in rows:
            self.write("tests/test_one.yml", text)
            status, said = self.run_command("test")
            self.assertEqual(status, 2)
            self.assertIn(reason, said)


class Written(Package):
    def test_the_manifest_is_yaml(self) -> None:
        self.write("pyproject.toml", SETTINGS)
        project = Project.read(self.folder)
        with project.on_path():
            manifest = yaml.safe_load(manifest_text(project))
        self.assertEqual(manifest["package"]["description"], "Rods: stress and more")
        ports = manifest["functions"]["stress"]["inputs"]
        self.assertEqual(ports["F"]["unit"], "N")
        self.assertEqual(ports["d"]["default"], 10.0)

    def test_every_text_comes_back(self) -> None:
        texts = [
            "yes",
            "12:30",
            "2020-01-01",
            "~",
            "a: b",
            "'\"\\",
            "é\n",
            "# a",
            "- a",
        ]
        texts += [
            "",
            " a",
            "a ",
            "{a}",
            "[a]",
            "!a",
            "&a",
            "*a",
            "a:b",
            "0x1",
            "1e5",
            "=",
        ]
        texts += [
            'literal["8.8"]',
            "%",
            "@a",
            "`a`",
            "a, b",
            "null",
            "N",
            "a#b",
            "\u2028",
        ]
        value = {"texts": texts, **{text: text for text in texts}}
        self.assertEqual(yaml.safe_load(yaml_text(value)), value)
