# Made by `make_sync.py` from `_async`: don't edit.

"""One computation with many inputs, a few at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..bars import Bar, is_watched
from ..errors import MecapyError
from ..outcome import Item, Outcome, Sweep
from .concurrency import run_all
from .task import Task

__all__ = ["Sweeping"]


class Sweeping:
    """Runs items as previews (where `run` is given) or as tasks."""

    def __init__(
        self,
        *,
        run: Callable[..., Outcome] | None,
        submit: Callable[..., Task],
        code: dict[str, Any],
        options: dict[str, Any],
    ) -> None:
        self._run = run
        self._submit = submit
        self._code = code
        self._options = options
        self._under_way: dict[int, Task] = {}
        self._check = False
        self._is_stopped = False

    def run_all(
        self,
        inputs: Sequence[dict[str, Any]],
        at_once_max: int,
        *,
        check: bool,
        progress: bool | None,
    ) -> Sweep:
        """All of them, in order."""
        self._check = check
        shown = is_watched() if progress is None else progress
        with Bar(float(len(inputs)), "sweep", shown=shown) as bar:

            def call(index: int) -> Callable[[], Item]:
                def one() -> Item:
                    item = self._item(index, inputs[index])
                    bar.advance()
                    return item

                return one

            try:
                calls = [call(index) for index in range(len(inputs))]
                return Sweep(run_all(calls, max(1, at_once_max)))
            except BaseException:
                self._cancel()
                raise

    def _item(self, index: int, inputs: dict[str, Any]) -> Item:
        try:
            outcome = self._outcome(index, inputs)
        except MecapyError as error:
            if self._check:
                raise
            return Item(index=index, inputs=inputs, outcome=None, error=error)
        if self._check:
            outcome.check()
        return Item(index=index, inputs=inputs, outcome=outcome)

    def _outcome(self, index: int, inputs: dict[str, Any]) -> Outcome:
        if self._run is not None:
            return self._run(self._code, inputs, check=False, **self._options)
        task = self._submit(self._code, inputs, **self._options)
        self._under_way[index] = task
        if self._is_stopped:
            task.cancel()
        outcome = task.wait(check=False, progress=False, pictures=False)
        del self._under_way[index]
        return outcome

    def _cancel(self) -> None:
        """Stops what is still under way; what can't be reached runs to its end."""
        self._is_stopped = True
        for task in list(self._under_way.values()):
            try:
                task.cancel()
            except MecapyError:
                continue
