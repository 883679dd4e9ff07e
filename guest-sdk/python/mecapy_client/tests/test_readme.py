"""The README's Python runs, against a server of its own."""

import contextlib
import io
import re
import sys
import types
from pathlib import Path
from unittest import mock

from .live import LiveTest

README = Path(__file__).resolve().parents[1] / "README.md"


class Readme(LiveTest):
    def test_its_python_runs(self) -> None:
        text = README.read_text(encoding="utf-8")
        blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        self.assertEqual(len(blocks), 8)
        environment = {
            "MECAPY_API_URL": self.server.url,
            "MECAPY_TOKEN": self.server.token,
        }
        module = types.ModuleType("readme")
        sys.modules["readme"] = module
        self.addCleanup(sys.modules.pop, "readme")
        out = io.StringIO()
        with mock.patch.dict("os.environ", environment), contextlib.redirect_stdout(
            out
        ):
            for at, block in enumerate(blocks):
                exec(compile(block, f"README.md, block {at + 1}", "exec"), vars(module))
        module.client.close()  # type: ignore[attr-defined]
        self.assertIn("422 The request is invalid", out.getvalue())
        self.assertIn("stress", out.getvalue())
