"""Where a function runs: in a sandbox of the platform, or on its author's machine.

In a sandbox, progress goes through the door to the host, and files under /work/out
become artifacts. Elsewhere, progress is a line on a terminal and artifacts are files of
the folder `mecapy-out`; the test runner puts both where it wants them.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

try:
    from mecapy_runner import door as _door  # type: ignore[import-not-found]
except ImportError:
    _door = None

__all__ = ["Surroundings", "artifact", "current", "progress", "use"]

ARTIFACT_NAME_CHARS_MAX = 200


def _tell(fraction: float, message: str | None) -> None:
    if sys.stderr.isatty():
        print(f"{fraction:4.0%} {message or ''}".rstrip(), file=sys.stderr)


def _send_progress(fraction: float, message: str | None) -> None:
    _door.send_progress(fraction, message)


@dataclass(frozen=True)
class Surroundings:
    """Where input files are, where artifacts go, and who is told of progress."""

    inputs: Path
    artifacts: Path
    tell: Callable[[float, str | None], None] = _tell


if _door is not None:
    _current = Surroundings(Path("/work/in"), Path("/work/out"), _send_progress)
else:
    _current = Surroundings(Path(), Path("mecapy-out"))


def current() -> Surroundings:
    """The surroundings of what runs now."""
    return _current


@contextlib.contextmanager
def use(surroundings: Surroundings) -> Iterator[None]:
    """Runs a block in other surroundings."""
    global _current
    before, _current = _current, surroundings
    try:
        yield
    finally:
        _current = before


def progress(fraction: float, message: str | None = None) -> None:
    """Says how far it is: `fraction` from 0 to 1, and a short message."""
    fraction = float(fraction)
    if fraction != fraction:
        raise ValueError("fraction must be a number from 0 to 1, not NaN")
    text = None if message is None else str(message)
    _current.tell(min(max(fraction, 0.0), 1.0), text)


def artifact(content: bytes | str | os.PathLike[str], name: str | None = None) -> Path:
    """Keeps a file with the result: bytes under a name, or the file at a path.

    `name` may have folders, as in `plots/stress.png`, and is the file's own name where
    it is left out. Answers where the file is now; a function returns that for an output
    of type `File`.
    """
    if isinstance(content, (bytes, bytearray, memoryview)):
        if name is None:
            raise TypeError("artifact(bytes, name): bytes need a name")
        path = _artifact_path(name)
        path.write_bytes(content)
        return path
    source = Path(content)
    if not source.is_file():
        raise FileNotFoundError(f"artifact: there is no file {os.fspath(content)!r}")
    path = _artifact_path(source.name if name is None else name)
    if not (path.exists() and path.samefile(source)):
        shutil.copyfile(source, path)
    return path


def _artifact_path(name: str) -> Path:
    parts = PurePosixPath(name).parts
    if (
        not parts
        or PurePosixPath(name).is_absolute()
        or ".." in parts
        or len(name) > ARTIFACT_NAME_CHARS_MAX
        or any(ord(character) < 32 for character in name)
    ):
        raise ValueError(
            f"{name!r} can't name an artifact: a relative name is needed, without "
            f"`..`, of at most {ARTIFACT_NAME_CHARS_MAX} characters"
        )
    path = _current.artifacts.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
