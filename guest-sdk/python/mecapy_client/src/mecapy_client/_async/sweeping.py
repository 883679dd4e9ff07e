"""One computation with many inputs, a few at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ..bars import Bar, is_watched
from ..errors import MecapyError
from ..outcome import Item, Outcome, Sweep
from .concurrency import run_all
from .task import AsyncTask

__all__ = ["AsyncSweeping"]


class AsyncSweeping:
    """Runs items as previews (where `run` is given) or as tasks."""

    def __init__(
        self,
        *,
        run: Callable[..., Awaitable[Outcome]] | None,
        submit: Callable[..., Awaitable[AsyncTask]],
        code: dict[str, Any],
        options: dict[str, Any],
    ) -> None:
        self._run = run
        self._submit = submit
        self._code = code
        self._options = options
        self._under_way: dict[int, AsyncTask] = {}
        self._check = False
        self._is_stopped = False

    async def run_all(
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

            def call(index: int) -> Callable[[], Awaitable[Item]]:
                async def one() -> Item:
                    item = await self._item(index, inputs[index])
                    bar.advance()
                    return item

                return one

            try:
                calls = [call(index) for index in range(len(inputs))]
                return Sweep(await run_all(calls, max(1, at_once_max)))
            except BaseException:
                await self._cancel()
                raise

    async def _item(self, index: int, inputs: dict[str, Any]) -> Item:
        try:
            outcome = await self._outcome(index, inputs)
        except MecapyError as error:
            if self._check:
                raise
            return Item(index=index, inputs=inputs, outcome=None, error=error)
        if self._check:
            outcome.check()
        return Item(index=index, inputs=inputs, outcome=outcome)

    async def _outcome(self, index: int, inputs: dict[str, Any]) -> Outcome:
        if self._run is not None:
            return await self._run(self._code, inputs, check=False, **self._options)
        task = await self._submit(self._code, inputs, **self._options)
        self._under_way[index] = task
        if self._is_stopped:
            await task.cancel()
        outcome = await task.wait(check=False, progress=False, pictures=False)
        del self._under_way[index]
        return outcome

    async def _cancel(self) -> None:
        """Stops what is still under way; what can't be reached runs to its end."""
        self._is_stopped = True
        for task in list(self._under_way.values()):
            try:
                await task.cancel()
            except MecapyError:
                continue
