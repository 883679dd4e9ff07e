"""What is tried again, how long, and what is not."""

import time

from mecapy_client import (
    Client,
    Conflict,
    ConnectionFailed,
    DamagedFile,
    Invalid,
    NotReady,
    ServerFailed,
    TooMany,
    UnexpectedAnswer,
    models,
)

from .scripted import Answer, ScriptedTest

LANES = {"lanes": []}
TASK = {
    "attempt": 0,
    "code": {},
    "created_at": "2026-01-02T03:04:05.678Z",
    "id": "01a2176d-343e-71bb-abcb-75d93caa2c14",
    "kernels": "native",
    "labels": {},
    "lane": "default",
    "links": dict.fromkeys(models.TaskLinks.__dataclass_fields__, "/"),
    "max_attempts": 1,
    "priority": 5,
    "seed": 1,
    "state": "queued",
    "warnings": [],
}


def problem(status: int, retry_after: str | None = None) -> Answer:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    body = {"title": "no", "status": status, "detail": "", "errors": []}
    return Answer(status, body, headers)


class Tries(ScriptedTest):
    def client(self, **options: float) -> Client:
        client = Client(self.url, "token", **options)
        self.addCleanup(client.close)
        return client

    def test_a_busy_server_is_asked_again_when_it_says(self) -> None:
        self.answers = [problem(429, "1"), problem(503, "0"), Answer(200, LANES)]
        started = time.monotonic()
        self.assertEqual(self.client().lanes(), [])
        self.assertGreaterEqual(time.monotonic() - started, 1.0)
        self.assertEqual(len(self.asked), 3)
        self.assertEqual(self.asked[0].headers["authorization"], "Bearer token")

    def test_who_would_wait_too_long_is_told_at_once(self) -> None:
        self.answers = [problem(429, "3600")]
        started = time.monotonic()
        with self.assertRaises(TooMany) as caught:
            self.client(retry_seconds=5.0).lanes()
        self.assertLess(time.monotonic() - started, 2.0)
        self.assertEqual(caught.exception.retry_after, 3600.0)
        self.assertEqual(len(self.asked), 1)

    def test_patience_ends(self) -> None:
        self.answers = [problem(503)]
        with self.assertRaises(NotReady):
            self.client(retry_seconds=1.0).lanes()
        self.assertGreater(len(self.asked), 2)

    def test_what_another_try_would_not_cure_is_final(self) -> None:
        for status, kind in ((409, Conflict), (422, Invalid), (500, ServerFailed)):
            self.asked, self.answers = [], [problem(status, "0")]
            with self.subTest(status), self.assertRaises(kind):
                self.client().lanes()
            self.assertEqual(len(self.asked), 1)

    def test_a_submission_is_sent_again_under_one_key(self) -> None:
        self.answers = [Answer(0), problem(503, "0"), Answer(202, TASK)]
        task = self.client().submit("result = 1")
        self.assertEqual(task.id, TASK["id"])
        keys = {asked.headers["idempotency-key"] for asked in self.asked}
        bodies = {asked.body for asked in self.asked}
        self.assertEqual((len(self.asked), len(keys), len(bodies)), (3, 1, 1))

    def test_a_broken_upload_is_not_sent_twice(self) -> None:
        self.answers = [Answer(0)]
        with self.assertRaises(ConnectionFailed):
            self.client().upload(b"abc")
        self.assertEqual(len(self.asked), 1)

    def test_a_busy_server_gets_an_upload_again_and_whole(self) -> None:
        digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        upload = {
            "upload_id": "u",
            "size_bytes": 3,
            "sha256": digest,
            "created_at": "2026-01-02T03:04:05Z",
            "expires_at": "2026-01-03T03:04:05Z",
        }
        self.answers = [problem(503, "0"), Answer(201, upload)]
        self.assertEqual(self.client().upload(b"abc", "a.txt").sha256, digest)
        for asked in self.asked:
            self.assertIn(b'filename="a.txt"', asked.body)
            self.assertIn(b"\r\n\r\nabc\r\n", asked.body)
        self.answers = [Answer(201, {**upload, "sha256": "0" * 64})]
        with self.assertRaises(DamagedFile):
            self.client().upload(b"abc")

    def test_what_is_no_mecapy_is_told(self) -> None:
        self.answers = [Answer(200, "<html>")]
        with self.assertRaisesRegex(UnexpectedAnswer, "is it a MecaPy server"):
            self.client().lanes()
        self.answers = [Answer(200, {})]
        with self.assertRaisesRegex(UnexpectedAnswer, "Lanes has no 'lanes'"):
            self.client().lanes()

    def test_a_server_that_is_not_there_is_told_with_its_url(self) -> None:
        with Client("http://127.0.0.1:1", retry_seconds=0.5) as client:
            with self.assertRaisesRegex(
                ConnectionFailed, "127.0.0.1:1.*MECAPY_API_URL"
            ):
                client.lanes()

    def test_signed_urls_are_told_no_credentials(self) -> None:
        digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        artifact = {
            "name": "a.txt",
            "size_bytes": 3,
            "sha256": digest,
            "content_type": "text/plain",
            "expires_at": "2026-01-03T03:04:05Z",
            "url": f"{self.url}/signed?x=1",
        }
        self.answers = [
            Answer(200, TASK),
            Answer(200, [artifact]),
            problem(503, "0"),
            Answer(200, "abc"),
        ]
        self.assertEqual(self.client().task(str(TASK["id"])).read("a.txt"), b"abc")
        self.assertIn("authorization", self.asked[1].headers)
        self.assertNotIn("authorization", self.asked[2].headers)
        self.assertEqual(self.asked[3].path, "/signed?x=1")
