"""A package's folder: what its `pyproject.toml` says, and the functions in it."""

import contextlib
import importlib
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .functions import Function, function_of

__all__ = ["Project", "ProjectError"]

SETTINGS = "pyproject.toml"
MANIFEST = "mecapy.yml"
VISIBILITIES = ("private", "internal", "public")


class ProjectError(Exception):
    """The folder is no package, or one that can't be read."""


@dataclass(frozen=True)
class Project:
    """What `pyproject.toml` says of a package."""

    folder: Path
    # `[project]`: name, version, description, authors, license, dependencies.
    head: Mapping[str, Any]
    # `[tool.mecapy]`: modules, visibility, tags, tier, python.
    tool: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> "Project":
        """Reads a folder's settings, if it has any. Raises `ProjectError`."""
        if not folder.is_dir():
            raise ProjectError(f"{folder} is no folder")
        path = folder / SETTINGS
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls(folder, {}, {})
        try:
            settings = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ProjectError(f"{path}: {error}") from None
        tool = settings.get("tool", {}).get("mecapy", {})
        known = {"modules", "visibility", "tags", "tier", "python"}
        for key in tool:
            if key not in known:
                listed = ", ".join(sorted(known))
                raise ProjectError(
                    f"{path}: [tool.mecapy] has no {key!r}, only {listed}"
                )
        return cls(folder, settings.get("project", {}), tool)

    @property
    def modules(self) -> list[str]:
        """The modules with functions. Raises `ProjectError` where it names none."""
        modules = self.tool.get("modules", [])
        if not isinstance(modules, list) or not all(
            isinstance(m, str) for m in modules
        ):
            raise ProjectError(f"{SETTINGS}: [tool.mecapy] modules is a list of texts")
        if not modules:
            raise ProjectError(
                f"{self.folder / SETTINGS} doesn't say where functions are: write "
                'modules = ["bolted_joint"] under [tool.mecapy]'
            )
        return modules

    def functions(self) -> dict[str, Function]:
        """The decorated functions of the modules, by name. Imports them."""
        found: dict[str, Function] = {}
        for name in self.modules:
            for value in vars(import_module(name)).values():
                each = function_of(value)
                # What a module imported from another is that other's.
                if each is None or each.call.__module__ != name:
                    continue
                other = found.setdefault(each.name, each)
                if other is not each:
                    raise ProjectError(
                        f"{other.handler} and {each.handler} are both {each.name}: "
                        "give one another, as in @mecapy.function(name=…)"
                    )
        if not found:
            raise ProjectError(
                f"no function in {', '.join(self.modules)} is decorated with "
                "@mecapy.function"
            )
        return found

    @contextlib.contextmanager
    def on_path(self) -> Iterator[None]:
        """Runs a block in which the package's modules can be imported."""
        places = [self.folder, self.folder / "src"]
        added = [str(place.resolve()) for place in places if place.is_dir()]
        sys.path[:0] = added
        try:
            yield
        finally:
            for place in added:
                sys.path.remove(place)


def import_module(name: str) -> Any:
    """A module of the package. Raises `ProjectError` where it has none of that name."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (
            name == error.name or name.startswith(error.name)
        ):
            raise ProjectError(f"there is no module {name!r} in the package") from None
        raise ProjectError(f"{name} can't be imported: {error}") from error
