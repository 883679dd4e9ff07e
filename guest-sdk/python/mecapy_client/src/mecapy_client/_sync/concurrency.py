"""Many calls at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

__all__ = ["run_all", "sleep"]

T = TypeVar("T")

sleep = time.sleep


def run_all(calls: Sequence[Callable[[], T]], at_once_max: int) -> list[T]:
    """Their results in order. The first that raises ends the others."""
    pool = ThreadPoolExecutor(at_once_max, thread_name_prefix="mecapy")
    try:
        futures = [pool.submit(call) for call in calls]
        ended, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in ended:
            future.result()
        return [future.result() for future in futures]
    finally:
        # What is still under way is for the caller to stop: nobody waits for it here.
        pool.shutdown(wait=False, cancel_futures=True)
