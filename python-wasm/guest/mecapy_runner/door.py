"""The frames a task exchanges with its host: one byte says what it is, the rest is its payload."""

import json

import _host

_host_call = _host.call
_scan = json.decoder.JSONDecoder().scan_once
_text = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode


def fetch_task():
    """The task as the host describes it."""
    return _scan(_host_call(b"t").decode(), 0)[0]


def send_result(text):
    """The final result, as JSON text in UTF-8 bytes."""
    _host_call(b"r" + text)


def send_error(kind, message, traceback=None, line=None):
    """The task failed; strings are sent even where they hold what UTF-8 can't."""
    error = {"kind": kind, "message": message, "traceback": traceback, "line": line}
    _host_call(b"e" + _text(error).encode("utf-8", "replace"))


def send_warning(code, message, line=None):
    warning = {"code": code, "message": message, "line": line}
    _host_call(b"w" + _text(warning).encode("utf-8", "replace"))


def send_progress(fraction, message):
    progress = {"fraction": fraction, "message": message}
    _host_call(b"p" + _text(progress).encode("utf-8", "replace"))


def replace_host(call):
    """Sends every later frame to `call` instead, and returns what it replaced (for rehearsals)."""
    global _host_call
    before, _host_call = _host_call, call
    return before
