"""Many calls at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

__all__ = ["run_all", "sleep"]

T = TypeVar("T")

sleep = asyncio.sleep


async def run_all(
    calls: Sequence[Callable[[], Awaitable[T]]], at_once_max: int
) -> list[T]:
    """Their results in order. The first that raises ends the others."""
    places = asyncio.Semaphore(at_once_max)

    async def one(call: Callable[[], Awaitable[T]]) -> T:
        async with places:
            return await call()

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(call)) for call in calls]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
