"""Asks a server what the public MecaPy SDK asks, in its order and with its patience.

Written from the wire contract alone, with the standard library. Every field that the
SDK reads is read here, so that one which is missing ends the program.

    python3 client.py call owner/name:1.2.0 FUNCTION '{"d": 12}' [--file VAR=PATH]...
    python3 client.py workflow owner/name '{"d": 12}'

The server and the token are those of MECAPY_API_URL and MECAPY_TOKEN. What came of it
is printed as JSON; the exit code is 1 where it is an error.
"""

import argparse
import io
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
import zipfile
from pathlib import Path
from typing import Any

POLL_SECONDS = 2.0
PATIENCE_SECONDS = 120.0
WORKFLOW_PATIENCE_SECONDS = 30.0
REQUEST_SECONDS = 60.0
USER_FIELDS = ("preferred_username", "email", "given_name", "family_name")


class ApiError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


class JobFailed(Exception):
    """A job that ended as failed."""


class Client:
    """One server, one token."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self.token = token
        # A proxy of the environment is no part of the contract.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def send(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: tuple[str, bytes] | None = None,
        anonymous: bool = False,
    ) -> tuple[int, Any]:
        """The status and the JSON of a success; anything else is an `ApiError`."""
        url = self.url + path
        if query:
            url += "?" + urllib.parse.urlencode(query)
        headers = {} if anonymous else {"Authorization": f"Bearer {self.token}"}
        kind, data = body or ("", None)
        if data is not None:
            headers["Content-Type"] = kind
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with self.opener.open(request, timeout=REQUEST_SECONDS) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                told = json.load(error)
            raise ApiError(error.code, _text(told, "detail")) from None

    def get(self, path: str, query: dict[str, str] | None = None) -> Any:
        return self.send("GET", path, query)[1]

    def post(self, path: str, value: Any) -> tuple[int, Any]:
        data = json.dumps(value).encode()
        return self.send("POST", path, body=("application/json", data))

    def greet(self) -> dict[str, Any]:
        """What needs no token, and who the token is of."""
        _, root = self.send("GET", "/", anonymous=True)
        _, health = self.send("GET", "/health", anonymous=True)
        me = self.get("/auth/me")
        protected = self.get("/auth/protected")
        for user in (me, protected["user_info"]):
            for name in USER_FIELDS:
                _text(user, name)
            assert all(isinstance(role, str) for role in user["roles"]), user
        assert protected["endpoint"] == "protected", protected
        _text(protected, "message")
        return {
            "message": _text(root, "message"),
            "status": _text(root, "status"),
            "health": _text(health, "status"),
            "user": _text(me, "preferred_username"),
            "roles": me["roles"],
        }

    def admin(self) -> dict[str, Any]:
        answer = self.get("/auth/admin")
        _text(answer, "message")
        _text(answer, "endpoint")
        return {"admin_access": answer["admin_access"]}

    def load(self, reference: str) -> dict[str, Any]:
        """A workflow or, where there is exactly none, a package: `owner/name:1.2.0`."""
        path, _, version = reference.partition(":")
        owner, _, name = path.partition("/")
        pin = {"version": version} if version else {}
        query = {"owner": owner, "slug": name} | pin
        try:
            found = self.get("/registry/lookup/workflow", query)
        except ApiError as error:
            if error.status != 404:
                raise
        else:
            for field in ("workflow_id", "slug", "owner", "version"):
                _text(found, field)
            return {"workflow_id": found["workflow_id"]}
        found = self.get(
            "/registry/lookup/package", {"owner": owner, "name": name} | pin
        )
        # From here on the SDK knows no version.
        return {
            "package_id": _text(found, "package_id"),
            "name": _text(found, "name"),
        }

    def call(
        self, reference: str, function: str, inputs: Any, files: dict[str, Path]
    ) -> Any:
        """The result of a call, waited for."""
        loaded = self.load(reference)
        package = urllib.parse.quote(loaded["package_id"], safe="")
        base = f"/packages/{package}/functions/{urllib.parse.quote(function, safe='')}"
        body: dict[str, Any] = {"payload": inputs}
        if files:
            body["file_inputs"] = {
                var: self.upload(base, var, path) for var, path in files.items()
            }
        _, started = self.post(f"{base}/execute", body)
        return self.wait(_text(started, "job_id"))

    def upload(self, base: str, var: str, path: Path) -> str:
        form = _form([("var_name", var)], path.name, path.read_bytes())
        status, sent = self.send("POST", f"{base}/uploads", body=form)
        assert status == 201, status
        return _text(sent, "upload_id")

    def wait(self, job: str) -> Any:
        """Asks every 2 s; a 409 is no end, and anything else that is no success is."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                ended = self.get(f"/jobs/{job}/result")
            except ApiError as error:
                if error.status != 409:
                    raise
            else:
                if ended["status"] == "completed":
                    return ended["result"]
                if ended["status"] == "failed":
                    raise JobFailed(_text(ended, "error"))
            if time.monotonic() > deadline:
                raise TimeoutError(f"{job} has not ended within {PATIENCE_SECONDS} s")
            time.sleep(POLL_SECONDS)

    def run_workflow(self, workflow: str, inputs: Any) -> Any:
        """Starts a workflow, named or by its id, and ticks until it has ended."""
        if "/" in workflow:
            workflow = _text(self.load(workflow), "workflow_id")
        quoted = urllib.parse.quote(workflow, safe="")
        status, run = self.post(f"/workflows/{quoted}/runs", {"inputs": inputs})
        assert status == 201, status
        path = f"/workflow-runs/{_text(run, 'id')}"
        deadline = time.monotonic() + WORKFLOW_PATIENCE_SECONDS
        while True:
            _, told = self.send("POST", f"{path}/tick")
            if told["status"] == "completed":
                assert self.get(path)["status"] == "completed"
                return told["terminal_outputs"]
            if told["status"] == "failed":
                node = told.get("first_failed_node_key")
                raise JobFailed(f"{node}: {_text(told, 'error_message')}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} has not ended")
            time.sleep(1.0)

    def archive(self, path: Path) -> Any:
        form = _form([], path.name, path.read_bytes())
        _, kept = self.send("POST", "/upload/archive", body=form)
        for field in ("message", "original_filename", "uploaded_filename", "md5"):
            _text(kept, field)
        assert isinstance(kept["size"], int), kept
        return kept

    def publish(self, folder: Path) -> Any:
        form = _form([], f"{folder.name}.zip", _zip(folder))
        _, published = self.send("POST", "/packages/from-zip", body=form)
        return {"package_id": _text(published, "package_id")}


def _text(value: dict[str, Any], field: str) -> str:
    text = value[field]
    assert isinstance(text, str), f"{field} of {value} is no text"
    return text


def _zip(folder: Path) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                packed.write(path, path.relative_to(folder).as_posix())
    return archive.getvalue()


def _form(texts: list[tuple[str, str]], name: str, content: bytes) -> tuple[str, bytes]:
    """`multipart/form-data` as Python's libraries write it: texts, then the file."""
    boundary = uuid.uuid4().hex
    head = f"--{boundary}\r\nContent-Disposition: form-data; "
    parts = [f'{head}name="{field}"\r\n\r\n{text}\r\n' for field, text in texts]
    parts.append(
        f'{head}name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    end = f"\r\n--{boundary}--\r\n".encode()
    kind = f"multipart/form-data; boundary={boundary}"
    return kind, "".join(parts).encode() + content + end


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("greet", "admin"):
        commands.add_parser(name)
    commands.add_parser("load").add_argument("reference")
    for name in ("archive", "publish"):
        commands.add_parser(name).add_argument("path", type=Path)
    call = commands.add_parser("call")
    call.add_argument("reference")
    call.add_argument("function")
    call.add_argument("inputs", type=json.loads)
    call.add_argument("--file", action="append", default=[], metavar="VAR=PATH")
    commands.add_parser("wait").add_argument("job")
    workflow = commands.add_parser("workflow")
    workflow.add_argument("workflow")
    workflow.add_argument("inputs", type=json.loads)
    return parser.parse_args()


def _run(client: Client, asked: argparse.Namespace) -> Any:
    match asked.command:
        case "greet":
            return client.greet()
        case "admin":
            return client.admin()
        case "load":
            return client.load(asked.reference)
        case "archive":
            return client.archive(asked.path)
        case "publish":
            return client.publish(asked.path)
        case "wait":
            return client.wait(asked.job)
        case "workflow":
            return client.run_workflow(asked.workflow, asked.inputs)
        case _:
            named = (text.partition("=") for text in asked.file)
            files = {var: Path(path) for var, _, path in named}
            return client.call(asked.reference, asked.function, asked.inputs, files)


def main() -> int:
    client = Client(os.environ["MECAPY_API_URL"], os.environ["MECAPY_TOKEN"])
    try:
        print(json.dumps(_run(client, _arguments())))
    except ApiError as error:
        print(json.dumps({"status": error.status, "detail": error.detail}))
        return 1
    except JobFailed as error:
        print(json.dumps({"failed": str(error)}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
