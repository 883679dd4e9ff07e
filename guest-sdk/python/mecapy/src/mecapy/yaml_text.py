"""Writes what a manifest holds as YAML: mappings, lists and scalars."""

import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["yaml_text"]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*(?:[ :/][A-Za-z0-9_.\-]+)*")
# What YAML's readers, old ones too, take for something else than a text.
_TAKEN = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"}


def yaml_text(value: Any, indent: int = 0) -> str:
    """The value as block YAML, ending in a line break."""
    pad = "  " * indent
    lines = []
    if isinstance(value, Mapping):
        for key, each in value.items():
            lines.append(f"{pad}{_scalar(key)}:{_after(each, indent)}")
    else:
        for each in value:
            lines.append(f"{pad}-{_after(each, indent)}")
    return "".join(lines)


def _after(value: Any, indent: int) -> str:
    """A value behind its `key:` or `-`, with the line break."""
    if isinstance(value, (Mapping, list, tuple)):
        if not value:
            return " {}\n" if isinstance(value, Mapping) else " []\n"
        return "\n" + yaml_text(value, indent + 1)
    return f" {_scalar(value)}\n"


def _scalar(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value, allow_nan=False)
    if _PLAIN.fullmatch(value) and ": " not in value and value.lower() not in _TAKEN:
        return value
    if '"' in value and value.isprintable() and not set("'\\") & set(value):
        return f"'{value}'"
    # JSON leaves characters that end a line in YAML.
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else _escape(each) for each in quoted)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
