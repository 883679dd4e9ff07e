"""What scripts make is what is in the tree."""

import json
import unittest
import urllib.request
from pathlib import Path
from typing import Any

import make_models
import make_sync

from .live import LiveTest

PACKAGE = Path(make_sync.PACKAGE)


class Blocking(unittest.TestCase):
    def test_the_blocking_client_is_the_other_translated(self) -> None:
        for name, text in make_sync.modules().items():
            found = (PACKAGE / "_sync" / name).read_text(encoding="utf-8")
            self.assertEqual(found, text, f"{name}: run python make_sync.py")

    def test_nothing_of_async_code_is_left(self) -> None:
        for name, text in make_sync.modules().items():
            for word in ("async ", "await ", "asyncio", "Async", "aiter", "__aenter"):
                self.assertNotIn(word, text.replace("`_async`", ""), name)


class Models(LiveTest):
    def test_the_models_are_those_of_the_server(self) -> None:
        with urllib.request.urlopen(f"{self.server.url}/openapi.json") as answer:
            document: Any = json.load(answer)
        writer = make_models.Writer(document)
        for name, text in writer.files().items():
            found = (PACKAGE / name).read_text(encoding="utf-8")
            self.assertEqual(found, text, f"{name}: run python make_models.py URL")
