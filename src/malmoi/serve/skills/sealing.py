"""Credentials at rest: sealed with AES-256-GCM, bound to the account and the skill they belong to.

The key is a file of this server's home, made at the first use and readable by its owner alone; it is not in
the database, so a copy of the database is worth nothing without it. Several servers on one database share it
by `skills.key_file`.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from malmoi.core.errors import ConfigError, MissingExtra
from malmoi.core.files import write_bytes

_NONCE = 12  # bytes
_KEY = 32


class Sealer:
    """Seals and opens credentials.

    Args:
        file: with the key, in base64; it is made when it is first needed.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._key: bytes | None = None

    def seal(self, values: Mapping[str, str], *, account_id: str, skill: str) -> bytes:
        """The values, unreadable without the key.

        Raises:
            MissingExtra: the package that does it is not installed.
            ConfigError: the key's file cannot be read.
        """
        nonce = secrets.token_bytes(_NONCE)
        text = json.dumps(dict(values), ensure_ascii=False).encode()
        sealed: bytes = self._cipher().encrypt(nonce, text, _bound(account_id, skill))
        return nonce + sealed

    def open(self, sealed: bytes, *, account_id: str, skill: str) -> dict[str, str]:
        """The values again; none where they were sealed for another account or skill, or with another key."""
        from cryptography.exceptions import InvalidTag

        try:
            text = self._cipher().decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(account_id, skill))
        except (InvalidTag, ValueError):
            return {}
        return {str(name): str(value) for name, value in json.loads(text).items()}

    def derive(self, purpose: str, account_id: str) -> str:
        """A value that only this server can make, the same each time; nobody can tell the account by it."""
        told = hmac.new(self._read_key(), f"{purpose}\0{account_id}".encode(), hashlib.sha256)
        return told.hexdigest()

    def _cipher(self) -> Any:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as error:
            raise MissingExtra("Keeping credentials", "serve") from error
        return AESGCM(self._read_key())

    def _read_key(self) -> bytes:
        if self._key is None:
            if not self._file.exists():
                self._file.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(self._file, base64.b64encode(secrets.token_bytes(_KEY)) + b"\n", mode=0o600)
            try:
                key = base64.b64decode(self._file.read_bytes().strip(), validate=True)
            except (OSError, ValueError) as error:
                raise ConfigError(f"the key in {self._file} cannot be read.") from error
            if len(key) != _KEY or os.stat(self._file).st_mode & 0o077:
                raise ConfigError(
                    f"{self._file} must hold {_KEY} bytes in base64, and be readable by its owner alone.",
                    fix=f"Run: chmod 600 {self._file}",
                )
            self._key = key
        return self._key


def _bound(account_id: str, skill: str) -> bytes:
    return f"{account_id}\0{skill}".encode()
