"""Where the server is and who is asking: given, or from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from .errors import InputsError

__all__ = ["Settings"]

URL_VARIABLE = "MECAPY_API_URL"
TOKEN_VARIABLE = "MECAPY_TOKEN"
URL_DEFAULT = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Settings:
    """The server's URL and the token; the token is never shown."""

    url: str
    token: str | None = field(repr=False)

    @classmethod
    def of(cls, url: str | None, token: str | None) -> Settings:
        """What is given goes before MECAPY_API_URL and MECAPY_TOKEN."""
        url = url or os.environ.get(URL_VARIABLE) or URL_DEFAULT
        token = token or os.environ.get(TOKEN_VARIABLE) or None
        if not url.startswith(("http://", "https://")):
            raise InputsError(
                f"{url!r} is no URL of a server: it begins with http:// or https:// "
                f"({URL_VARIABLE}, or url=)"
            )
        if token is not None and not (token.isascii() and token.isprintable()):
            raise InputsError(
                f"the token holds characters that no token has ({TOKEN_VARIABLE}, or "
                "token=): is there a line break at its end?"
            )
        return cls(url.rstrip("/"), token)
