"""Requests and their answers: credentials, tries, problems."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

from ..decoding import UnexpectedAnswer
from ..encoding import body_bytes
from ..errors import ApiError, ConnectionFailed, MecapyError, problem
from ..files import Content, opened
from ..retrying import STATUSES, Patience, retry_after
from ..settings import Settings
from .concurrency import sleep

__all__ = ["AsyncTransport"]

USER_AGENT = "mecapy-client/0.1.0"
PROBLEM_BYTES_MAX = 1 << 20


class AsyncTransport:
    """Sends requests to one server as one caller."""

    def __init__(
        self, settings: Settings, timeout_seconds: float, retry_seconds: float
    ) -> None:
        self.settings = settings
        self.timeout_seconds = timeout_seconds
        self.retry_seconds = retry_seconds
        headers = {"User-Agent": USER_AGENT}
        if settings.token is not None:
            headers["Authorization"] = f"Bearer {settings.token}"
        # Reading the system's certificates takes most of a client's start: once.
        context = httpx.create_ssl_context()
        self._http = httpx.AsyncClient(
            base_url=settings.url,
            headers=headers,
            timeout=timeout_seconds,
            verify=context,
        )
        # Signed URLs may lead to an object store, which is told no credentials.
        self._bare = httpx.AsyncClient(
            headers={"User-Agent": USER_AGENT}, timeout=timeout_seconds, verify=context
        )

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()
        await self._bare.aclose()

    def patience(self) -> Patience:
        """How long one request is tried."""
        return Patience(self.retry_seconds)

    async def get(
        self, path: str, query: Mapping[str, Any] | None = None, wait: float = 0.0
    ) -> Any:
        """The JSON of an answer, which may take `wait` seconds longer than others."""
        request = self._http.build_request(
            "GET", path, params=_given(query), timeout=self.timeout_seconds + wait
        )
        return await self._json(request)

    async def delete(self, path: str) -> None:
        """Deletes."""
        await self._json(self._http.build_request("DELETE", path))

    async def post(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        wait: float = 0.0,
    ) -> Any:
        """Sends JSON. It is sent again where the connection broke: only what may be is
        posted by this.
        """
        headers = {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if idempotency_key is not None:
            headers["Idempotency-Key"] = f'"{idempotency_key}"'
        request = self._http.build_request(
            "POST",
            path,
            content=None if body is None else body_bytes(body),
            headers=(
                headers if body is not None or idempotency_key is not None else None
            ),
            timeout=self.timeout_seconds + wait,
        )
        return await self._json(request)

    async def send_file(self, path: str, content: Content, name: str | None) -> Any:
        """Sends a file as a form, and compares what arrived."""
        patience = self.patience()
        while True:
            with opened(content, name) as sending:
                form = {"file": (sending.name, sending, sending.content_type)}
                request = self._http.build_request("POST", path, files=form)  # type: ignore[arg-type]
                try:
                    answer = await self._try(request, ask_again=False)
                except (ApiError, ConnectionFailed) as error:
                    await self.wait_or_raise(error, patience)
                    continue
                sending.check(answer.get("sha256"))
                return answer

    async def post_bytes(self, path: str, content: bytes, content_type: str) -> Any:
        """Sends bytes that the server keeps under their digest."""
        headers = {"Content-Type": content_type}
        request = self._http.build_request(
            "POST", path, content=content, headers=headers
        )
        return await self._json(request)

    async def read(
        self, path: str, query: Mapping[str, Any] | None = None, wait: float = 0.0
    ) -> bytes:
        """The bytes of an answer that is no JSON: a table, a picture."""
        request = self._http.build_request(
            "GET", path, params=_given(query), timeout=self.timeout_seconds + wait
        )
        patience = self.patience()
        while True:
            try:
                return (await self._answer(request, ask_again=True)).content
            except (ApiError, ConnectionFailed) as error:
                await self.wait_or_raise(error, patience)

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, last_id: int | None, silence_seconds: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of an event stream, tried once."""
        headers = {"Accept": "text/event-stream"}
        if last_id is not None:
            headers["Last-Event-ID"] = str(last_id)
        timeout = httpx.Timeout(self.timeout_seconds, read=silence_seconds)
        try:
            async with self._http.stream(
                "GET", path, headers=headers, timeout=timeout
            ) as answer:
                if answer.status_code != 200:
                    raise await _problem(answer)
                yield answer.aiter_bytes()
        except httpx.TransportError as error:
            raise self._broken(error) from error

    @contextlib.asynccontextmanager
    async def download(self, url: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes behind a signed URL, tried once."""
        try:
            async with self._bare.stream("GET", url) as answer:
                if answer.status_code != 200:
                    raise await _problem(answer)
                yield answer.aiter_bytes()
        except httpx.TransportError as error:
            raise self._broken(error) from error

    async def _json(self, request: httpx.Request) -> Any:
        patience = self.patience()
        while True:
            try:
                return await self._try(request, ask_again=True)
            except (ApiError, ConnectionFailed) as error:
                await self.wait_or_raise(error, patience)

    async def _try(self, request: httpx.Request, *, ask_again: bool) -> Any:
        """The JSON of one try."""
        return _content(await self._answer(request, ask_again=ask_again))

    async def _answer(
        self,
        request: httpx.Request,
        *,
        ask_again: bool,
    ) -> httpx.Response:
        """One try. Where it must not be repeated, a broken answer is final."""
        try:
            answer = await self._http.send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise self._broken(error) from error
        except httpx.TransportError as error:
            broken = self._broken(error)
            broken.is_final = not ask_again
            raise broken from error
        if answer.is_success:
            return answer
        raise await _problem(answer)

    async def wait_or_raise(self, error: MecapyError, patience: Patience) -> None:
        """Waits for the next try, or raises what went wrong."""
        asked = None
        if isinstance(error, ApiError):
            if error.status not in STATUSES:
                raise error
            asked = error.retry_after
        elif isinstance(error, ConnectionFailed) and error.is_final:
            raise error
        wait = patience.next_wait(asked)
        if wait is None:
            raise error
        await sleep(wait)

    def _broken(self, error: httpx.TransportError) -> ConnectionFailed:
        what = str(error) or type(error).__name__
        return ConnectionFailed(
            f"{self.settings.url}: {what} (MECAPY_API_URL says where the server is)"
        )


def _given(query: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (query or {}).items() if value is not None}


def _content(answer: httpx.Response) -> Any:
    if answer.status_code == 204 or not answer.content:
        return None
    try:
        return answer.json()
    except ValueError:
        raise UnexpectedAnswer(
            f"{answer.request.url} answered no JSON: is it a MecaPy server?"
        ) from None


async def _problem(answer: httpx.Response) -> ApiError:
    """What an answer says that is no success."""
    body: Any = None
    if int(answer.headers.get("content-length") or 0) <= PROBLEM_BYTES_MAX:
        await answer.aread()
        with contextlib.suppress(ValueError):
            body = answer.json()
    return problem(answer.status_code, body, retry_after(answer.headers))
