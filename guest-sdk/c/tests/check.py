"""Checks mecapy.h and mecapy_linalg.h: builds task.c and linalg.c natively, with sanitizers where there are any, and
runs them on many inputs.

    python3 guest-sdk/c/tests/check.py [--compiler "cc"] [--module task.wasm]

With --module the same rows go through a module that was built from task.c, in the Python package wasmtime.
"""

import argparse
import json
import shlex
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
# What is handed out is never freed.
ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=0"}
WARNINGS = [
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wshadow",
    "-Werror",
]

READ = {
    "do": "read",
    "number": 1.5,
    "integer": -12,
    "boolean": False,
    "text": 'é∑🦀\n\t"\\/ \u0001',
    "choice": "10.9",
    "numbers": [1, 2.5, -1e-300],
    "items": [{"x": 1}, {"x": 2, "y": []}],
    "table": {"other": {}, "a/b~c": 4},
}
READ_RESULT = {
    "number": 1.5,
    "integer": -12,
    "boolean": False,
    "text": READ["text"],
    "choice": 1,
    "numbers": [1, 2.5, -1e-300],
    "items": [{"x": 1}, {"x": 2}],
    "named": 4,
    "left_out": 7.5,
    "left_out_integer": -3,
    "left_out_boolean": True,
    "left_out_text": 'other\n"text"\\',
    "has": True,
    "nothing": None,
}
# Doubles that a reader which rounds twice gets wrong, and the ends of the range.
NUMBERS = (
    "0.1 1e23 8.41e21 9007199254740993.0 2.2250738585072011e-308 5e-324 1.7976931348623157e308 -0.0 3 "
    "0.500000000000000166533453693773481063544750213623046875 123456789012345678901234567890 1E+2 -12.5e-1"
).split()

# What is not JSON: the text, and what should be at which byte.
NOT_JSON = [
    ("", "a value should be at byte 0"),
    ('{"do": }', "a value should be at byte 7"),
    ('{"do" "x"}', "a colon should be at byte 6"),
    ('{"do": "x",}', "a text should be at byte 11"),
    ('{"do": "x" "y"}', "a comma should be at byte 11"),
    ("{do: 1}", "a text should be at byte 1"),
    ('{"do": "x', "the end of a text should be at byte 9"),
    ('{"do": "\\x"}', "an escape should be at byte 9"),
    ('{"do": "\\u12g4"}', "four digits should be at byte 10"),
    ('{"do": "\\', "an escape should be at byte 9"),
    ('{"do": "a\nb"}', "the end of a text should be at byte 9"),
    ('{"do": 01}', "a comma should be at byte 8"),
    ('{"do": 1.}', "a digit should be at byte 9"),
    ('{"do": 1e}', "a digit should be at byte 9"),
    ('{"do": .5}', "a value should be at byte 7"),
    ('{"do": +1}', "a value should be at byte 7"),
    ('{"do": NaN}', "a value should be at byte 7"),
    ('{"do": Infinity}', "a value should be at byte 7"),
    ('{"do": truex}', "a comma should be at byte 11"),
    ('{"do": [1 2]}', "a comma should be at byte 10"),
    ('{"do": [1}', "a comma should be at byte 9"),
    ('{"do": 1} 2', "the end should be at byte 10"),
    ("[" * 1000, "no further level of nesting should be at byte 129"),
    ('{"a":' * 1000, "no further level of nesting should be at byte 645"),
]

# Inputs, and the line of the error.
FAULTS: list[tuple[dict[str, Any] | str, str]] = [
    ({}, "invalid_input /do is missing"),
    ([], "invalid_input /do is missing"),
    ({"do": 7}, "invalid_input /do must be a text, not 7"),
    ({"do": None}, "invalid_input /do must be a text, not null"),
    ({"do": {"a": 1}}, "invalid_input /do must be a text, not an object"),
    ({"do": "echo"}, "invalid_input /number is missing"),
    (
        {"do": "echo", "number": "1,75"},
        'invalid_input /number must be a number, not the text "1,75"',
    ),
    (
        {"do": "echo", "number": [1]},
        "invalid_input /number must be a number, not a list",
    ),
    (
        {"do": "echo", "number": True},
        "invalid_input /number must be a number, not true",
    ),
    (
        {"do": "echo", "number": "∑" * 50},
        f'invalid_input /number must be a number, not the text "{"∑" * 19}',
    ),
    (
        '{"do": "echo", "number": -1e400}',
        "invalid_input /number is a number beyond what a double can hold",
    ),
    (
        '{"do": "echo", "number": 1, "number": 2}',
        'invalid_input the inputs have "number" twice in one object',
    ),
    (
        {"do": "integer", "number": 1.5},
        "invalid_input /number must be an integer from -2^53 to 2^53, not 1.5",
    ),
    (
        {"do": "integer", "number": 2**53 + 2},
        "invalid_input /number must be an integer from -2^53 to 2^53, not 9007199254740994",
    ),
    (
        '{"do": "text", "text": "a\\u0000b"}',
        "invalid_input /text must be a text without the character U+0000",
    ),
    (
        READ | {"boolean": 0},
        "invalid_input /boolean must be true or false, not 0",
    ),
    (
        READ | {"choice": "9.9"},
        'invalid_input /choice must be one of 8.8 10.9 12.9, not the text "9.9"',
    ),
    (
        READ | {"choice": 8.8},
        "invalid_input /choice must be one of 8.8 10.9 12.9, not 8.8",
    ),
    (READ | {"numbers": 1}, "invalid_input /numbers must be a list, not 1"),
    (
        READ | {"numbers": [1, "2"]},
        'invalid_input /numbers/1 must be a number, not the text "2"',
    ),
    (READ | {"items": [{}]}, "invalid_input /items/0/x is missing"),
    (
        READ | {"itms": []},
        "invalid_input /itms is not known here; known: do number integer",
    ),
    ({"do": "require", "number": 0}, "invalid_input /number must be greater than 0"),
    ({"do": "fail", "text": "a\nb\r"}, "exception it can't be computed: a b"),
    (
        {"do": "fail", "text": "é" * 5000},
        f"exception it can't be computed: {'é' * 1900}",
    ),
    (
        {"do": "nan"},
        "invalid_output /safety/yield/1 of the result is NaN, which JSON can't hold",
    ),
    (
        {"do": "infinite"},
        "invalid_output /stress of the result is -inf, which JSON can't hold",
    ),
    (
        {"do": "no key"},
        "exception the result is not built right: in an object, and only there, values have keys",
    ),
    (
        {"do": "open"},
        "exception the result is not built right: something is not closed",
    ),
    (
        {"do": "close"},
        "exception the result is not built right: nothing is open to be closed",
    ),
    ({"do": "deep"}, "exception the result is nested too deep"),
] + [
    (
        {"do": "outside", "text": name},
        f'exception "{name}" can\'t be an artifact: give a relative path without ".."',
    )
    for name in ["", "/etc/passwd", "..", "../x", "a/../../x", "a/.."]
]


class End(NamedTuple):
    code: int
    stdout: bytes
    stderr: str


Runner = Callable[[bytes, Path], End]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--compiler", default="cc", help="command of a native C compiler"
    )
    parser.add_argument("--module", type=Path, help="task.c built for WASI")
    options = parser.parse_args()
    failed = checked = 0
    with tempfile.TemporaryDirectory() as folder:
        compiler = shlex.split(options.compiler)
        systems = native(compiler, Path(folder), "linalg.c")
        for size in (1, 3, 300):
            fault = linalg_fault(systems, Path(folder), size)
            checked += 1
            if fault:
                failed += 1
                print(f"FAIL mecapy_linalg.h: {size}: {fault}")
        runners = {"native": native(compiler, Path(folder), "task.c")}
        if options.module:
            runners["wasi"] = wasi(options.module)
        for name, run in runners.items():
            for title, fault in rows(run):
                checked += 1
                if fault:
                    failed += 1
                    print(f"FAIL {name}: {title}: {fault}")
    print(f"mecapy.h and mecapy_linalg.h: {checked - failed} passed, {failed} failed")
    return 1 if failed or not checked else 0


def rows(run: Runner) -> Iterator[tuple[str, str | None]]:
    """Every row, with what is wrong about it."""

    def ended(inputs: Any) -> tuple[End, dict[str, bytes]]:
        text = (
            inputs
            if isinstance(inputs, str)
            else json.dumps(inputs, ensure_ascii=False)
        )
        with tempfile.TemporaryDirectory() as folder:
            for name in ("in", "out"):
                (Path(folder) / "work" / name).mkdir(parents=True)
            (Path(folder) / "work" / "in" / "sent.txt").write_text("nodes")
            end = run(text.encode(), Path(folder))
            out = Path(folder) / "work" / "out"
            files = {
                str(path.relative_to(out)): path.read_bytes()
                for path in out.rglob("*")
                if path.is_file()
            }
        return end, files

    def result(title: str, inputs: Any, wanted: Any) -> tuple[str, str | None]:
        end, _ = ended(inputs)
        if end.code != 0 or json.loads(end.stdout) != wanted:
            return title, f"{end}"
        return title, None

    for ascii_only in (True, False):
        text = json.dumps(READ, ensure_ascii=ascii_only, indent=2)
        yield result("everything is read", text, READ_RESULT)
    for number in NUMBERS:
        end, _ = ended(f'{{"do": "echo", "number": {number}}}')
        same = end.code == 0 and bits(json.loads(end.stdout)["number"]) == bits(
            float(number)
        )
        yield number, None if same else f"{end}"
    many = [0.1 * n for n in range(100_000)]
    yield result("a long list", {"do": "sum", "numbers": many}, {"sum": added(many)})
    yield result("an empty list", {"do": "sum", "numbers": []}, {"sum": 0})
    yield result("nothing", {"do": "nothing"}, {})
    yield result("2^53", {"do": "integer", "number": 2**53}, {"integer": 2**53})
    yield result(
        "half a pair",
        '{"do": "text", "text": "\\ud83dx\\udc00"}',
        {"text": "\ufffdx\ufffd"},
    )
    for inputs, message in FAULTS:
        end, _ = ended(inputs)
        code = 2 if message.startswith("invalid_input") else 1
        told = f"mecapy: error {message}"
        good = end.code == code and end.stderr.startswith(told) and not end.stdout
        good = good and end.stderr.count("\n") == 1 and len(end.stderr.encode()) < 4096
        yield message, None if good else f"{end}"
    for text, message in NOT_JSON:
        end, _ = ended(text)
        told = f"mecapy: error invalid_input the inputs are not JSON: {message}\n"
        yield text[:40], None if (end.code, end.stderr) == (2, told) else f"{end}"
    end, files = ended({"do": "files", "text": "sent.txt"})
    told = "mecapy: progress 0.25 wrote 1 file\nmecapy: progress 1\n"
    told += "mecapy: warning small of 4 bytes\n"
    good = (end.stdout, end.stderr) == (b'{"text":"nodes"}\n', told)
    good = good and files == {"figures/one.txt": b"one\n"}
    yield "files", None if good else f"{end} {files}"


def added(numbers: list[float]) -> float:
    """In order, rounding each time, which `sum` of newer Pythons doesn't."""
    total = 0.0
    for number in numbers:
        total += number
    return total


def bits(number: float) -> bytes:
    return struct.pack("<d", number)


def linalg_fault(run: Runner, folder: Path, size: int) -> str | None:
    """What is wrong about the functions that do the host's work themselves."""
    end = run(json.dumps({"n": size}).encode(), folder)
    if end.code != 0:
        return f"{end}"
    told = json.loads(end.stdout)
    answers = {"singular": 2, "indefinite": 3, "invalid": -1, "sparse": None}
    errors = [told.pop(name) for name in ("product", "general", "positive_definite")]
    good = told == answers and all(0 <= error < 1e-9 * size for error in errors)
    return None if good else f"{end}"


def native(compiler: list[str], folder: Path, source: str) -> Runner:
    program = folder / Path(source).stem
    source_and_output = [str(HERE / source), "-lm", "-o", str(program)]
    build = [*compiler, "-g", "-O1", *WARNINGS]
    checked = subprocess.run(
        [*build, *SANITIZERS, *source_and_output], capture_output=True, text=True
    )
    if checked.returncode != 0:
        print("sanitizers: none (the compiler has no libraries for them)")
        subprocess.run([*build, *source_and_output], check=True)

    def run(stdin: bytes, work: Path) -> End:
        done = subprocess.run(
            [program],
            input=stdin,
            cwd=work,
            env=ENVIRONMENT,
            capture_output=True,
            timeout=60,
        )
        return End(done.returncode, done.stdout, done.stderr.decode(errors="replace"))

    return run


def wasi(module: Path) -> Runner:
    import wasmtime

    engine = wasmtime.Engine()
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    compiled = wasmtime.Module.from_file(engine, str(module))

    def run(stdin: bytes, work: Path) -> End:
        paths = {name: work / name for name in ("stdin", "stdout", "stderr")}
        paths["stdin"].write_bytes(stdin)
        config = wasmtime.WasiConfig()
        config.stdin_file, config.stdout_file, config.stderr_file = map(
            str, paths.values()
        )
        config.preopen_dir(str(work), "/")
        store = wasmtime.Store(engine)
        store.set_wasi(config)
        code = 0
        try:
            linker.instantiate(store, compiled).exports(store)["_start"](store)
        except wasmtime.ExitTrap as end:
            code = end.code
        told = paths["stderr"].read_bytes().decode(errors="replace")
        return End(code, paths["stdout"].read_bytes(), told)

    return run


if __name__ == "__main__":
    sys.exit(main())
