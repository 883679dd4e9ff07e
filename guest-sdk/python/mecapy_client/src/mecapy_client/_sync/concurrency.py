"""Many calls at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["run_all", "sleep"]

T = TypeVar("T")

sleep = time.sleep


def run_all(calls: Sequence[Callable[[], T]], at_once_max: int) -> list[T]:
    """Their results in order. The first that raises ends the others."""
    with ThreadPoolExecutor(at_once_max, thread_name_prefix="mecapy") as pool:
        futures = [pool.submit(call) for call in calls]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
