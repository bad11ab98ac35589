"""Arithmetic on the digits of personal numbers: dates, check digits, ranges."""

from datetime import date

LATEST_BIRTH_YEAR = 35
"""Two-digit years up to this are births of the 2000s; later ones do not exist yet. A constant and not today's
date, so that a corpus made again next year is the same."""


def is_plausible_birth(digits: str, century: int) -> bool:
    """Whether YYMMDD is a day, given the seventh digit of a resident number (1, 2, 5, 6: 19YY; else 20YY)."""
    year = int(digits[:2])
    if century in (1, 2, 5, 6):
        year += 1900
    elif year <= LATEST_BIRTH_YEAR:
        year += 2000
    else:
        return False
    try:
        date(year, int(digits[2:4]), int(digits[4:6]))
    except ValueError:
        return False
    return True


def passes_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of Luhn's rule (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def is_card_prefix(digits: str) -> bool:
    """Whether cards begin like this: 3 to 6, 22-27 (Mastercard), 9 (cards for Korea alone)."""
    return digits[0] in "34569" or "22" <= digits[:2] <= "27"


def is_ean(digits: str) -> bool:
    """Whether 13 digits are a bar code (EAN-13), by its check digit."""
    if len(digits) != 13 or not digits.isdecimal():
        return False
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return total % 10 == 0


def is_personal_ipv4(address: str) -> bool:
    """Whether an address can be somebody's: not private, local, reserved, of documents, or for many."""
    octets = [int(part) for part in address.split(".")]
    if max(octets) > 255 or any(part != str(int(part)) for part in address.split(".")):
        return False
    first, second, third, _ = octets
    if first in (0, 10, 127, 255) or first >= 224:
        return False
    return (first, second) not in {(192, 168), (169, 254), (198, 18), (198, 19)} and not (
        (first == 172 and 16 <= second <= 31)
        or (first == 100 and 64 <= second <= 127)
        or (first, second, third) in {(192, 0, 2), (198, 51, 100), (203, 0, 113)}
    )
