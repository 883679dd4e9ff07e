# Every image: the runner, and the standard library that engineers' code imports.
import sys

if "/usr/local/lib/mecapy" not in sys.path:
    sys.path.append("/usr/local/lib/mecapy")

import mecapy
from mecapy_runner import imports, warmup
from mecapy_runner import run as _mecapy_run

imports.install()

import abc, array, base64, binascii, bisect, calendar, cmath, collections, contextlib, copy, csv, dataclasses
import datetime, decimal, difflib, enum, fractions, functools, glob, hashlib, heapq, inspect, io, itertools
import json, linecache, logging, math, numbers, operator, os, pathlib, pickle, pprint, random, re, secrets
import statistics, string, struct, tempfile, textwrap, time, traceback, types, typing, unicodedata, uuid
import warnings, weakref, zlib, zoneinfo

warmup.expect(warmup.rehearse("result = 1 + 1"), "r")
warmup.expect(warmup.rehearse("def main(d, F=2.0):\n    return {'area': d * d, 'F': F}\n", '{"d": 3}'), "r")
warmup.expect(warmup.rehearse("def main(d):\n    return d\n", '{"e": 3}'), "e")
warmup.expect(warmup.rehearse("def main(d):\n    return d\n", "{}", entry="mian"), "e")
warmup.expect(
    warmup.rehearse(
        """
from dataclasses import dataclass
from typing import Annotated, Literal
import mecapy
from mecapy import Force, Length, Stress

@dataclass
class Bolt:
    d: Annotated[float, Length("mm")]
    grade: Literal["8.8", "10.9"] = "8.8"

@dataclass
class Answer:
    stress: Annotated[float, Stress("MPa")]

@mecapy.function(validity="F > 0", on_violation="flag")
def main(bolt: Bolt, F: Annotated[float, Force("N")], factors: list[float] | None = None) -> Answer:
    mecapy.progress(0.5, "half")
    return Answer(F / bolt.d**2)
""",
        '{"bolt": {"d": {"value": 0.5, "unit": "in"}}, "F": -1, "factors": [1, 2.5]}',
    ),
    "r",
)
warmup.expect(
    warmup.rehearse(
        """
import math, sys, random, secrets, uuid
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path

@dataclass
class Beam:
    length: float
    loads: list = field(default_factory=list)

class Grade(Enum):
    S235 = 235

print(f"{math.pi:.3f}", [1, 2.5], {"a": 1})
print("to stderr", file=sys.stderr)
result = {
    "beam": Beam(2.0, [1, 2]), "grade": Grade.S235, "numbers": [1, 2.5, 10**30, 1e-300, True, None, 2 + 3j],
    "exact": [Decimal("1.10"), Fraction(1, 3)], "when": [date(2026, 1, 2), datetime.now(timezone.utc), timedelta(1)],
    "set": {3, 1}, "bytes": b"abc", "range": range(3), "path": Path("/work/out") / "x", "text": "é\\n",
    "random": [random.random(), random.gauss(0, 1), secrets.token_hex(4), str(uuid.uuid4())],
}
""",
    ),
    "r",
)
warmup.expect(
    warmup.rehearse(
        "import math\n\ndef area(d):\n    return math.sqrt(d) / 0\n\ntry:\n    {}['a']\n"
        "except KeyError as error:\n    raise ValueError('bad d') from error\n"
    ),
    "e",
)
warmup.expect(warmup.rehearse("def f(x):\n    return g(x)\n\ndef g(x):\n    return x.lenght\n\nresult = f('a')\n"), "e")
warmup.expect(warmup.rehearse("result = (1 +\n"), "e")
warmup.expect(warmup.rehearse("result = {'load': [1.0, float('nan')]}"), "e")
warmup.expect(warmup.rehearse("result = {'load': [1.0, float('nan')]}", non_finite="null"), "r")
warmup.expect(warmup.rehearse("result = {'f': [lambda: 1]}"), "e")
warmup.expect(warmup.rehearse("def f(n):\n    return f(n + 1)\n\nf(0)\n"), "e")
