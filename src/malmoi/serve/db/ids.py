"""Identifiers of rows: a prefix that says what the row is, then the time, then chance."""

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u to misread
_DIGITS = 13  # 13 * 5 = 65 bits hold a 64-bit number


def new_id(prefix: str) -> str:
    """A new identifier such as `msg_06bq3k...`: 64 bits of nanoseconds since 1970, then 64 random bits.

    Sorting identifiers of one prefix as text sorts them by the time they were made.
    """
    return f"{prefix}_{_base32(time.time_ns())}{_base32(secrets.randbits(64))}"


def _base32(number: int) -> str:
    shifts = range(5 * (_DIGITS - 1), -1, -5)
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in shifts)
