# Runs one module of a library's own suite, out of its wheel, and tells how each test ended.

import importlib
import inspect
import itertools
import re
import sys
import types
import warnings
import zipfile

import numpy as np
import scipy.linalg

LIBRARIES = "/work/in"
UNPACKED = "/tmp/suite"


def main(library: str, module: str, pytest: str, slow: bool):
    """`pytest` is the source of what stands for it. Answers the end of each test by its name."""
    stand_in = types.ModuleType("pytest")
    exec(compile(pytest, "pytest.py", "exec"), vars(stand_in))
    sys.modules["pytest"] = stand_in
    settings = types.ModuleType("scipy.conftest")
    settings.skip_xp_invalid_arg = stand_in.mark.skip_xp_invalid_arg
    sys.modules["scipy.conftest"] = settings
    return {"ends": Suite(stand_in, slow).run(load(library, module))}


def load(library, module):
    """The package of the tests is taken out of the wheel; what they test is the interpreter's own."""
    package = module.rpartition(".")[0]
    folder = package.replace(".", "/")
    with zipfile.ZipFile(f"{LIBRARIES}/{library}.whl") as wheel:
        wheel.extractall(UNPACKED, [name for name in wheel.namelist() if name.startswith(f"{folder}/")])
    tests = types.ModuleType(package)
    tests.__path__ = [f"{UNPACKED}/{folder}"]
    sys.modules[package] = tests
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(module)


class Suite:
    def __init__(self, pytest, slow):
        self.pytest, self.ends = pytest, {}
        self.without = ("xslow", "skip", "skip_xp_invalid_arg", *([] if slow else ["slow"]))

    def run(self, module):
        marks = as_list(getattr(module, "pytestmark", []))
        for name, found in list(vars(module).items()):
            if inspect.isclass(found) and name.startswith("Test") and "__init__" not in vars(found):
                self.run_class(found, name, marks)
            elif inspect.isfunction(found) and name.startswith("test"):
                self.run_function(lambda found=found: found, found, name, marks)
        return self.ends

    def run_class(self, tested, name, marks):
        for base in reversed(tested.__mro__):
            marks = marks + vars(base).get("suite_marks", []) + as_list(vars(base).get("pytestmark", []))
        for test in sorted(dir(tested)):
            function = getattr(tested, test)
            if test.startswith("test") and inspect.isfunction(function):
                self.run_function(lambda test=test: self.bound(tested, test), function, f"{name}.{test}", marks)

    def bound(self, tested, test):
        instance = tested()
        for name in ("setup_class", "setup_method"):
            made = getattr(instance, name, None)
            if made is not None:
                made(*[None] * len(inspect.signature(made).parameters))
        return getattr(instance, test)

    def run_function(self, make, function, name, marks):
        marks = marks + getattr(function, "suite_marks", [])
        rows = [self.rows(mark) for mark in marks if mark.name == "parametrize"]
        for number, chosen in enumerate(itertools.product(*rows)):
            options, own = {}, list(marks)
            for values, more in chosen:
                options |= values
                own += more
            # What is said last is where a sandbox ended that did not answer.
            print(name, number, flush=True)
            self.ends[f"{name}[{number}]"] = self.one(make, options, own)

    def rows(self, mark):
        names, values = mark.args[0], mark.args[1] if len(mark.args) > 1 else mark.kwargs["argvalues"]
        single = isinstance(names, str) and "," not in names
        names = [part.strip() for part in names.split(",")] if isinstance(names, str) else list(names)
        rows = []
        for value in values:
            marks = []
            if isinstance(value, self.pytest.Parameters):
                value, marks = (value.values[0] if single else value.values), list(value.marks)
            rows.append((dict(zip(names, [value] if single and len(names) == 1 else value, strict=True)), marks))
        return rows

    def one(self, make, options, marks):
        reason = self.left_out(marks)
        if reason:
            return reason
        np.random.seed(1234)
        expected = any(mark.name.startswith("xfail") and applies(mark) for mark in marks)
        try:
            with warnings.catch_warnings(), np.errstate():
                warnings.simplefilter("ignore")
                self.filter(marks)
                make()(**options)
        except self.pytest.Skipped as skipped:
            return f"skipped: {skipped}"[:200]
        except MemoryError:
            return "out of memory"
        except Exception as error:  # noqa: BLE001 - a test may fail in any way
            return "failed as expected" if expected else said(error)
        return "passed"

    def filter(self, marks):
        for mark in marks:
            if mark.name == "filterwarnings":
                action, _, rest = mark.args[0].partition(":")
                warnings.filterwarnings(action, rest.partition(":")[0])

    def left_out(self, marks):
        for mark in marks:
            if mark.name in self.without:
                return f"skipped: {mark.name}"
            if mark.name == "skipif" and applies(mark):
                return f"skipped: {mark.kwargs.get('reason', '')}"
            if mark.name == "xfail" and applies(mark) and not mark.kwargs.get("run", True):
                return "skipped: not to be run"
        return None


def applies(mark):
    if mark.name == "xfail_on_32bit":
        return sys.maxsize < 2**32
    condition = mark.args[0] if mark.args else mark.kwargs.get("condition", True)
    return bool(condition)


def said(error):
    """The kind and the first words of a failure: the numbers in it are those of rounding."""
    text = re.sub(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?", "#", str(error).strip().partition("\n")[0])
    return f"failed: {type(error).__name__}: {text}"[:200]


def as_list(marks):
    return list(marks) if isinstance(marks, (list, tuple)) else [marks]
