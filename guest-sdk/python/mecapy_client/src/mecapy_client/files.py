"""Files on their way: hashed as they are read, and checked as they arrive."""

from __future__ import annotations

import hashlib
import mimetypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from .errors import DamagedFile, InputsError

__all__ = ["Content", "Receipt", "Sending", "opened"]

# What an upload is made from: a file's path, or bytes.
Content = str | os.PathLike[str] | bytes


class Sending:
    """A file that is being sent: a reader that remembers what went through it."""

    def __init__(self, source: BinaryIO, name: str) -> None:
        self.name = name
        self.content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        self._source = source
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        read = self._source.read(size)
        self._digest.update(read)
        return read

    def seek(self, at: int, whence: int = os.SEEK_SET) -> int:
        """Moves; from the beginning on, it is hashed anew."""
        if at == 0 and whence == os.SEEK_SET:
            self._digest = hashlib.sha256()
        return self._source.seek(at, whence)

    def tell(self) -> int:
        """Where it is."""
        return self._source.tell()

    def fileno(self) -> int:
        """The file's descriptor, from which its size is told."""
        return self._source.fileno()

    def check(self, sha256: str | None) -> None:
        """Raises where what arrived is not what was sent."""
        if sha256 != self._digest.hexdigest():
            raise DamagedFile(
                f"{self.name} arrived with the SHA-256 {sha256} and was sent with "
                f"{self._digest.hexdigest()}: send it again"
            )


@contextmanager
def opened(content: Content, name: str | None) -> Iterator[Sending]:
    """Opens what is to be sent under its name."""
    if isinstance(content, bytes):
        yield Sending(BytesIO(content), name or "file")
        return
    path = Path(content)
    try:
        source = path.open("rb")
    except OSError as error:
        raise InputsError(f"{path} can't be read: {error.strerror}") from None
    with source:
        yield Sending(source, name or path.name)


class Receipt:
    """A file that arrives: counted and hashed piece by piece."""

    def __init__(self, name: str, sha256: str, size_bytes: int) -> None:
        self.name = name
        self.sha256 = sha256
        self.size_bytes = size_bytes
        self._digest = hashlib.sha256()
        self._received = 0

    def add(self, piece: bytes) -> None:
        """Takes a piece; raises as soon as it is too much."""
        self._digest.update(piece)
        self._received += len(piece)
        if self._received > self.size_bytes:
            self._refuse()

    def check(self) -> None:
        """Raises where what arrived is not what the task made."""
        if self._digest.hexdigest() != self.sha256:
            self._refuse()

    def _refuse(self) -> None:
        raise DamagedFile(
            f"{self.name} arrived with {self._received} bytes and another SHA-256 than "
            f"that of its {self.size_bytes} bytes: nothing was kept"
        )
