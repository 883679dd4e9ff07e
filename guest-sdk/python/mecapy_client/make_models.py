"""Writes the package `models` and `bodies.py` from a server's OpenAPI document.

    python make_models.py http://127.0.0.1:8000/openapi.json

What is answered becomes frozen dataclasses in `models`, what is asked TypedDicts in
`bodies.py`. Only what the client's routes need is written; a test compares all files
with a live server's document.
"""

import json
import re
import sys
import textwrap
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# Beginnings of the paths that the client uses.
PATHS = (
    "/v1/preview",
    "/v1/tasks",
    "/v1/uploads",
    "/v1/modules",
    "/v1/functions",
    "/v1/me",
    "/v1/lanes",
    "/v1/batches",
    "/v1/workflows",
    "/v1/workflow-runs",
)
WIDTH = 88
# The modules of `models`, each with the beginnings of its schemas' names; the first has
# all others. A module takes from those before it.
MODULES: dict[str, tuple[str, ...]] = {
    "platform": (),
    "tasks": (
        "Artifact",
        "Limits",
        "Log",
        "Preview",
        "Progress",
        "SolverCode",
        "Task",
        "Usage",
        "Warning",
    ),
    "batches": ("Batch", "FieldSummary", "Item"),
    "workflows": ("Workflow",),
}
PACKAGE = Path(__file__).parent / "src" / "mecapy_client"
MODELS_HEAD = '''"""What the API answers. Made by `make_models.py`: don't edit.

Fields that this client doesn't know are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ..decoding import Model
'''
INDEX_HEAD = '''"""What the API answers. Made by `make_models.py`: don't edit."""
'''
BODIES_HEAD = '''"""What the API takes. Made by `make_models.py`: don't edit."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Required, TypedDict
'''
PLAIN = {"integer": "int", "number": "float", "boolean": "bool"}
REFERENCE = "#/components/schemas/"
# Schemas that are named as something of Python's own.
RENAMED = {"Warning": "TaskWarning"}

Schema = Mapping[str, Any]


class Writer:
    """Turns schemas of one document into Python."""

    def __init__(self, document: Schema) -> None:
        self.schemas: Schema = document["components"]["schemas"]
        operations = [
            operation
            for path, item in document["paths"].items()
            if path.startswith(PATHS)
            for operation in item.values()
        ]
        self.answers = self._reachable([each["responses"] for each in operations])
        asked = [each.get("requestBody") for each in operations]
        self.asked = self._reachable(asked)

    def files(self) -> dict[str, str]:
        """The texts of all files, by their paths in the package."""
        texts = {f"models/{name}.py": text for name, text in self._models().items()}
        return texts | {"bodies.py": self._bodies()}

    def _models(self) -> dict[str, str]:
        texts: dict[str, str] = {}
        homes: dict[str, str] = {}
        for module in MODULES:
            names = {name for name in self.answers if _module_of(name) == module}
            parts = list(self._choices(names))
            for name in sorted(names):
                head = f"@dataclass(frozen=True, kw_only=True)\nclass {_named(name)}(Model):"
                parts += self._class(name, head, _field)
            own = [_defined(part) for part in parts]
            taken = _taken(parts, homes)
            texts[module] = _joined([MODELS_HEAD + taken, *parts])
            homes |= dict.fromkeys(own, module)
        texts["__init__"] = _index(homes)
        return texts

    def _bodies(self) -> str:
        shared = sorted(self.asked & self.answers & set(self._enumerations()))
        names = f"from .models import {', '.join(shared)}\n" if shared else ""
        parts = [f"{BODIES_HEAD}\n{names}" if names else BODIES_HEAD]
        parts += self._choices(self.asked - self.answers)
        # What is asked and answered alike has a form in each file; a choice has one.
        for name in sorted(self.asked - set(self._enumerations())):
            parts += self._class(
                name, f"class {name}(TypedDict, total=False):", _member
            )
        return _joined(parts)

    def _enumerations(self) -> Iterator[str]:
        return (name for name, schema in self.schemas.items() if "enum" in schema)

    def _choices(self, names: set[str]) -> Iterator[str]:
        for name in sorted(names & set(self._enumerations())):
            values = [_text(value) for value in self.schemas[name]["enum"]]
            line = f"{name} = Literal[{', '.join(values)}]"
            if len(line) > WIDTH:
                line = f"{name} = Literal[\n    " + ",\n    ".join(values) + ",\n]"
            yield line

    def _class(self, name: str, head: str, write: Any) -> Iterator[str]:
        schema = self._merged(self.schemas[name])
        if "properties" not in schema:
            return
        lines = [head, *_doc(schema.get("description", ""))]
        required = set(schema.get("required", ()))
        properties = sorted(
            schema["properties"].items(), key=lambda item: item[0] not in required
        )
        for field, each in properties:
            lines += _comment(self._described(each))
            lines.append(write(field, self._type(each), field in required))
        yield "\n".join(lines)

    def _type(self, schema: Schema) -> str:
        """The annotation of a schema."""
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(REFERENCE)
            target = self._merged(self.schemas[name])
            is_known = "enum" in target or "properties" in target
            return _named(name) if is_known else "dict[str, Any]"
        if "oneOf" in schema or "anyOf" in schema:
            members = [
                self._type(each) for each in schema.get("oneOf", schema.get("anyOf"))
            ]
            return " | ".join(sorted(set(members), key=lambda member: member == "None"))
        if "enum" in schema:
            return f"Literal[{', '.join(map(_text, schema['enum']))}]"
        kinds = schema.get("type", [])
        names = [kinds] if isinstance(kinds, str) else list(kinds)
        return " | ".join(self._plain(name, schema) for name in names) or "Any"

    def _plain(self, kind: str, schema: Schema) -> str:
        match kind:
            case "null":
                return "None"
            case "string":
                return "datetime" if schema.get("format") == "date-time" else "str"
            case "array":
                return f"list[{self._type(schema.get('items', {}))}]"
            case "object":
                values = schema.get("additionalProperties")
                inner = self._type(values) if isinstance(values, Mapping) else "Any"
                return f"dict[str, {inner}]"
        return PLAIN[kind]

    def _merged(self, schema: Schema) -> Schema:
        """The schema with what it takes from others."""
        if "allOf" not in schema:
            return schema
        properties: dict[str, Any] = {}
        required: list[str] = []
        for part in schema["allOf"]:
            # A part that may be missing as a whole: none of it is required.
            given = [each for each in part.get("oneOf", ()) if "$ref" in each]
            is_optional = bool(given)
            part = given[0] if is_optional else part
            if "$ref" in part:
                part = self._merged(self.schemas[part["$ref"].removeprefix(REFERENCE)])
            properties |= part.get("properties", {})
            required += () if is_optional else part.get("required", ())
        return {**schema, "properties": properties, "required": required}

    def _described(self, schema: Schema) -> str:
        if "description" in schema:
            return str(schema["description"])
        for each in schema.get("oneOf", ()):
            if "description" in each:
                return str(each["description"])
        return ""

    def _reachable(self, roots: Any) -> set[str]:
        found: set[str] = set()
        pending = [roots]
        while pending:
            each = pending.pop()
            if isinstance(each, Mapping):
                name = str(each.get("$ref", "")).removeprefix(REFERENCE)
                if name and name not in found and name in self.schemas:
                    found.add(name)
                    pending.append(self.schemas[name])
                pending += each.values()
            elif isinstance(each, list):
                pending += each
        return found


def _named(schema: str) -> str:
    return RENAMED.get(schema, schema)


def _module_of(schema: str) -> str:
    """The last module that has a beginning of the name."""
    found = [name for name, starts in MODULES.items() if schema.startswith(starts)]
    return found[-1] if found else next(iter(MODULES))


def _defined(part: str) -> str:
    found = re.search(r"^(?:class )?(\w+)(?:\(Model\):| = )", part, re.MULTILINE)
    if found is None:
        raise ValueError(f"nothing is defined here: {part}")
    return found[1]


def _taken(parts: list[str], homes: Mapping[str, str]) -> str:
    """The imports of what a module's annotations name from those before it."""
    annotations = re.findall(r"^    \w+: (.*)$", "\n".join(parts), re.MULTILINE)
    words = {word for each in annotations for word in re.findall(r"\w+", each)}
    text = ""
    for module in MODULES:
        names = sorted(name for name in words if homes.get(name) == module)
        if names:
            text += _import(module, names)
    return text


def _import(module: str, names: list[str]) -> str:
    line = f"from .{module} import {', '.join(names)}\n"
    if len(line) <= WIDTH + 1:
        return line
    return f"from .{module} import (\n    " + ",\n    ".join(names) + ",\n)\n"


def _index(homes: Mapping[str, str]) -> str:
    """The text of `models/__init__.py`, which names everything."""
    imports = [
        _import(module, sorted(name for name, home in homes.items() if home == module))
        for module in sorted(MODULES)
    ]
    names = "".join(f"    {_text(name)},\n" for name in sorted(homes))
    return f"{INDEX_HEAD}\n{''.join(imports)}\n__all__ = [\n{names}]\n"


def _joined(parts: list[str]) -> str:
    """The head, and two empty lines between what follows (one before a choice)."""
    text = parts[0].strip("\n")
    for part in parts[1:]:
        is_class = part.startswith(("@", "class"))
        text += ("\n\n\n" if is_class else "\n\n") + part.strip("\n")
    return text + "\n"


def _field(name: str, annotation: str, is_required: bool) -> str:
    if is_required:
        return f"    {name}: {annotation}"
    annotation = annotation if annotation.endswith("None") else f"{annotation} | None"
    return f"    {name}: {annotation} = None"


def _member(name: str, annotation: str, is_required: bool) -> str:
    return f"    {name}: " + (f"Required[{annotation}]" if is_required else annotation)


def _doc(text: str) -> list[str]:
    words = " ".join(text.split())
    if not words:
        return []
    if len(words) <= WIDTH - 10:
        return [f'    """{words}"""', ""]
    first, *rest = textwrap.wrap(words, WIDTH - 10)
    return [f'    """{first}', *(f"    {line}" for line in rest), '    """', ""]


def _comment(text: str) -> list[str]:
    return [
        f"    # {line}" for line in textwrap.wrap(" ".join(text.split()), WIDTH - 6)
    ]


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def main() -> None:
    """Writes the models of the document that is named, a URL or a file."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    place = sys.argv[1]
    if place.startswith(("http://", "https://")):
        with urllib.request.urlopen(place) as answer:
            document = json.load(answer)
    else:
        document = json.loads(Path(place).read_text(encoding="utf-8"))
    writer = Writer(document)
    for path, text in writer.files().items():
        (PACKAGE / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
