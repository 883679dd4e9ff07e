"""When a request is sent again, and after how long."""

from __future__ import annotations

import email.utils
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

__all__ = ["Patience", "retry_after"]

# What says that a later try may work. 502 and 504 come from proxies before the server.
STATUSES = frozenset({429, 502, 503, 504})


@dataclass
class Patience:
    """How long one request is tried: doubling waits with jitter, up to a total."""

    seconds_max: float
    first_wait: float = 0.2
    wait_max: float = 10.0
    waited: float = 0.0
    tries: int = 0

    def next_wait(self, asked: float | None = None) -> float | None:
        """Seconds until the next try; None where patience has ended.

        `asked` is what the server said: never less than that is waited.
        """
        doubled = min(self.first_wait * 2.0**self.tries, self.wait_max)
        # Clients that failed together should not come back together.
        wait = doubled * random.uniform(0.5, 1.0)
        if asked is not None:
            wait = asked + random.uniform(0.0, 0.1) * min(asked, 1.0)
        if self.waited + wait > self.seconds_max:
            return None
        self.waited += wait
        self.tries += 1
        return wait

    def reset(self) -> None:
        """Something worked: the next failure is a new one."""
        self.waited, self.tries = 0.0, 0


def retry_after(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds, from seconds or an HTTP date."""
    value = headers.get("retry-after", "").strip()
    if value.isdigit():
        return float(value)
    try:
        at: datetime = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    seconds: float = at.timestamp() - time.time()
    return max(0.0, seconds)
