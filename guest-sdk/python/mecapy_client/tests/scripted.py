"""A server that answers as a test wants, on loopback: what a real one rarely does."""

import json
import threading
import unittest
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """One answer: a status with JSON, or a connection that breaks (status 0)."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Asked:
    """One request, as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class ScriptedTest(unittest.TestCase):
    """Answers from a list, in order; the last one again and again."""

    def setUp(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[Asked] = []
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)

    def _handler(self) -> Callable[..., BaseHTTPRequestHandler]:
        test = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                headers = {name.lower(): value for name, value in self.headers.items()}
                test.asked.append(Asked(self.command, self.path, headers, body))
                at = min(len(test.asked), len(test.answers)) - 1
                self.write(test.answers[at])

            def write(self, answer: Answer) -> None:
                if answer.status == 0:
                    self.close_connection = True
                    return
                is_text = isinstance(answer.body, (bytes, str))
                body = answer.body if is_text else json.dumps(answer.body)
                body = body.encode() if isinstance(body, str) else body
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler
