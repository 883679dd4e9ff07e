"""A server of our own for the tests: `mecapy serve`, embedded, in a temporary folder.

MECAPY_BINARY names the binary; without it, it is the one that `make build` made.
"""

import io
import json
import os
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from mecapy_client import Client

ROOT = Path(__file__).resolve().parents[4]
READY_SECONDS_MAX = 120.0
STOP_SECONDS_MAX = 30.0
PUBLISH_SECONDS_MAX = 60.0


class Server:
    """One process of the server; its data outlives it, and goes with `close`."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mecapy-client-")
        self.folder = Path(self._folder.name)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def token(self) -> str:
        return (self.folder / "admin.key").read_text().strip()

    def start(self) -> None:
        binary = os.environ.get("MECAPY_BINARY") or ROOT / "target/release/mecapy"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("MECAPY_")}
        if "MECAPY_CACHE_DIR" in os.environ:
            kept["MECAPY_CACHE_DIR"] = os.environ["MECAPY_CACHE_DIR"]
        place = ["--listen", f"127.0.0.1:{self.port}", "--data-dir", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(binary), "serve", *place],
                cwd=self.folder,
                env=kept,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_until_ready(time.monotonic() + READY_SECONDS_MAX)

    def publish(self, files: Mapping[str, str]) -> str:
        """Publishes a package of these files; its reference, `owner/package@1.2.0`."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as zipped:
            for name, text in files.items():
                zipped.writestr(name, text)
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/zip",
        }
        url, body = f"{self.url}/v1/packages", archive.getvalue()
        request = urllib.request.Request(url, body, headers)
        with urllib.request.urlopen(request, timeout=PUBLISH_SECONDS_MAX) as answer:
            return str(json.load(answer)["reference"])

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        self.stop()
        self._folder.cleanup()

    def _wait_until_ready(self, deadline: float) -> None:
        assert self._process is not None
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/ready", timeout=5):
                    return
            except (OSError, urllib.error.URLError):
                time.sleep(0.05)
        log = (self.folder / "log").read_text(errors="replace")
        raise RuntimeError(f"the server did not get ready:\n{log[-4000:]}")


class LiveTest(unittest.TestCase):
    """Tests against one server for all of a class."""

    server: ClassVar[Server]

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)
        cls.server.start()

    def client(self, **options: object) -> Client:
        client = Client(self.server.url, self.server.token, **options)  # type: ignore[arg-type]
        self.addCleanup(client.close)
        return client
