"""What notebooks show. Everything that a computation wrote is escaped."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

__all__ = ["error_html", "pictures_html", "state_html", "table_html", "value_text"]

ROWS_SHOWN_MAX = 50
VALUE_CHARS_MAX = 200
# Kinds of pictures that a page shows as they are; SVG runs no script in an <img>.
PICTURES = ("image/png", "image/jpeg", "image/svg+xml", "image/gif", "image/webp")
_COLOURS = {"completed": "#1a7f37", "failed": "#cf222e", "cancelled": "#9a6700"}


def state_html(state: str, more: str = "") -> str:
    """A line that says how it is."""
    colour = _COLOURS.get(state, "#57606a")
    return f'<div><b style="color:{colour}">{escape(state)}</b> {escape(more)}</div>'


def table_html(rows: Iterable[tuple[str, Any]]) -> str:
    """Names and values."""
    listed = list(rows)
    cells = "".join(
        f"<tr><th style='text-align:left'>{escape(str(name))}</th>"
        f"<td style='text-align:left'>{escape(value_text(value))}</td></tr>"
        for name, value in listed[:ROWS_SHOWN_MAX]
    )
    left = len(listed) - ROWS_SHOWN_MAX
    more = f"<tr><td colspan='2'>… and {left} more</td></tr>" if left > 0 else ""
    return f"<table>{cells}{more}</table>" if listed else ""


def error_html(text: str) -> str:
    """A message as it was written."""
    return f'<pre style="color:#cf222e;white-space:pre-wrap">{escape(text)}</pre>'


def pictures_html(pictures: Mapping[str, tuple[str, bytes]]) -> str:
    """Pictures inside the page itself: name → (content type, bytes)."""
    shown = []
    for name, (kind, content) in pictures.items():
        media = kind.partition(";")[0].strip().lower()
        if media not in PICTURES:
            continue
        encoded = base64.b64encode(content).decode()
        shown.append(
            f'<figure style="margin:0"><img alt="{escape(name)}" '
            f'src="data:{media};base64,{encoded}" style="max-width:100%">'
            f"<figcaption>{escape(name)}</figcaption></figure>"
        )
    return "".join(shown)


def value_text(value: Any) -> str:
    """A value in one line, as much of it as fits."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_CHARS_MAX else text[:VALUE_CHARS_MAX] + "…"
