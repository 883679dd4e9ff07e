"""Batches against a server of its own, blocking and `async`."""

import asyncio
import csv
import io
import json
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pandas

from mecapy_client import (
    AsyncClient,
    Batch,
    Conflict,
    InputsError,
    Invalid,
    NotFound,
    TaskFailed,
    WaitTimeout,
)

from .live import LiveTest
from .test_live import SLEEP
from .test_live_async import RODS

STRESS = "def main(d, F=1.0, E=1.0):\n    return {'stress': F / d, 'strain': F / d / E}"


class Batches(LiveTest):
    def test_a_sweep_is_one_request_and_a_frame_comes_out(self) -> None:
        sweep = {"d": [1, 2], "F": {"from": 0, "to": 4, "count": 3}}
        batch = self.client().batch(STRESS, sweep=sweep, inputs={"E": 2.0}, name="rods")
        swept = batch.wait(60, progress=False)
        self.assertEqual((len(batch), batch.info.state), (6, "completed"))
        inputs = [dict(item.inputs) for item in swept]
        self.assertEqual(
            inputs[:2], [{"d": 1, "F": 0.0, "E": 2.0}, {"d": 1, "F": 2.0, "E": 2.0}]
        )
        self.assertEqual(swept.results()[5], {"stress": 2.0, "strain": 1.0})
        frame = batch.frame()
        self.assertEqual(list(frame["stress"]), [0.0, 2.0, 4.0, 0.0, 1.0, 2.0])
        self.assertIn("rods", batch._repr_html_())
        fields = {field.field: field for field in batch.summary().fields}
        stress = fields["result.stress"]
        self.assertEqual((stress.min, stress.max, stress.mean), (0.0, 4.0, 1.5))
        found = [each.id for each in self.client().batches(state="completed")]
        self.assertIn(batch.id, found)

    def test_a_frame_goes_in_and_tables_and_pictures_come_out(self) -> None:
        rows = pandas.DataFrame({"d": [1.0, 2.0, 4.0], "F": [8.0, None, 8.0]})
        batch = self.client().batch(STRESS, rows=rows)
        swept = batch.wait(60, progress=False)
        # A missing value is left out, and the function's own stands for it.
        self.assertEqual([each["stress"] for each in swept.results()], [8.0, 0.5, 2.0])
        table = list(csv.DictReader(io.StringIO(batch.table("csv").decode())))
        self.assertEqual(
            [float(row["result.stress"]) for row in table], [8.0, 0.5, 2.0]
        )
        lines = batch.table("ndjson").decode().splitlines()
        self.assertEqual(json.loads(lines[0])["inputs"], {"d": 1.0, "F": 8.0})
        self.assertTrue(batch.table().startswith(b"PAR1"))
        picture = batch.plot("inputs.d", "result.stress")
        self.assertTrue(picture.startswith(b"\x89PNG"))
        self.assertIn(b"<svg", batch.plot("inputs.d", "result.stress", format="svg"))
        with TemporaryDirectory() as folder:
            path = batch.save(Path(folder) / "rods.parquet")
            self.assertEqual(path.read_bytes()[:4], b"PAR1")
            with self.assertRaisesRegex(InputsError, "must end with"):
                batch.save(Path(folder) / "rods.xlsx")
        with self.assertRaises(Invalid):
            batch.plot("inputs.d", "result.none")

    def test_failures_are_in_the_answer_and_run_again(self) -> None:
        client = self.client()
        batch = client.batch(STRESS, sweep={"d": [1, 0, 2]})
        swept = batch.wait(60, progress=False)
        self.assertEqual(
            [item.state for item in swept], ["completed", "failed", "completed"]
        )
        (failed,) = batch.items(only_failed=True)
        assert failed.outcome is not None and failed.outcome.error is not None
        self.assertEqual(failed.index, 1)
        self.assertIn("ZeroDivisionError", failed.outcome.error.message)
        with self.assertRaises(TaskFailed):
            batch.results(check=True)
        batch.retry()
        self.assertEqual(batch.wait(60, progress=False).failed[0].index, 1)
        stopped = client.batch(STRESS, sweep={"d": [0] + [1] * 50}, on_error="stop")
        self.assertEqual(stopped.ended(60, progress=False).state, "failed")
        batch.delete()
        with self.assertRaises(NotFound):
            batch.refresh()
        with self.assertRaises(Invalid) as caught:
            client.batch(STRESS, sweep={"d": {"from": 0, "to": 1, "count": 10**9}})
        self.assertIn(
            "1000000000", str(caught.exception).replace(",", "").replace(" ", "")
        )

    def test_waiting_has_an_end_and_events_come(self) -> None:
        client = self.client()
        batch = client.batch(SLEEP, rows=[{"seconds": 60}] * 3)
        with self.assertRaises(WaitTimeout):
            batch.wait(0.3, progress=False)
        with self.assertRaises(Conflict):
            batch.delete()
        batch.cancel()
        self.assertEqual(batch.ended(30, progress=False).state, "cancelled")
        self.assertEqual([event.kind for event in batch.events()][-1], "done")
        again = client.find_batch(batch.id)
        self.assertEqual(again.info.cancelled, 3)

    def test_what_is_interrupted_is_cancelled(self) -> None:
        client = self.client()
        waited: list[Batch] = []

        def interrupted(batch: Batch, *arguments: object, **options: object) -> None:
            waited.append(batch)
            raise KeyboardInterrupt

        with mock.patch.object(Batch, "ended", interrupted):
            with self.assertRaises(KeyboardInterrupt):
                client.map(SLEEP, rows=[{"seconds": 60}] * 2)
        (batch,) = waited
        self.assertEqual(batch.ended(30, progress=False).state, "cancelled")


class AsyncBatches(unittest.IsolatedAsyncioTestCase, LiveTest):
    async def asyncSetUp(self) -> None:
        self.mecapy = AsyncClient(self.server.url, self.server.token)
        self.addAsyncCleanup(self.mecapy.aclose)

    async def test_batches_run_side_by_side(self) -> None:
        sweeps = [{"d": [1, 2]}, {"d": [4, 8]}]
        batches = [await self.mecapy.batch(STRESS, sweep=each) for each in sweeps]
        waits = (batch.wait(60, progress=False) for batch in batches)
        one, two = await asyncio.gather(*waits)
        self.assertEqual([each["stress"] for each in one.results()], [1.0, 0.5])
        self.assertEqual([each["stress"] for each in two.results()], [0.25, 0.125])
        kinds = [event.kind async for event in batches[0].events()]
        self.assertEqual(kinds, ["done"])

    async def test_a_sweep_that_is_cancelled_cancels_its_batch(self) -> None:
        rows = [{"seconds": 60}] * 2
        sweep = asyncio.create_task(self.mecapy.map(SLEEP, rows=rows, name="long"))
        found: list[str] = []
        while not found:
            await asyncio.sleep(0.05)
            batches = self.mecapy.batches(state="running")
            found = [each.id async for each in batches if each.info.name == "long"]
        sweep.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await sweep
        batch = await self.mecapy.find_batch(found[0])
        self.assertEqual((await batch.ended(30, progress=False)).state, "cancelled")

    async def test_a_published_function_takes_units_and_refuses_by_place(self) -> None:
        self.server.publish(RODS)
        rod = self.mecapy.function("default/rods@1.0.0#rod")
        rows = [{"F": {"value": 0.1, "unit": "kN"}, "d": 2}, {"F": 400, "d": 2}]
        batch = await rod.batch(rows=rows)
        results = (await batch.wait(60, progress=False)).results()
        self.assertEqual(results, [{"stress": 25.0}, {"stress": 100.0}])
        with self.assertRaises(Invalid) as caught:
            await rod.batch(rows=[rows[0], {"F": 1}])
        self.assertEqual(caught.exception.faults[0].pointer, "/items/1/inputs/d")
        swept = await rod.map(rows=[rows[0], {"F": 1}])
        self.assertEqual([item.state for item in swept], ["completed", "failed"])
