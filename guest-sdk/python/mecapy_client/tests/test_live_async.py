"""The client for `async` code against a server of its own."""

import asyncio
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from mecapy_client import AsyncClient, Invalid, TaskFailed

from .live import LiveTest
from .test_live import FIGURE, SLEEP, STRESS

RODS = {
    "mecapy.yml": """
version: "1"
package: {name: rods, version: 1.0.0}
runtime: {kind: python}
functions:
  rod:
    handler: rods:rod
    inputs:
      F: {type: Force, unit: N}
      d: {type: Length, unit: mm}
    outputs:
      stress: {type: Stress, unit: MPa}
""",
    "rods.py": "def rod(F, d):\n    return {'stress': F / d**2}\n",
}


class Asynchronous(unittest.IsolatedAsyncioTestCase, LiveTest):
    async def asyncSetUp(self) -> None:
        self.mecapy = AsyncClient(self.server.url, self.server.token)
        self.addAsyncCleanup(self.mecapy.aclose)

    async def test_previews_run_side_by_side(self) -> None:
        previews = (self.mecapy.preview(STRESS, {"d": d}) for d in (1, 2))
        one, two = await asyncio.gather(*previews)
        self.assertEqual(one["stress"], 4 * two["stress"])
        with self.assertRaises(TaskFailed):
            await self.mecapy.preview("result = 1 / 0")

    async def test_a_task_is_watched_and_its_files_are_read(self) -> None:
        task = await self.mecapy.submit(FIGURE, files={"a.txt": b"abc"})
        kinds = [event.kind async for event in task.events()]
        self.assertEqual(kinds[-1], "done")
        outcome = await task.wait(pictures=True)
        self.assertEqual(set(outcome.files), {"figure-1.png"})
        with TemporaryDirectory() as folder:
            path = await task.download("big.bin", folder)
            self.assertEqual(path, Path(folder) / "big.bin")
        found = [each.id async for each in self.mecapy.tasks(state="completed")]
        self.assertIn(task.id, found)

    async def test_a_sweep_runs_and_what_is_cancelled_stops(self) -> None:
        source = "def main(d):\n    return {'s': 1 / d}"
        swept = await self.mecapy.map(source, grid={"d": [1, 2, 0]}, preview=True)
        self.assertEqual(repr(swept), "<Sweep of 3: 2 completed, 1 failed>")
        labels, rows = {"run": "c"}, [{"seconds": 60}] * 2
        sweep = asyncio.create_task(
            self.mecapy.map(SLEEP, rows=rows, labels=labels, as_tasks=True)
        )
        running: list[str] = []
        while len(running) < 2:
            await asyncio.sleep(0.05)
            running = [each.id async for each in self.mecapy.tasks(label="run=c")]
        sweep.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await sweep
        for id in running:
            task = await self.mecapy.task(id)
            outcome = await task.wait(30, check=False, progress=False)
            self.assertEqual(outcome.state, "cancelled")

    async def test_a_published_function_is_called_by_name(self) -> None:
        self.server.publish(RODS)
        for name in ("default/rods#rod", "default/rods@1.0.0#rod"):
            rod = self.mecapy.function(name)
            expected = {"stress": 25.0}
            self.assertEqual(await rod(F=100, d=2), expected)
            force = {"value": 0.1, "unit": "kN"}
            diameter = {"value": 0.002, "unit": "m"}
            self.assertEqual(await rod(F=force, d=diameter), expected)
            task = await rod.submit(F=100, d=2)
            self.assertEqual(dict(await task.wait(progress=False)), expected)
            swept = await rod.map(grid={"F": [100, 400], "d": [2]}, preview=True)
            self.assertEqual(swept.results(), [expected, {"stress": 100.0}])
        rod = self.mecapy.function("default/rods#rod")
        for inputs, pointer in (
            ({"F": 1, "d": {"value": 2, "unit": "kN"}}, "/inputs/d/unit"),
            ({"F": "NaN", "d": 2}, "/inputs/F"),
            ({"F": 1}, "/inputs/d"),
        ):
            with self.assertRaises(Invalid) as caught:
                await rod(**inputs)
            self.assertEqual(caught.exception.faults[0].pointer, pointer)

    async def test_a_function_that_nobody_published_is_told(self) -> None:
        function = self.mecapy.function("nobody/nothing@1.0.0#f")
        with self.assertRaises(Invalid) as caught:
            await function(x=1)
        fault = caught.exception.faults[0]
        self.assertEqual(fault.pointer, "/code/function")
        self.assertEqual(fault.code, "unknown_function")
