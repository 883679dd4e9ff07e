"""Workflows and their runs against a server of its own, blocking and `async`."""

import json
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mecapy_client import AsyncClient, Conflict, InputsError, Invalid, RunFailed

from .live import LiveTest


def python(source: str) -> dict[str, str]:
    return {"language": "python", "source": source}


ROD: dict[str, Any] = {
    "name": "rod",
    "inputs": {
        "F": {"type": "Force", "unit": "N"},
        "d": {"type": "Length", "unit": "mm"},
    },
    "nodes": [
        {
            "key": "area",
            "code": python("def main(d):\n    return {'area': d * d * 0.75}"),
            "inputs": {"d": {"from": "inputs.d"}},
        },
        {
            "key": "stress",
            "code": python("def main(F, A):\n    return {'stress': F / A}"),
            "inputs": {"F": {"from": "inputs.F"}, "A": {"from": "area.area"}},
        },
    ],
    "outputs": {"stress": {"from": "stress.stress"}},
}
SIGNED: dict[str, Any] = {
    "name": "signed",
    "nodes": [
        {"key": "sign", "approval": {"message": "Is it safe?"}},
        {"key": "report", "code": python("result = 7"), "needs": ["sign"]},
    ],
    "outputs": {"report": {"from": "report.result"}},
}


class Runs(LiveTest):
    def test_a_definition_is_saved_run_and_found(self) -> None:
        client = self.client()
        inputs = {"F": {"value": 0.3, "unit": "kN"}, "d": 20}
        run = client.workflows.run(ROD, inputs, labels={"a": "b"}, progress=False)
        self.assertEqual(run["stress"], 1.0)
        self.assertEqual(run.outputs, {"stress": 1.0})
        states = {key: node.state for key, node in run.nodes.items()}
        self.assertEqual(states, {"area": "completed", "stress": "completed"})
        kinds = [event.kind for event in run.events()]
        self.assertEqual((kinds[0], kinds[-1]), ("started", "ended"))
        self.assertIn("stress", run._repr_html_())
        self.assertEqual(client.workflows.save(ROD).version, run.info.version)
        self.assertIn("rod", [each.name for each in client.workflows.list()])
        self.assertEqual([each.id for each in client.workflows.runs("rod")], [run.id])
        self.assertEqual(client.workflows.find(run.id)["stress"], 1.0)
        with self.assertRaises(Invalid) as caught:
            client.workflows.start("rod", {"F": 1})
        self.assertEqual(caught.exception.faults[0].pointer, "/inputs/d")

    def test_a_file_is_a_definition(self) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "rod.json"
            path.write_text(json.dumps({**ROD, "name": "from_file"}))
            self.assertEqual(self.client().workflows.save(path).name, "from_file")
            path.write_text("[]")
            with self.assertRaisesRegex(InputsError, "no object"):
                self.client().workflows.save(path)

    def test_a_run_that_fails_says_where_and_goes_on_when_it_may(self) -> None:
        client = self.client()
        source = "def main():\n    raise ValueError('too thin')"
        broken = {"name": "broken", "nodes": [{"key": "a", "code": python(source)}]}
        with self.assertRaisesRegex(RunFailed, "in a: .*too thin"):
            client.workflows.run(broken, progress=False)
        run = client.workflows.run(broken, check=False, progress=False)
        self.assertEqual(run.info.state, "failed")
        with self.assertRaises(RunFailed):
            run["anything"]
        run.restart()
        self.assertEqual(run.wait(60, check=False, progress=False).state, "failed")
        self.assertEqual(run.nodes["a"].state, "failed")
        with self.assertRaises(Conflict):
            client.workflows.run(ROD, {"F": 1, "d": 1}, progress=False).restart()


class AsyncRuns(unittest.IsolatedAsyncioTestCase, LiveTest):
    async def asyncSetUp(self) -> None:
        self.mecapy = AsyncClient(self.server.url, self.server.token)
        self.addAsyncCleanup(self.mecapy.aclose)

    async def test_a_person_answers(self) -> None:
        workflows = self.mecapy.workflows
        run = await workflows.start(SIGNED)
        async for event in run.events():
            if event.kind == "node_started" and event.data["data"]["key"] == "sign":
                await run.approve("sign", "below 0.8")
        await run.wait(60, progress=False)
        self.assertEqual(run.outputs, {"report": 7})
        refused = await workflows.start("signed")
        while (await refused.refresh()) and refused.nodes["sign"].state != "approval":
            continue
        await refused.reject("sign")
        with self.assertRaises(RunFailed):
            await refused.wait(60, progress=False)
        stopped = await workflows.start("signed")
        await stopped.cancel()
        ended = await stopped.wait(60, check=False, progress=False)
        self.assertEqual(ended.state, "cancelled")
