"""A client of MecaPy: computations from Python, at once or queued, one or thousands.

    from mecapy_client import Client

    with Client() as client:                       # MECAPY_API_URL, MECAPY_TOKEN
        source = "def main(d, F):\\n    return {'stress': F / (3.14159 * d**2 / 4)}"
        print(client.preview(source, {"d": 12, "F": 5e4})["stress"])
        print(client.map(source, grid={"d": [8, 10, 12], "F": [1e4, 5e4]}).frame())

`AsyncClient` is the same for `async` code.
"""

from . import models
from ._async.batch import AsyncBatch
from ._async.client import AsyncClient, AsyncFunction
from ._async.task import AsyncTask
from ._async.workflows import AsyncWorkflowRun, AsyncWorkflows
from ._sync.batch import Batch
from ._sync.client import Client, Function
from ._sync.task import Task
from ._sync.workflows import WorkflowRun, Workflows
from .decoding import UnexpectedAnswer
from .errors import (
    ApiError,
    BadRequest,
    Conflict,
    ConnectionFailed,
    DamagedFile,
    Forbidden,
    InputsError,
    Invalid,
    MecapyError,
    NotFound,
    NotReady,
    RunFailed,
    ServerFailed,
    TaskFailed,
    TooLarge,
    TooMany,
    Unauthorized,
    UnsupportedMediaType,
    WaitTimeout,
)
from .outcome import Item, Outcome, Sweep
from .sse import Event

__all__ = [
    "ApiError",
    "AsyncBatch",
    "AsyncClient",
    "AsyncFunction",
    "AsyncTask",
    "AsyncWorkflowRun",
    "AsyncWorkflows",
    "BadRequest",
    "Batch",
    "Client",
    "Conflict",
    "ConnectionFailed",
    "DamagedFile",
    "Event",
    "Forbidden",
    "Function",
    "InputsError",
    "Invalid",
    "Item",
    "MecapyError",
    "NotFound",
    "NotReady",
    "Outcome",
    "RunFailed",
    "ServerFailed",
    "Sweep",
    "Task",
    "TaskFailed",
    "TooLarge",
    "TooMany",
    "Unauthorized",
    "UnexpectedAnswer",
    "UnsupportedMediaType",
    "WaitTimeout",
    "WorkflowRun",
    "Workflows",
    "models",
]
