"""DataFrames in and out, and what pandas and NumPy hold as inputs."""

import unittest
from typing import Any

import numpy
import pandas

from mecapy_client import InputsError, Item, Outcome, Sweep
from mecapy_client.encoding import json_value
from mecapy_client.sweep import items

FRAME = pandas.DataFrame({"d": [8, 10], "F": [1.5, None]}, index=["a", "b"])


class Frames(unittest.TestCase):
    def test_frames_are_objects_of_columns(self) -> None:
        columns = {"index": ["a", "b"], "d": [8, 10], "F": [1.5, None]}
        self.assertEqual(json_value({"t": FRAME}), {"t": columns})
        outcome = Outcome(state="completed", result={"t": columns, "n": 3})
        self.assertEqual(list(outcome.frame("t").columns), ["index", "d", "F"])
        self.assertEqual(outcome.frame().shape, (1, 2))
        with self.assertRaisesRegex(InputsError, "makes no DataFrame"):
            outcome.frame("n")

    def test_rows_of_a_frame_are_inputs(self) -> None:
        rows = [{"index": "a", "d": 8, "F": 1.5}, {"index": "b", "d": 10}]
        self.assertEqual(items(None, FRAME, None), rows)

    def test_a_sweep_is_a_frame(self) -> None:
        done = Outcome(state="completed", result={"d": 2, "s": 0.5})
        swept = Sweep(
            [
                Item(index=0, inputs={"d": 1}, outcome=done),
                Item(index=1, inputs={"d": 2}, outcome=None, error=InputsError("no")),
            ]
        )
        frame = swept.frame()
        names = ["d", "result.d", "s", "state", "error"]
        self.assertEqual(list(frame.columns), names)
        self.assertEqual(list(frame["state"]), ["completed", "refused"])
        self.assertEqual(len(swept.failed), 1)
        self.assertIn("1 completed, 1 refused", repr(swept))

    def test_what_numpy_and_pandas_hold_is_sent(self) -> None:
        rows: list[tuple[Any, Any]] = [
            (numpy.float64(0.1), 0.1),
            (numpy.int64(3), 3),
            (numpy.bool_(True), True),
            (numpy.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
            (FRAME["F"], [1.5, None]),
            (pandas.Timestamp("2026-01-02"), "2026-01-02T00:00:00"),
            (pandas.NA, None),
            (pandas.NaT, None),
        ]
        for value, expected in rows:
            with self.subTest(str(value)):
                self.assertEqual(json_value(value), expected)

    def test_two_columns_of_one_name_are_refused(self) -> None:
        doubled = pandas.DataFrame([[1, 2]], columns=["a", "a"])
        with self.assertRaisesRegex(InputsError, "two columns"):
            json_value(doubled)
