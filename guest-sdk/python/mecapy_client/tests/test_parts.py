"""What needs no server: bodies, errors, patience, events, sweeps, displays."""

import datetime
import enum
import unittest
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from mecapy_client import (
    ApiError,
    Client,
    Conflict,
    DamagedFile,
    InputsError,
    Invalid,
    NotReady,
    Outcome,
    ServerFailed,
    TaskFailed,
    TooMany,
    Unauthorized,
    UnexpectedAnswer,
    models,
)
from mecapy_client.display import pictures_html
from mecapy_client.encoding import body_bytes, code_body
from mecapy_client.errors import problem
from mecapy_client.files import Receipt
from mecapy_client.retrying import Patience, retry_after
from mecapy_client.settings import Settings
from mecapy_client.sse import Event, EventReader
from mecapy_client.sweep import items


def area(d):  # type: ignore[no-untyped-def]
    return {"area": d * d}


@dataclass
class Bolt:
    d: float
    grade: str = "8.8"


class Grade(enum.StrEnum):
    LOW = "4.6"


class Bodies(unittest.TestCase):
    def test_values_cross_with_every_digit(self) -> None:
        rows: list[tuple[Any, str]] = [
            (0.1, "0.1"),
            (1e-300, "1e-300"),
            (2**70, "1180591620717411303424"),
            (True, "true"),
            (None, "null"),
            ("é\n", '"é\\n"'),
            ((1, [2.5]), "[1,[2.5]]"),
            (Bolt(12.0), '{"d":12.0,"grade":"8.8"}'),
            (Grade.LOW, '"4.6"'),
            (range(3), "[0,1,2]"),
            (datetime.date(2026, 1, 2), '"2026-01-02"'),
        ]
        for value, text in rows:
            with self.subTest(text):
                self.assertEqual(
                    body_bytes({"x": [value]}), f'{{"x":[{text}]}}'.encode()
                )

    def test_what_can_not_be_sent_is_refused_with_its_place(self) -> None:
        loop: list[Any] = []
        loop.append(loop)
        rows: list[tuple[Any, str]] = [
            ({"a": [1, float("nan")]}, "/a/1: nan can't be sent"),
            ({"a": {1: 2}}, "the key 1 is no text"),
            ({"a": {1, 2}}, "/a: a set can't be sent"),
            ({"a": Path("x")}, "give it in files="),
            ({"a": 1j}, "/a: a complex"),
            ({"a": "\ud800"}, "surrogate"),
            ({"a": loop}, "nested too deep"),
        ]
        for value, reason in rows:
            with self.subTest(reason), self.assertRaisesRegex(InputsError, reason):
                body_bytes(value)

    def test_code_is_given_in_many_ways(self) -> None:
        source = Path(__file__).read_text(encoding="utf-8")
        with TemporaryDirectory() as folder:
            path = Path(folder) / "task.py"
            path.write_text("result = 1", encoding="utf-8")
            rows: list[tuple[Any, dict[str, Any]]] = [
                ("result = 1", {"language": "python", "source": "result = 1"}),
                (path, {"language": "python", "source": "result = 1"}),
                ("a/b@1.2.0#c", {"function": "a/b@1.2.0#c"}),
                ("a/b#c", {"function": "a/b#c"}),
                ({"solver": "calculix"}, {"solver": "calculix"}),
                (area, {"language": "python", "source": source, "entry": "area"}),
            ]
            for code, body in rows:
                self.assertEqual(code_body(code), body)

    def test_a_function_inside_another_is_sent_alone(self) -> None:
        def inner(x):  # type: ignore[no-untyped-def]
            return x + 1

        body = code_body(inner)
        self.assertEqual(body["entry"], "inner")
        self.assertTrue(body["source"].startswith("def inner(x):"))

    def test_code_that_is_none_is_refused(self) -> None:
        free = 1

        def closure(x):  # type: ignore[no-untyped-def]
            return x + free

        rows: list[tuple[Any, str]] = [
            (lambda x: x, "a lambda"),
            (closure, "uses free of the function around it"),
            ("task.py", "give a file as a path"),
            (Path("/nowhere/task.py"), "can't be read"),
            (3, "a int can't be run"),
            (print, "can't be run"),
        ]
        for code, reason in rows:
            with self.subTest(reason), self.assertRaisesRegex(InputsError, reason):
                code_body(code)


class Problems(unittest.TestCase):
    def test_each_status_has_its_exception_and_shows_every_fault(self) -> None:
        faults = [
            {"pointer": "/inputs/d", "code": "wrong_type", "message": "a number"},
            {"pointer": "/code/source", "code": "syntax", "message": "no", "line": 3},
            {"odd": 1},
        ]
        body = {
            "title": "The request is invalid",
            "detail": "2 faults",
            "errors": faults,
        }
        error = problem(422, body)
        self.assertIsInstance(error, Invalid)
        self.assertEqual(len(error.faults), 2)
        self.assertEqual(
            str(error),
            "422 The request is invalid\n  /inputs/d: a number [wrong_type]\n"
            "  /code/source (line 3): no [syntax]",
        )
        rows: list[tuple[int, type[ApiError]]] = [
            (401, Unauthorized),
            (409, Conflict),
            (418, ApiError),
            (429, TooMany),
            (500, ServerFailed),
            (503, NotReady),
            (504, ServerFailed),
        ]
        for status, kind in rows:
            self.assertIs(type(problem(status, None)), kind)
        self.assertIn("come back in 7 s", str(problem(429, {}, 7.0)))
        self.assertIn("MECAPY_TOKEN", str(problem(401, {})))

    def test_a_failed_task_shows_the_traceback(self) -> None:
        error = models.TaskError(kind="exception", message="ValueError: x", line=3)
        outcome = Outcome(state="failed", result=None, error=error)
        with self.assertRaisesRegex(TaskFailed, r"exception: ValueError: x \(line 3\)"):
            outcome.check()
        with self.assertRaises(TaskFailed):
            outcome["stress"]
        self.assertEqual(len(outcome), 0)

    def test_answers_that_break_the_contract_are_told(self) -> None:
        rows: list[tuple[Any, str]] = [
            ([], "an object was expected"),
            ({"fraction": 0.5}, ""),
            ({}, "Progress has no 'fraction'"),
        ]
        for value, reason in rows:
            if not reason:
                self.assertEqual(models.Progress.from_json(value).fraction, 0.5)
                continue
            with self.assertRaisesRegex(UnexpectedAnswer, reason):
                models.Progress.from_json(value)
        newer = {"fraction": 1, "message": None, "not_known_yet": {}}
        self.assertEqual(models.Progress.from_json(newer).fraction, 1.0)


class Settled(unittest.TestCase):
    def test_what_is_given_goes_before_the_environment(self) -> None:
        environment = {"MECAPY_API_URL": "https://a.example/", "MECAPY_TOKEN": "t"}
        with mock.patch.dict("os.environ", environment):
            self.assertEqual(
                Settings.of(None, None), Settings("https://a.example", "t")
            )
            given = Settings.of("http://b.example", "u")
            self.assertEqual((given.url, given.token), ("http://b.example", "u"))
        with mock.patch.dict("os.environ", {}, clear=True):
            self.assertEqual(Settings.of(None, None).url, "http://127.0.0.1:8000")

    def test_the_token_is_never_shown(self) -> None:
        with Client("http://127.0.0.1:1", "secret-token") as client:
            shown = f"{client!r} {Settings.of(None, 'secret-token')!r}"
        self.assertNotIn("secret", shown)

    def test_what_can_not_be_is_refused(self) -> None:
        rows: list[Callable[[], Any]] = [
            lambda: Settings.of("127.0.0.1:8000", None),
            lambda: Settings.of("http://a", "a\n"),
            lambda: Settings.of("http://a", "é"),
        ]
        for make in rows:
            with self.assertRaises(InputsError):
                make()


class Waiting(unittest.TestCase):
    def test_waits_double_and_end(self) -> None:
        patience = Patience(seconds_max=10.0)
        waits = []
        while (wait := patience.next_wait()) is not None:
            waits.append(wait)
        self.assertLessEqual(sum(waits), 10.0)
        self.assertGreater(sum(waits), 3.0)
        for at, wait in enumerate(waits):
            self.assertTrue(0.1 * 2**at <= wait <= 0.2 * 2**at, waits)

    def test_the_server_says_when(self) -> None:
        patience = Patience(seconds_max=10.0)
        wait = patience.next_wait(3.0)
        self.assertTrue(wait is not None and 3.0 <= wait <= 3.1, wait)
        self.assertIsNone(patience.next_wait(8.0))
        rows = [("7", 7.0), ("", None), ("soon", None), ("-1", None)]
        for text, seconds in rows:
            self.assertEqual(retry_after({"retry-after": text}), seconds)
        past = retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"})
        self.assertEqual(past, 0.0)
        self.assertIsNone(retry_after({}))


class Events(unittest.TestCase):
    def test_events_are_put_together_from_any_pieces(self) -> None:
        text = (
            ": still here\n\nid: 7\n\nid: 8\nevent: log\n"
            'data: {"text": "a\u2028b\\u0085"}\n\n'
            "id: 9\r\nevent: done\r\ndata: {}\r\n\r\n"
            "id: 10\nevent: log\ndata: {"
        ).encode()
        expected = [Event(8, "log", {"text": "a\u2028b\u0085"}), Event(9, "done", {})]
        for size in (1, 2, 7, len(text)):
            reader = EventReader(3)
            found: list[Event] = []
            for at in range(0, len(text), size):
                found += reader.feed(text[at : at + size])
            self.assertEqual(found, expected)
            self.assertEqual(reader.last_id, 10)


class Sweeps(unittest.TestCase):
    def test_a_grid_has_all_combinations_the_last_name_fastest(self) -> None:
        found = items({"a": [1, 2], "b": range(2)}, None, {"c": 0, "a": 9})
        expected = [{"c": 0, "a": a, "b": b} for a in (1, 2) for b in (0, 1)]
        self.assertEqual(found, expected)
        self.assertEqual(items(None, [{"a": 1}], {"b": 2}), [{"b": 2, "a": 1}])

    def test_what_is_no_sweep_is_refused(self) -> None:
        rows: list[tuple[Any, Any, str]] = [
            (None, None, "either grid= or rows="),
            ({}, [], "either grid= or rows="),
            ({"a": "12"}, None, "must be a list"),
            ({"a": 1}, None, "must be a list"),
            ({"a": []}, None, "nothing to run"),
            (None, [], "nothing to run"),
            (None, [1], r"rows\[0\] is a int"),
            ({"a": range(1000), "b": range(1000)}, None, "1,000,000 runs"),
        ]
        for grid, listed, reason in rows:
            with self.subTest(reason), self.assertRaisesRegex(InputsError, reason):
                items(grid, listed, None)


class Displays(unittest.TestCase):
    def test_nothing_that_a_computation_wrote_is_html(self) -> None:
        evil = "<script>alert(1)</script>"
        error = models.TaskError(kind="exception", message=evil, traceback=evil)
        outcome = Outcome(
            state="failed",
            result={evil: [evil]},
            error=error,
            warnings=[models.TaskWarning(code=evil, message=evil)],
            files={f'"{evil}.png': ("image/png", b"x"), "a.html": ("text/html", b"x")},
        )
        html = outcome._repr_html_()
        self.assertNotIn("<script", html)
        self.assertIn("data:image/png;base64,eA==", html)
        self.assertNotIn("text/html", html)
        self.assertEqual(pictures_html({"a.svg": ("text/xml", b"<svg/>")}), "")


class Receipts(unittest.TestCase):
    def test_a_file_that_is_not_the_one_is_refused(self) -> None:
        digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        good = Receipt("a", digest, 3)
        good.add(b"ab")
        good.add(b"c")
        good.check()
        for pieces in ([b"ab"], [b"abd"], [b"abc", b"d"]):
            receipt = Receipt("a", digest, 3)
            with self.assertRaises(DamagedFile):
                for piece in pieces:
                    receipt.add(piece)
                receipt.check()
