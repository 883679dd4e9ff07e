"""The tasks of the Celery peer: what the platform's previews compute, in a warm worker without isolation."""

import os

import numpy as np
import scipy.linalg  # noqa: F401  (imported beforehand, as in the platform's image)
from celery import Celery

URL = os.environ["BENCH_REDIS_URL"]

app = Celery("bench", broker=URL, backend=URL)
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_serializer="json",
    result_serializer="json",
    worker_prefetch_multiplier=4,
)


@app.task
def expression(x, y):
    return x + y


@app.task
def solve(a, b):
    return np.linalg.solve(a, b).tolist()
