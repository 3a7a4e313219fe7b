"""The secret between clients and services: where it comes from, what it may look like."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from pathlib import Path

from rlef.errors import ConfigError

VARIABLE = "RLEF_TOKEN"
_FORM = re.compile(r"[A-Za-z0-9._~-]{16,256}")  # fits into a header and into a path


def read_token(file: Path | None) -> str | None:
    """The token in ``file``, else in the environment, else None. Raises ``ConfigError``."""
    if file is not None:
        try:
            return checked(file.read_text(encoding="ascii").strip(), str(file))
        except OSError as error:
            raise ConfigError(f"can't read the token in {file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"the token in {file} is not ASCII") from None
    token = os.environ.get(VARIABLE)
    return None if token is None else checked(token.strip(), VARIABLE)


def checked(token: str, where: str) -> str:
    """``token`` if it may be one. Raises ``ConfigError``, without showing it."""
    if not _FORM.fullmatch(token):
        raise ConfigError(
            f"the token in {where} must be 16 to 256 letters, digits or . _ ~ -; "
            "make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    return token


def new_token() -> tuple[str, Path]:
    """A fresh token and the file that holds it, readable by this user alone."""
    token = secrets.token_urlsafe(32)
    handle, name = tempfile.mkstemp(prefix="rlef-token-")  # made with mode 0600
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(token + "\n")
    return token, Path(name)
