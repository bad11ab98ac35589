"""The one place where a caller's key is taken from a request, and the shape of keys.

A key is `mm_<id>_<secret>`: eight characters of base 32 that name its row, then 256 random bits in base64url.
The prefix lets secret scanners find a leaked key, and lets logs be cleaned of it.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from malmoi.core.errors import InvalidInput

KEY_PREFIX = "mm_"
KEY_HEADERS = ("x-api-key", "x-ncp-clovastudio-api-key")
"""Headers that carry a bare key, besides `Authorization: Bearer`; the second is an older one of the Studio
API.
"""

_KEY = re.compile(r"mm_([a-z2-7]{8})_([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True, slots=True)
class KeyText:
    """A key as it is written; the secret is not part of its representation."""

    id: str
    secret: str = field(repr=False)

    def __str__(self) -> str:
        return f"{KEY_PREFIX}{self.id}_{self.secret}"


def new_key() -> KeyText:
    """A new random key."""
    identifier = base64.b32encode(secrets.token_bytes(5)).decode().lower()
    return KeyText(identifier, secrets.token_urlsafe(32))


def parse_key(text: str) -> KeyText | None:
    """The parts of a key, or None when the text has not the shape of one."""
    match = _KEY.fullmatch(text)
    return KeyText(match[1], match[2]) if match else None


def hash_secret(secret: str) -> str:
    """SHA-256 in hexadecimal: enough for 256 random bits, which no dictionary holds."""
    return hashlib.sha256(secret.encode()).hexdigest()


def redact(text: str) -> str:
    """The text with the secret of every key in it replaced, for logs."""
    return re.sub(r"mm_([a-z2-7]{8})_[A-Za-z0-9_-]+", r"mm_\1_[redacted]", text)


def read_credential(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The one credential among the raw headers of a request, or None.

    Args:
        headers: names in lower case, as ASGI gives them; a name may occur more than once.

    Raises:
        InvalidInput: two different credentials were sent; which of them counts would be a guess.
    """
    found: set[str] = set()
    for name, value in headers:
        if name == b"authorization":
            scheme, _, rest = value.decode("latin-1").strip().partition(" ")
            # Other schemes belong to a proxy in front of us, such as one that asks for a password itself.
            if scheme.lower() == "bearer" and rest.strip():
                found.add(rest.strip())
        elif name.decode("latin-1") in KEY_HEADERS and value.strip():
            found.add(value.decode("latin-1").strip())
    if len(found) > 1:
        raise InvalidInput(
            "the request carries two different credentials.",
            field="Authorization",
            fix="Send the key in one header only.",
        )
    return found.pop() if found else None
