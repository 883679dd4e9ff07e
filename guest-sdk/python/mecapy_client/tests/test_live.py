"""The blocking client against a server of its own."""

import contextlib
import io
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from mecapy_client import (
    Conflict,
    Invalid,
    NotFound,
    Task,
    TaskFailed,
    Unauthorized,
    WaitTimeout,
)

from .live import LiveTest

STRESS = """
import mecapy

def main(d, F=1.0):
    mecapy.progress(0.5, "half way")
    print("diameter", d)
    return {"stress": F / (3.0 * d**2 / 4), "table": {"x": [1, 2], "y": [3.0, 4.5]}}
"""
SLEEP = """
import time, mecapy

def main(seconds):
    for at in range(int(seconds * 50)):
        time.sleep(0.02)
        mecapy.progress(at / (seconds * 50))
        if at % 10 == 0:
            print(at, "\\u2028", flush=True)
"""
FIGURE = """
import matplotlib.pyplot as plt

def main():
    plt.plot([1, 3, 2])
    with open("/work/out/big.bin", "wb") as file:
        file.write(bytes(300_000))
    return {}
"""


def area(d: float) -> dict[str, float]:
    """Sent with this whole file, of which only this function runs."""
    return {"area": d * d}


class Previews(LiveTest):
    def test_a_preview_answers_at_once(self) -> None:
        outcome = self.client().preview(STRESS, {"d": 2, "F": 3})
        self.assertEqual(outcome["stress"], 1.0)
        self.assertEqual(dict(outcome)["table"], {"x": [1, 2], "y": [3.0, 4.5]})
        self.assertEqual(outcome.stdout, "diameter 2\n")
        self.assertIsNone(outcome.task_id)
        assert outcome.usage is not None and outcome.seed is not None
        again = self.client().preview("import random\nresult = random.random()", seed=7)
        same = self.client().preview("import random\nresult = random.random()", seed=7)
        self.assertEqual(again["result"], same["result"])

    def test_numbers_cross_with_every_digit(self) -> None:
        numbers = [0.1, 2**70, 1e-300, -0.0, 123456789012345678]
        outcome = self.client().preview("result = inputs['x']", {"x": numbers})
        self.assertEqual(outcome["result"], numbers)

    def test_a_file_of_code_and_a_function_run(self) -> None:
        client = self.client()
        with TemporaryDirectory() as folder:
            path = Path(folder) / "task.py"
            path.write_text(STRESS)
            self.assertEqual(client.preview(path, {"d": 1})["stress"], 4 / 3)

        def volume(d):  # type: ignore[no-untyped-def]
            return {"volume": d**3}

        self.assertEqual(client.preview(volume, {"d": 2})["volume"], 8)

    def test_files_and_artifacts_come_along(self) -> None:
        source = (
            "data = open('/work/in/a.txt').read()\n"
            "open('/work/out/b.txt', 'w').write(data * 2)\nresult = len(data)"
        )
        outcome = self.client().preview(source, files={"a.txt": b"abc"})
        self.assertEqual(outcome["result"], 3)
        self.assertEqual(outcome.files["b.txt"][1], b"abcabc")

    def test_a_failure_shows_the_authors_traceback(self) -> None:
        source = "def main(x):\n    return 1 / x\n"
        with self.assertRaises(TaskFailed) as caught:
            self.client().preview(source, {"x": 0})
        error = caught.exception.error
        assert error is not None
        self.assertEqual((error.kind, error.line), ("exception", 2))
        self.assertIn("ZeroDivisionError", str(caught.exception))
        self.assertIn('File "task.py", line 2, in main', str(caught.exception))
        outcome = self.client().preview(source, {"x": 0}, check=False)
        self.assertEqual(outcome.state, "failed")
        self.assertIn("ZeroDivisionError", outcome._repr_html_())

    def test_faults_name_the_place(self) -> None:
        client = self.client()
        with self.assertRaises(Invalid) as caught:
            client.preview("def main(:\n    pass", {})
        (fault,) = caught.exception.faults
        self.assertEqual((fault.pointer, fault.line), ("/code/source", 1))
        with self.assertRaises(Invalid) as caught:
            client.submit(STRESS, {}, priority=99, labels={"a": "b" * 1000})
        places = {fault.pointer for fault in caught.exception.faults}
        self.assertEqual(places, {"/priority", "/labels/a"})

    def test_a_module_that_is_none_is_refused(self) -> None:
        with self.assertRaises(Exception) as caught:
            self.client().upload_module(b"\x7fELF")
        self.assertIn("415", str(caught.exception))

    def test_who_is_asking_must_be_known(self) -> None:
        self.assertEqual(self.client().me().role, "admin")
        names = {lane.lane for lane in self.client().lanes()}
        self.assertEqual(names, {"high_priority", "default", "long_running"})
        client = type(self.client())(self.server.url, "no-such-key")
        self.addCleanup(client.close)
        with self.assertRaises(Unauthorized):
            client.me()
        environment = {
            "MECAPY_API_URL": self.server.url,
            "MECAPY_TOKEN": self.server.token,
        }
        with mock.patch.dict("os.environ", environment):
            with type(client)() as from_environment:
                self.assertEqual(from_environment.me().role, "admin")


class Tasks(LiveTest):
    def test_a_task_is_queued_watched_and_waited_for(self) -> None:
        client = self.client()
        labels = {"project": "A320"}
        task = client.submit(STRESS, {"d": 2, "F": 3}, name="rod", labels=labels)
        kinds = [event.kind for event in task.events()]
        self.assertEqual((kinds[0], kinds[-1]), ("state", "done"))
        self.assertIn("log", kinds)
        outcome = task.wait()
        self.assertEqual((outcome["stress"], outcome.task_id), (1.0, task.id))
        self.assertEqual("".join(e.text for e in task.logs()), "diameter 2\n")
        found = [each.id for each in client.tasks(label="project=A320", name="rod")]
        self.assertEqual(found, [task.id])
        self.assertEqual(client.task(task.id).info.state, "completed")
        self.assertIn("completed", task._repr_html_())

    def test_run_submits_and_waits(self) -> None:
        outcome = self.client().run(STRESS, {"d": 2}, name="rod", progress=False)
        self.assertEqual(outcome.state, "completed")
        with self.assertRaises(TaskFailed):
            self.client().run("result = 1 / 0", progress=False)

    def test_a_bar_shows_how_far_it_is(self) -> None:
        task = self.client().submit(SLEEP, {"seconds": 0.5}, name="sleeper")
        with contextlib.redirect_stderr(io.StringIO()) as err:
            with mock.patch("mecapy_client.bars._tqdm_bar", return_value=None):
                task.wait(progress=True)
        shown = err.getvalue()
        self.assertIn("sleeper ", shown)
        self.assertIn("100% completed", shown)
        self.assertTrue(shown.endswith("\n"))

    def test_waiting_has_an_end_and_the_task_goes_on(self) -> None:
        task = self.client().submit(SLEEP, {"seconds": 30})
        started = time.monotonic()
        with self.assertRaises(WaitTimeout):
            task.wait(0.3, progress=False)
        self.assertLess(time.monotonic() - started, 5.0)
        with self.assertRaises(Conflict):
            task.delete()
        task.cancel()
        outcome = task.wait(30, check=False)
        self.assertEqual(outcome.state, "cancelled")
        again = task.retry()
        self.assertEqual(again.info.retry_of, task.id)
        again.cancel()
        again.wait(30, check=False)
        again.delete()
        with self.assertRaises(NotFound):
            again.refresh()

    def test_one_key_is_one_task(self) -> None:
        client = self.client()
        tasks = {
            client.submit(STRESS, {"d": 1}, idempotency_key="rod-1").id
            for _ in range(3)
        }
        self.assertEqual(len(tasks), 1)

    def test_artifacts_are_checked_and_written_whole(self) -> None:
        task = self.client().submit(FIGURE)
        outcome = task.wait(pictures=True)
        names = {each.name for each in task.artifacts()}
        self.assertEqual(names, {"figure-1.png", "big.bin"})
        self.assertEqual(set(outcome.files), {"figure-1.png"})
        self.assertIn("data:image/png;base64,", outcome._repr_html_())
        with TemporaryDirectory() as folder:
            path = task.download("figure-1.png", folder)
            self.assertEqual(path.read_bytes()[:4], b"\x89PNG")
            path = task.download("big.bin", Path(folder) / "zeros")
            self.assertEqual(path.stat().st_size, 300_000)
            self.assertEqual(len(list(Path(folder).iterdir())), 2)
        with self.assertRaisesRegex(NotFound, "it made: .*big.bin"):
            task.read("none")

    def test_an_uploaded_file_is_used_twice(self) -> None:
        client = self.client()
        upload = client.upload(bytes(1_000_000), "zeros.bin")
        self.assertEqual((upload.size_bytes, upload.name), (1_000_000, "zeros.bin"))
        source = "import os\nresult = os.stat('/work/in/z').st_size"
        for _ in range(2):
            outcome = client.run(source, files={"z": upload}, progress=False)
            self.assertEqual(outcome["result"], 1_000_000)

    def test_the_tenants_stream_tells_how_tasks_end(self) -> None:
        client = self.client()
        seen: list[str] = []
        opened = threading.Event()

        def listen() -> None:
            opened.set()
            for event in client.events(after=0):
                seen.append(event.data["data"]["id"])
                if seen[-1] == wanted[0]:
                    return

        wanted = [""]
        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        opened.wait()
        wanted[0] = client.submit(STRESS, {"d": 1}).id
        thread.join(30)
        self.assertIn(wanted[0], seen)


class Sweeps(LiveTest):
    SOURCE = "def main(d, F=1.0):\n    return {'s': F / d}"

    def test_a_grid_runs_as_a_batch_as_tasks_and_as_previews(self) -> None:
        client = self.client()
        ways: list[dict[str, bool]] = [{}, {"as_tasks": True}, {"preview": True}]
        for way in ways:
            swept = client.map(
                self.SOURCE, grid={"d": [1, 2, 0], "F": [1.0, 3.0]}, **way
            )
            self.assertEqual([item.index for item in swept], list(range(6)))
            got = [item.result["s"] if item.result else None for item in swept]
            self.assertEqual(got, [1.0, 3.0, 0.5, 1.5, None, None])
            self.assertEqual({item.state for item in swept.failed}, {"failed"})
            with self.assertRaises(TaskFailed):
                swept.results()
            frame = swept.frame()
            self.assertEqual(list(frame.columns), ["d", "F", "s", "state", "error"])

    def test_rows_have_what_they_share(self) -> None:
        swept = self.client().map(
            self.SOURCE, rows=[{"d": 1}, {"d": 4}], inputs={"F": 8.0}, at_once_max=1
        )
        self.assertEqual(swept.results(), [{"s": 8.0}, {"s": 2.0}])

    def test_refused_runs_are_in_the_answer_or_end_it(self) -> None:
        client = self.client()
        swept = client.map(self.SOURCE, rows=[{"d": 1}, {"d": float("nan")}])
        self.assertEqual([item.state for item in swept], ["completed", "refused"])
        with self.assertRaises(TaskFailed):
            client.map(self.SOURCE, rows=[{"d": 0}], check=True)

    def test_what_is_interrupted_is_cancelled(self) -> None:
        client = self.client()
        stopped: list[str] = []
        wait = Task.wait

        def interrupted(task: Task, *arguments: object, **options: object) -> object:
            stopped.append(task.id)
            if len(stopped) == 2:
                raise KeyboardInterrupt
            return wait(task, *arguments, **options)  # type: ignore[arg-type]

        with mock.patch.object(Task, "wait", interrupted):
            with self.assertRaises(KeyboardInterrupt):
                rows = [{"seconds": 60}] * 2
                client.map(SLEEP, rows=rows, at_once_max=2, as_tasks=True)
        for id in stopped:
            outcome = client.task(id).wait(30, check=False, progress=False)
            self.assertEqual(outcome.state, "cancelled")


class Restarts(LiveTest):
    def test_events_and_waits_go_on_after_a_restart(self) -> None:
        client = self.client()
        task = client.submit(SLEEP, {"seconds": 4})
        seen = []
        for event in task.events():
            seen.append(event)
            if event.kind == "log" and len(seen) < 8:
                restart = threading.Thread(target=self._restart)
                restart.start()
                restart.join()
        ids = [event.id for event in seen]
        self.assertEqual(ids, sorted(set(ids), key=lambda each: each or 0))
        self.assertEqual(seen[-1].data["state"], "completed")
        self.assertEqual(task.wait(60).state, "completed")

    def _restart(self) -> None:
        if not getattr(self, "restarted", False):
            self.restarted = True
            self.server.stop()
            self.server.start()
