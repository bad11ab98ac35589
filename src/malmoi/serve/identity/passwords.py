"""Passwords: argon2id with 19 MiB, two passes, one lane (OWASP's floor: about 0.1 s on a small machine).

Hashing runs in a thread, two at a time, so that log-ins can neither block the server nor fill its memory.
Passwords are compared in NFC: some systems type Hangul as separate jamo.
"""

import asyncio
import unicodedata

from malmoi.core.errors import InvalidInput

MIN_LENGTH = 8
MAX_LENGTH = 256
_MEMORY_KIB = 19_456
_AT_ONCE = 2


class Passwords:
    """Hashes and verifies passwords."""

    def __init__(self) -> None:
        from argon2 import PasswordHasher

        self._hasher = PasswordHasher(time_cost=2, memory_cost=_MEMORY_KIB, parallelism=1)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        """The hash to be stored, with its salt and parameters.

        Raises:
            InvalidInput: the password is too short or too long.
        """
        length = len(password)
        if not MIN_LENGTH <= length <= MAX_LENGTH:
            raise InvalidInput(
                f"a password has {MIN_LENGTH} to {MAX_LENGTH} characters; this one has {length}.",
                field="password",
            )
        return await self._hash(password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password is the one stored; takes as long when there is none (`stored` is None)."""
        from argon2.exceptions import InvalidHashError, VerificationError

        if self._decoy is None:
            self._decoy = await self._hash("no account has this password")
        if len(password) > MAX_LENGTH:
            password, stored = "", None
        async with self._slots:
            try:
                await asyncio.to_thread(self._hasher.verify, stored or self._decoy, _normal(password))
            except (VerificationError, InvalidHashError):
                return False
        return stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    async def _hash(self, password: str) -> str:
        async with self._slots:
            return await asyncio.to_thread(self._hasher.hash, _normal(password))


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)
