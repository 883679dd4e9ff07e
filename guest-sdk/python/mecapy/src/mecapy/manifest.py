"""`mecapy.yml` from a package's decorated functions and its `pyproject.toml`."""

import difflib
import re
from collections.abc import Mapping
from typing import Any

from .functions import TIERS, Function
from .project import MANIFEST, SETTINGS, VISIBILITIES, Project, ProjectError
from .yaml_text import yaml_text

__all__ = ["difference", "manifest_text"]

HEAD = f"""\
# Made by `python -m mecapy manifest` from the functions and {SETTINGS}: change those.
"""
_VERSION = re.compile(r"(\d+\.\d+\.\d+)(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")
# The SDK itself is in every sandbox.
_OURS = {"mecapy", "mecapy-guest"}


def manifest_text(project: Project) -> str:
    """The manifest's text. Imports the package's modules. Raises `ProjectError`."""
    functions = project.functions()
    manifest = {
        "version": "1",
        "package": _package(project),
        "runtime": {
            "kind": "python",
            "version": str(project.tool.get("python", _least_python(project))),
            "requirements": _requirements(project),
        },
        "functions": {name: _function(each) for name, each in functions.items()},
        "quality": {
            "validation_testcases": {"on_deployment": True, "fail_on_error": True}
        },
    }
    return HEAD + yaml_text(manifest)


def difference(project: Project) -> str:
    """How the folder's manifest differs from what it should be; empty if it doesn't."""
    path = project.folder / MANIFEST
    found = path.read_text(encoding="utf-8") if path.exists() else ""
    wanted = manifest_text(project)
    lines = difflib.unified_diff(
        found.splitlines(True), wanted.splitlines(True), str(path), "what the code says"
    )
    return "".join(lines)


def _package(project: Project) -> dict[str, Any]:
    head, tool = project.head, project.tool
    for key in ("name", "version"):
        if not isinstance(head.get(key), str):
            raise ProjectError(f"{project.folder / SETTINGS}: [project] needs a {key}")
    if not _VERSION.fullmatch(head["version"]):
        raise ProjectError(
            f"{SETTINGS}: the version {head['version']!r} is not semantic: "
            "three numbers are needed, as in 1.0.0"
        )
    visibility = tool.get("visibility", "private")
    if visibility not in VISIBILITIES:
        raise ProjectError(
            f"{SETTINGS}: visibility is one of {', '.join(VISIBILITIES)}, "
            f"not {visibility!r}"
        )
    package = {"name": head["name"], "version": head["version"]}
    optional = {
        "description": head.get("description"),
        "author": ", ".join(
            author.get("name") or author.get("email", "")
            for author in head.get("authors", [])
        ),
        "license": _license(head.get("license")),
    }
    package.update({key: text for key, text in optional.items() if text})
    package["visibility"] = visibility
    more: dict[str, Any] = {}
    if tool.get("tags"):
        more["tags"] = list(tool["tags"])
    if "tier" in tool:
        if tool["tier"] not in TIERS:
            raise ProjectError(f"{SETTINGS}: tier is one of {', '.join(TIERS)}")
        more["resources"] = {"tier": tool["tier"]}
    return {**package, **more}


def _license(said: Any) -> str | None:
    return said.get("text") if isinstance(said, Mapping) else said


def _least_python(project: Project) -> str:
    found = re.search(r">=\s*(\d+\.\d+)", str(project.head.get("requires-python", "")))
    return found.group(1) if found else "3.11"


def _requirements(project: Project) -> list[str]:
    listed = project.head.get("dependencies", [])
    return [
        each
        for each in listed
        if re.split(r"[^\w.-]", each, maxsplit=1)[0] not in _OURS
    ]


def _function(function: Function) -> dict[str, Any]:
    signature = function.signature
    form: dict[str, Any] = {"handler": function.handler}
    if function.description:
        form["description"] = function.description
    form["inputs"] = {n: p.form(is_input=True) for n, p in signature.inputs.items()}
    if signature.outputs is not None:
        form["outputs"] = {
            name: port.form(is_input=False) for name, port in signature.outputs.items()
        }
    if function.validity is not None:
        form["validity"] = function.validity.form
    if function.tier is not None:
        form["resources"] = {"tier": function.tier}
    return form
