"""One batch: waited for, and what came out of its items."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .. import models
from ..bars import Bar, is_watched
from ..display import state_html, table_html
from ..errors import InputsError, MecapyError, WaitTimeout
from ..outcome import Item, Outcome, Sweep
from ..sse import Event
from .concurrency import sleep
from .task import stream_events
from .transport import AsyncTransport

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["AsyncBatch"]

ENDED = ("completed", "failed", "cancelled")
PAGE_ITEMS = 1000
# How often it is asked whether it has ended: soon at first, then seldom.
ASK_SECONDS_MIN = 0.05
ASK_SECONDS_MAX = 1.0
# Making a table or a picture goes through all items.
TABLE_SECONDS_MAX = 300.0
FORMATS = ("csv", "parquet", "arrow", "ndjson")


class AsyncBatch:
    """A batch of the server. `info` is what was last heard of it."""

    def __init__(self, transport: AsyncTransport, info: models.Batch) -> None:
        self._transport = transport
        self.info = info

    def __repr__(self) -> str:
        return f"<Batch {self.id}: {self.info.state}, {self._counts()}>"

    def __len__(self) -> int:
        return self.info.total

    @property
    def id(self) -> str:
        """Its id."""
        return self.info.id

    async def refresh(self) -> models.Batch:
        """How it is now."""
        return self._heard(await self._transport.get(self._path()))

    async def wait(
        self,
        timeout: float | None = None,
        *,
        check: bool = False,
        progress: bool | None = None,
    ) -> Sweep:
        """Waits for its end, `timeout` seconds at most, and answers with its items.

        Raises `WaitTimeout` where it goes on, and `TaskFailed` for the first item that
        did not complete where `check` is true. `progress` shows a bar (when left out:
        where somebody sees it).
        """
        await self.ended(timeout, progress=progress)
        return await self.results(check=check)

    async def ended(
        self, timeout: float | None = None, *, progress: bool | None = None
    ) -> models.Batch:
        """Waits for its end alone, without fetching its items."""
        deadline = None if timeout is None else time.monotonic() + timeout
        shown = is_watched() if progress is None else progress
        pause = ASK_SECONDS_MIN
        with Bar(float(self.info.total), self.info.name or "batch", shown=shown) as bar:
            while True:
                info = await self.refresh()
                done = info.completed + info.failed + info.cancelled
                bar.move(float(done), f"{info.failed} failed" if info.failed else "")
                if info.state in ENDED:
                    return info
                if deadline is not None and time.monotonic() >= deadline:
                    raise WaitTimeout(f"the batch {self.id} has not ended yet")
                await sleep(pause)
                pause = min(ASK_SECONDS_MAX, pause * 1.5)

    async def events(self, after: int | None = None) -> AsyncGenerator[Event, None]:
        """How many items are in which state, as it changes, to its end."""
        path = self._path("/events")
        async with aclosing(stream_events(self._transport, path, after)) as events:
            async for event in events:
                yield event
                if event.kind == "done":
                    return

    async def items(self, *, only_failed: bool = False) -> AsyncGenerator[Item, None]:
        """Its items in their order, those that have not ended among them."""
        query = {"limit": PAGE_ITEMS, "only": "failed" if only_failed else None}
        cursor: str | None = None
        while True:
            more = {**query, "cursor": cursor}
            page = await self._transport.get(self._path("/results"), more)
            for each in page["items"]:
                yield _item(each)
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    async def results(self, *, check: bool = False) -> Sweep:
        """Its items as they are now, all of them."""
        found: list[Item] = []
        async with aclosing(self.items()) as items:
            async for item in items:
                if check and item.outcome is not None:
                    item.outcome.check()
                found.append(item)
        return Sweep(found)

    async def frame(self) -> DataFrame:
        """A DataFrame with a row for each item: inputs, results, state and error."""
        return (await self.results()).frame()

    async def summary(self) -> models.BatchSummary:
        """Least, most, mean, deviation and quantiles of each number of the results."""
        path, wait = self._path("/summary"), TABLE_SECONDS_MAX
        answer = await self._transport.get(path, None, wait)
        return models.BatchSummary.from_json(answer)

    async def table(
        self, format: Literal["csv", "parquet", "arrow", "ndjson"] = "parquet"
    ) -> bytes:
        """All items as the bytes of a table: `inputs.d`, `result.stress`, …"""
        path, query = self._path("/results"), {"format": format}
        return await self._transport.read(path, query, TABLE_SECONDS_MAX)

    async def save(self, to: str | os.PathLike[str]) -> Path:
        """Writes all items to a file: .csv, .parquet, .arrow or .ndjson."""
        target = Path(to)
        format = target.suffix.removeprefix(".").lower()
        if format not in FORMATS:
            ends = ", ".join(f".{each}" for each in FORMATS)
            raise InputsError(f"{target}: the name must end with one of {ends}")
        target.write_bytes(await self.table(format))  # type: ignore[arg-type]
        return target

    async def plot(
        self,
        x: str,
        y: str,
        group: str | None = None,
        *,
        format: Literal["png", "svg"] = "png",
    ) -> bytes:
        """A picture of one column over another, a line for each value of `group`.

        Columns are named as in tables: `inputs.d`, `result.stress`.
        """
        query = {"x": x, "y": y, "group": group, "format": format}
        return await self._transport.read(self._path("/plot"), query, TABLE_SECONDS_MAX)

    async def cancel(self) -> models.Batch:
        """Stops it: items that have not ended are cancelled."""
        return self._heard(await self._transport.post(self._path("/cancel")))

    async def retry(self) -> models.Batch:
        """Runs again what failed or was cancelled of it, and nothing else."""
        return self._heard(await self._transport.post(self._path("/retry")))

    async def delete(self) -> None:
        """Deletes it, once it has ended, with its results."""
        await self._transport.delete(self._path())

    async def _swept(
        self,
        sent: Mapping[int, Mapping[str, Any]],
        refused: Sequence[Item],
        *,
        progress: bool | None,
    ) -> Sweep:
        """The items of a sweep, of which some were not sent: each by its place there.

        Where the waiting is interrupted, the batch is cancelled.
        """
        try:
            await self.ended(progress=progress)
        except BaseException:
            try:
                await self.cancel()
            except MecapyError:
                # Out of reach, or over by itself.
                pass
            raise
        found = list(refused)
        items = list(await self.results())
        for (index, inputs), item in zip(sent.items(), items, strict=True):
            found.append(Item(index=index, inputs=inputs, outcome=item.outcome))
        return Sweep(sorted(found, key=lambda item: item.index))

    def _heard(self, answer: Any) -> models.Batch:
        self.info = models.Batch.from_json(answer)
        return self.info

    def _path(self, more: str = "") -> str:
        return f"/v1/batches/{self.id}{more}"

    def _counts(self) -> str:
        info = self.info
        text = f"{info.completed} of {info.total} completed"
        return f"{text}, {info.failed} failed" if info.failed else text

    def _repr_html_(self) -> str:
        rows = [("batch", self.id), ("name", self.info.name or "")]
        shown = [row for row in rows if row[1]]
        return state_html(self.info.state, self._counts()) + table_html(shown)


def _item(answer: Mapping[str, Any]) -> Item:
    error, usage = answer.get("error"), answer.get("usage")
    warnings = answer.get("warnings") or []
    outcome = Outcome(
        state=answer["state"],
        result=answer.get("result"),
        error=None if error is None else models.TaskError.from_json(error),
        warnings=[models.TaskWarning.from_json(each) for each in warnings],
        seed=answer.get("seed"),
        usage=None if usage is None else models.Usage.from_json(usage),
    )
    return Item(index=answer["index"], inputs=answer["inputs"], outcome=outcome)
