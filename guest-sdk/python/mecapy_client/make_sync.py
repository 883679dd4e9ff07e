"""Writes the blocking client, `_sync`, from the one for `async` code.

    python make_sync.py

What can't be translated word by word is in `concurrency.py`, which is written twice.
"""

import re
from pathlib import Path

PACKAGE = Path(__file__).parent / "src" / "mecapy_client"
WRITTEN_TWICE = "concurrency.py"
NOTE = "# Made by `make_sync.py` from `_async`: don't edit."

WORDS = (
    (r"\basync (def|for|with) ", r"\1 "),
    (r"\bawait ", ""),
    (r"\bAsyncIterator\b", "Iterator"),
    (r"\bAsyncGenerator\[(\w+), None\]", r"Generator[\1, None, None]"),
    (r"\bAsyncGenerator\b", "Generator"),
    (r"\bAwaitable\[((?:[^\[\]]|\[[^\[\]]*\])*)\]", r"\1"),
    (r"\bAwaitable, ", ""),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\baclosing\b", "closing"),
    (r"\baclose\b", "close"),
    (r"\baread\b", "read"),
    (r"\baiter_(lines|bytes)\b", r"iter_\1"),
    (r"\b__aenter__\b", "__enter__"),
    (r"\b__aexit__\b", "__exit__"),
    (r"\bAsync([A-Z]\w*)", r"\1"),
    (r"The client for `async` code; .*?\.", "The client for blocking code."),
)


def translate(text: str) -> str:
    """A module for blocking code."""
    for pattern, replacement in WORDS:
        text = re.sub(pattern, replacement, text)
    return f"{NOTE}\n\n{text}"


def modules() -> dict[str, str]:
    """The text of each module of `_sync`, by its file name."""
    return {
        path.name: translate(path.read_text(encoding="utf-8"))
        for path in sorted((PACKAGE / "_async").glob("*.py"))
        if path.name != WRITTEN_TWICE
    }


if __name__ == "__main__":
    for name, text in modules().items():
        (PACKAGE / "_sync" / name).write_text(text, encoding="utf-8")
