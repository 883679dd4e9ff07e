"""Runs a package's test cases against its functions, on its author's machine."""

import inspect
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import surroundings
from .cases import (
    Case,
    CaseError,
    CaseFile,
    json_form,
    load_yaml,
    mismatches,
    read_cases,
)
from .faults import DeclarationError, InputError, OutputError, suggestion
from .functions import RESULT, Function, function_of
from .kinds import File
from .project import MANIFEST, Project, ProjectError, import_module

__all__ = ["Outcome", "find_case_files", "run"]

FOLDER = "tests"
SUFFIXES = (".json", ".yml", ".yaml")


@dataclass(frozen=True)
class Outcome:
    """How one case ended: `faults` is empty where it passed."""

    target: str
    case: str
    faults: tuple[str, ...]
    seconds: float
    warnings: tuple[str, ...] = ()


def find_case_files(project: Project, named: Iterable[Path]) -> list[Path]:
    """The files named, those in the folders named, else those of the package."""
    places = list(named)
    if not places and (project.folder / FOLDER).is_dir():
        places = [project.folder / FOLDER]
    files = []
    for place in places:
        if place.is_dir():
            found = (each for each in place.iterdir() if each.suffix in SUFFIXES)
            files += sorted(each for each in found if each.name.startswith("test_"))
        else:
            files.append(place)
    return files


def run(project: Project, files: Iterable[Path], select: str = "") -> Iterator[Outcome]:
    """Runs the cases whose name holds `select`, file after file.

    Raises `CaseError` for a file that is none and `ProjectError` for a package that
    can't be used; what a function does wrong is in its outcome.
    """
    for path in files:
        case_file = read_cases(path)
        target = _Target.find(project, case_file)
        for case in case_file.cases:
            if select in case.name or select in case_file.target:
                yield _run_case(target, case_file, case, project.folder)


class _Target:
    """What is called: a decorated function with its ports, or any other."""

    def __init__(self, call: Callable[..., Any], file_inputs: frozenset[str]) -> None:
        self.function: Function | None = function_of(call)
        self.call = call
        # Inputs of an undecorated function that its manifest declares as files.
        self.file_inputs = file_inputs
        if self.function is not None:
            inputs = self.function.signature.inputs.items()
            self.file_inputs = frozenset(
                n for n, p in inputs if isinstance(p.kind, File)
            )

    @classmethod
    def find(cls, project: Project, case_file: CaseFile) -> "_Target":
        name = case_file.target
        if ":" in name:
            return cls(_handler(name), _file_inputs(_declared(project), name))
        if project.tool.get("modules"):
            functions = project.functions()
            if name in functions:
                return cls(functions[name].call, frozenset())
            close = suggestion(name, functions)
            raise CaseError(f"{case_file.path}: no function is named {name!r}{close}")
        declared = _declared(project).get(name)
        if not isinstance(declared, Mapping) or not isinstance(
            declared.get("handler"), str
        ):
            raise CaseError(
                f"{case_file.path}: no function {name!r} is declared in {MANIFEST}, "
                "and pyproject.toml names no modules under [tool.mecapy]"
            )
        handler = declared["handler"]
        return cls(_handler(handler), _file_inputs({name: declared}, handler))

    def __call__(
        self, case: Case, places: Sequence[Path]
    ) -> tuple[Any, tuple[str, ...]]:
        """The result as JSON, and what was flagged; files are in one of `places`."""
        parameters = inspect.signature(self.call).parameters
        takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        inputs = dict(case.inputs)
        if case.is_ordered and not takes_any and not inputs.keys() <= parameters.keys():
            inputs = dict(zip(parameters, inputs.values(), strict=False))
        for name in self.file_inputs & inputs.keys():
            inputs[name] = _found(inputs[name], places)
        if self.function is None:
            return json_form(self.call(**inputs)), ()
        checked = self.function.run(inputs)
        return json_form(checked.values), checked.warnings


def _found(name: Any, places: Sequence[Path]) -> Any:
    """A file that is named beside the test cases, or at the package's root."""
    paths = (place / name for place in places if isinstance(name, str))
    return next((path for path in paths if path.is_file()), name)


def _run_case(target: _Target, case_file: CaseFile, case: Case, root: Path) -> Outcome:
    folder = case_file.path.parent
    started = time.perf_counter()
    warnings: tuple[str, ...] = ()
    with tempfile.TemporaryDirectory(prefix="mecapy-test-") as artifacts:
        quiet = surroundings.Surroundings(Path(), Path(artifacts), _silent)
        with surroundings.use(quiet):
            try:
                result, warnings = target(case, (folder, root))
            except DeclarationError as error:
                raise ProjectError(str(error)) from None
            except Exception as error:
                faults = _judge_exception(case, error)
            else:
                faults = _judge_result(case, result)
    seconds = time.perf_counter() - started
    return Outcome(case_file.target, case.name, tuple(faults), seconds, warnings)


def _silent(fraction: float, message: str | None) -> None:
    pass


def _judge_result(case: Case, result: Any) -> list[str]:
    if case.exception is not None:
        return [f"it returned {result!r:.200}, and {case.exception} is expected"]
    if not isinstance(case.expected, Mapping):
        # A function that returns one value has it as its only output.
        if isinstance(result, Mapping) and result.keys() == {RESULT}:
            result = result[RESULT]
    elif not isinstance(result, Mapping):
        result = {RESULT: result}
    return list(mismatches(case, result))


def _judge_exception(case: Case, error: Exception) -> list[str]:
    """An exception that is expected is the function's own, of that very class."""
    kind = type(error)
    names = (kind.__name__, f"{kind.__module__}.{kind.__qualname__}")
    is_own = not isinstance(error, (InputError, OutputError))
    if case.exception in names and case.message in str(error) and is_own:
        return []
    what = f"it raised {kind.__name__}: {error}{_own_line(error)}"
    if case.exception is None:
        return [what]
    text = f" with {case.message!r}" if case.message else ""
    return [f"{what}, and {case.exception}{text} is expected"]


def _own_line(error: Exception) -> str:
    """Where the author's code raised, for people."""
    here = Path(__file__).parent
    place, trace = "", error.__traceback__
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.parent != here:
            place = f" ({path.name}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return place


def _handler(name: str) -> Any:
    """What `module:function` or `module.Class:method` names."""
    module, _, attribute = name.partition(":")
    try:
        value = import_module(module)
    except ProjectError:
        # The last part may be a class of the module.
        outer, _, inner = module.rpartition(".")
        if not outer:
            raise
        value = getattr(import_module(outer), inner, None)
    call = getattr(value, attribute, None)
    if not callable(call):
        close = suggestion(attribute, [each for each in dir(value) if each[0] != "_"])
        raise ProjectError(f"{name}: {module} has no function {attribute!r}{close}")
    return call


def _declared(project: Project) -> Mapping[str, Any]:
    """The functions of a manifest; none where there is none, or no reader for it."""
    path = project.folder / MANIFEST
    try:
        document = load_yaml(path, path.read_text(encoding="utf-8"))
    except (OSError, CaseError):
        return {}
    functions = document.get("functions") if isinstance(document, Mapping) else None
    return functions if isinstance(functions, Mapping) else {}


def _file_inputs(declared: Mapping[str, Any], handler: str) -> frozenset[str]:
    names = set()
    for each in declared.values():
        if isinstance(each, Mapping) and each.get("handler") == handler:
            for name, port in (each.get("inputs") or {}).items():
                kind = port.get("type") if isinstance(port, Mapping) else port
                if isinstance(kind, str) and kind.startswith("File"):
                    names.add(name)
    return frozenset(names)
