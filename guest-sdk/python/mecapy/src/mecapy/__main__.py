"""`python -m mecapy`: tests a package and writes its manifest, without a server."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .cases import CaseError
from .faults import DeclarationError
from .manifest import difference, manifest_text
from .project import MANIFEST, Project, ProjectError
from .runner import find_case_files, run

# What a command ends with: all is well, something is wrong, it was asked wrongly.
OK, WRONG, USAGE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and answers with its exit status."""
    options = _parser().parse_args(arguments)
    try:
        project = Project.read(options.folder)
        with project.on_path():
            return int(options.run(project, options))
    except (CaseError, DeclarationError, ProjectError) as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mecapy", description=__doc__)
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(),
        help="the package's folder, with pyproject.toml (default: this one)",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    test = commands.add_parser(
        "test",
        help="run the test cases against the functions",
        description="Runs tests/test_*.json (and .yml) against the functions, here.",
    )
    test.add_argument(
        "paths",
        nargs="*",
        type=Path,
        help="files or folders of test cases (default: tests)",
    )
    test.add_argument(
        "-k", dest="select", default="", help="only cases whose name holds this text"
    )
    test.set_defaults(run=_test)
    manifest = commands.add_parser(
        "manifest",
        help=f"write {MANIFEST} from the functions",
        description=f"Writes {MANIFEST} from the functions and pyproject.toml.",
    )
    manifest.add_argument(
        "--check",
        action="store_true",
        help="write nothing; show how the file differs, and end with 1 if it does",
    )
    manifest.set_defaults(run=_manifest)
    return parser


def _test(project: Project, options: argparse.Namespace) -> int:
    files = find_case_files(project, options.paths)
    if not files:
        raise ProjectError(
            f"no test cases: write {project.folder / 'tests/test_….json'}"
        )
    passed = failed = 0
    for outcome in run(project, files, options.select):
        took = f"{outcome.seconds * 1000:.1f} ms"
        print(f"{'FAILED' if outcome.faults else 'ok':6} ", end="")
        print(f"{outcome.target}: {outcome.case} ({took})")
        for fault in outcome.faults:
            print(f"         {fault}")
        for warning in outcome.warnings:
            print(f"         flagged: {warning}")
        passed, failed = passed + (not outcome.faults), failed + bool(outcome.faults)
    if passed + failed == 0:
        raise ProjectError(f"no case's name holds {options.select!r}")
    print(f"{passed} passed, {failed} failed")
    return WRONG if failed else OK


def _manifest(project: Project, options: argparse.Namespace) -> int:
    path = project.folder / MANIFEST
    changes = difference(project)
    if not changes:
        print(f"{path} is current")
        return OK
    if options.check:
        print(changes, end="")
        print(f"{path} is not current: python -m mecapy manifest", file=sys.stderr)
        return WRONG
    path.write_text(manifest_text(project), encoding="utf-8")
    print(f"wrote {path}")
    return OK


if __name__ == "__main__":
    sys.exit(main())
