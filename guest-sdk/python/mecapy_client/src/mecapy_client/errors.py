"""What can go wrong, as exceptions whose text says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .models import Fault, TaskError

if TYPE_CHECKING:
    from .outcome import Outcome

__all__ = [
    "ApiError",
    "BadRequest",
    "Conflict",
    "ConnectionFailed",
    "DamagedFile",
    "Forbidden",
    "InputsError",
    "Invalid",
    "MecapyError",
    "NotFound",
    "NotReady",
    "RunFailed",
    "ServerFailed",
    "TaskFailed",
    "TooLarge",
    "TooMany",
    "Unauthorized",
    "UnsupportedMediaType",
    "WaitTimeout",
    "problem",
]

FAULTS_SHOWN_MAX = 20


class MecapyError(Exception):
    """What all errors of this package are."""


class InputsError(MecapyError, ValueError):
    """Inputs, code or files that can't be sent as they are."""


class ConnectionFailed(MecapyError):
    """The server can't be reached, or broke the connection."""

    # Whether the request may have arrived and must not be sent again.
    is_final = False


class WaitTimeout(MecapyError, TimeoutError):
    """What was waited for had not ended in time; it goes on."""


class DamagedFile(MecapyError):
    """A file arrived otherwise than it was sent."""


class ApiError(MecapyError):
    """The server refused a request, and said why (RFC 9457)."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str = "",
        faults: tuple[Fault, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.title = title
        self.detail = detail
        # Each fault in the request, with its JSON pointer.
        self.faults = faults
        # When to come back, seconds; None where the server didn't say.
        self.retry_after = retry_after
        super().__init__(self._text())

    def _text(self) -> str:
        lines = [f"{self.status} {self.title}"]
        # With several faults, the detail counts them and repeats the first.
        if self.detail and not self.faults:
            lines[0] += f": {self.detail}"
        for fault in self.faults[:FAULTS_SHOWN_MAX]:
            place = fault.pointer or "the request"
            if fault.line is not None:
                column = "" if fault.column is None else f":{fault.column}"
                place += f" (line {fault.line}{column})"
            lines.append(f"  {place}: {fault.message} [{fault.code}]")
        if len(self.faults) > FAULTS_SHOWN_MAX:
            lines.append(f"  … and {len(self.faults) - FAULTS_SHOWN_MAX} more")
        if self.retry_after is not None:
            lines.append(f"  come back in {self.retry_after:g} s")
        return "\n".join(lines)


class BadRequest(ApiError):
    """400: malformed."""


class Unauthorized(ApiError):
    """401: no credentials, or bad ones."""

    def _text(self) -> str:
        return super()._text() + "\n  set MECAPY_TOKEN, or give token="


class Forbidden(ApiError):
    """403: these credentials don't allow it."""


class NotFound(ApiError):
    """404: there is none of that name here."""


class Conflict(ApiError):
    """409: not in this state."""


class TooLarge(ApiError):
    """413: more bytes than are taken."""


class UnsupportedMediaType(ApiError):
    """415: not of a kind that is taken."""


class Invalid(ApiError):
    """422: understood, and invalid; `faults` says where."""


class TooMany(ApiError):
    """429: over a quota or a limit, also after waiting for as long as was allowed."""


class NotReady(ApiError):
    """503: not now, also after waiting for as long as was allowed."""


class ServerFailed(ApiError):
    """5xx: the platform failed."""


class TaskFailed(MecapyError):
    """A computation did not complete: `error` says why, `outcome` has all there is."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.error: TaskError | None = outcome.error
        super().__init__(_task_text(outcome))


class RunFailed(MecapyError):
    """A workflow's run has no outputs: it failed, was cancelled, or goes on."""

    def __init__(self, id: str, state: str, error: Mapping[str, Any] | None) -> None:
        self.id = id
        self.state = state
        self.error = error or {}
        text = f"the run {id} is {state}"
        if error:
            node = f" in {error['key']}" if error.get("key") else ""
            text += f": {error.get('kind')}{node}: {error.get('message')}"
        super().__init__(text)


def _task_text(outcome: Outcome) -> str:
    error = outcome.error
    if error is None:
        return f"the task is {outcome.state}"
    line = "" if error.line is None else f" (line {error.line})"
    text = f"{error.kind}: {error.message}{line}"
    if error.traceback:
        text += f"\n\n{error.traceback.rstrip()}"
    return text


_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    415: UnsupportedMediaType,
    422: Invalid,
    429: TooMany,
    503: NotReady,
}


def problem(status: int, body: Any, retry_after: float | None = None) -> ApiError:
    """The exception for an answer; `body` is its JSON, whatever that is."""
    known = body if isinstance(body, Mapping) else {}
    listed = known.get("errors")
    faults = []
    for each in listed if isinstance(listed, list) else []:
        try:
            faults.append(Fault.from_json(each))
        except ValueError:
            continue
    kind = _BY_STATUS.get(status, ServerFailed if status >= 500 else ApiError)
    title = str(known.get("title") or "unexpected answer")
    return kind(
        status, title, str(known.get("detail") or ""), tuple(faults), retry_after
    )
