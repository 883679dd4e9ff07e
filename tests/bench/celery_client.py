"""Measures a running Celery worker: round trips one at a time, and tasks a second. Prints one JSON document."""

import json
import sys
import time

from celery import group
from celery_worker import expression, solve

WARM_UP = 200
ROUND_TRIPS = 1000
BATCHES = 5
BATCH = 500
FIRST_ANSWER_SECONDS_MAX = 60
ANSWER_SECONDS_MAX = 20
SECONDS_MAX = 15
MATRIX, RIGHT_SIDE = [[4, 1, 0], [1, 3, 1], [0, 1, 2]], [9, 10, 7]


def round_trips(task, *arguments):
    """Milliseconds of each."""
    times = []
    began = time.perf_counter()
    for number in range(WARM_UP + ROUND_TRIPS):
        sent = time.perf_counter()
        task.delay(*arguments).get(timeout=ANSWER_SECONDS_MAX)
        if number >= WARM_UP:
            times.append(1e3 * (time.perf_counter() - sent))
        if time.perf_counter() - began > SECONDS_MAX and times:
            break
    return times


def rates():
    """Tasks a second of each batch: all are sent, then all answers are read."""
    found = []
    for _ in range(BATCHES):
        began = time.perf_counter()
        answers = group(expression.s(2.5, 40) for _ in range(BATCH)).apply_async()
        if set(answers.get(timeout=ANSWER_SECONDS_MAX)) != {42.5}:
            sys.exit("wrong answers")
        found.append(BATCH / (time.perf_counter() - began))
    return found


def main():
    expression.delay(1, 2).get(timeout=FIRST_ANSWER_SECONDS_MAX)
    x = solve.delay(MATRIX, RIGHT_SIDE).get(timeout=ANSWER_SECONDS_MAX)
    if abs(sum(x) - 56 / 9) > 1e-9:
        sys.exit(f"wrong answer {x}")
    measured = {
        "expression_ms": round_trips(expression, 2.5, 40),
        "solve_ms": round_trips(solve, MATRIX, RIGHT_SIDE),
        "per_second": rates(),
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
