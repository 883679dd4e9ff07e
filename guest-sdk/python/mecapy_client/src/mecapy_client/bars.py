"""Progress on a terminal or in a notebook: tqdm's bar where it is there, else ours."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any, Self

__all__ = ["Bar", "is_notebook", "is_watched"]

WIDTH = 30
REDRAW_SECONDS = 0.1


def is_notebook() -> bool:
    """Whether this runs in a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def is_watched() -> bool:
    """Whether anybody would see a bar."""
    return is_notebook() or sys.stderr.isatty()


class Bar:
    """A bar of `total` steps; where it is not shown, it costs nothing."""

    def __init__(self, total: float, label: str, *, shown: bool) -> None:
        self.total = total
        self.label = label
        self.shown = shown
        self.at = 0.0
        self.text = ""
        self._drawn_at = 0.0
        self._lock = threading.Lock()
        self._tqdm = _tqdm_bar(total, label) if shown else None
        self._notebook = _Notebook() if shown and self._is_ours(is_notebook()) else None

    def _is_ours(self, condition: bool) -> bool:
        return self._tqdm is None and condition

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def move(self, at: float, text: str = "") -> None:
        """To `at` of the total, with a short text."""
        if not self.shown:
            return
        step, self.at, self.text = at - self.at, at, text
        if self._tqdm is not None:
            self._tqdm.set_postfix_str(text, refresh=False)
            self._tqdm.update(step)
            return
        if at >= self.total or time.monotonic() - self._drawn_at >= REDRAW_SECONDS:
            self._draw()

    def advance(self) -> None:
        """One step on; from any thread."""
        with self._lock:
            self.move(self.at + 1.0)

    def close(self) -> None:
        """Leaves the bar as it is, and ends its line."""
        if not self.shown:
            return
        if self._tqdm is not None:
            self._tqdm.close()
            return
        self._draw()
        if self._notebook is None:
            sys.stderr.write("\n")
        self.shown = False

    def _draw(self) -> None:
        self._drawn_at = time.monotonic()
        share = min(1.0, self.at / self.total) if self.total else 1.0
        if self._notebook is not None:
            self._notebook.show(share, f"{self.label} {self.text}")
            return
        full = round(share * WIDTH)
        bar = "█" * full + "·" * (WIDTH - full)
        sys.stderr.write(f"\r\033[K{self.label} {bar} {share:4.0%} {self.text}")
        sys.stderr.flush()


def _tqdm_bar(total: float, label: str) -> Any:
    try:
        from tqdm.auto import tqdm  # type: ignore[import-untyped]
    except ImportError:
        return None
    layout = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining} {postfix}"
    return tqdm(total=total, desc=label, bar_format=layout)


class _Notebook:
    """A cell's output that is drawn again and again."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, share: float, text: str) -> None:
        from html import escape

        from IPython.display import HTML, display

        page = HTML(f'<progress value="{share:.4f}"></progress> {escape(text)}')
        if self._handle is None:
            self._handle = display(page, display_id=True)
        else:
            self._handle.update(page)
