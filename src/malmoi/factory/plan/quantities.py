"""Numbers as people write them: 7b, 1.5T, 4M, 64k."""

import re

from malmoi.core.errors import InvalidInput

_FACTORS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
_NUMBER = re.compile(r"([0-9]+(?:[._][0-9]+)*|\.[0-9]+)\s*([a-z]?)", re.IGNORECASE)


def parse_count(text: str, what: str) -> int:
    """A positive whole number, perhaps with k, M, B (or G) or T behind it.

    Raises:
        InvalidInput: naming `what` and showing how to write it.
    """
    match = _NUMBER.fullmatch(text.strip().replace(",", ""))
    factor = _FACTORS.get(match.group(2).lower()) if match else None
    if match is None or factor is None or match.group(1).count(".") > 1:
        raise InvalidInput(
            f"--{what} {text!r} is not a number.", field=what, fix=f"Write it as --{what} 7b, 300M or 1.5T."
        )
    value = round(float(match.group(1).replace("_", "")) * factor)
    if value < 1:
        raise InvalidInput(f"--{what} {text!r} is less than one.", field=what, fix="Give a positive number.")
    return value


def render_count(value: float) -> str:
    """Three figures and a unit: 6.93 B."""
    for factor, unit in ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k")):
        if value >= factor:
            return f"{value / factor:.3g}{unit}"
    return f"{value:.3g}"


def render_bytes(value: float) -> str:
    """Three figures and a decimal unit of bytes."""
    for factor, unit in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= factor:
            return (
                f"{value / factor:.3g} {unit}" if value / factor < 999.5 else f"{value / factor:.0f} {unit}"
            )
    return f"{value:.0f} B"


def render_time(seconds: float) -> str:
    """Days or hours or minutes, as suits."""
    if seconds >= 2 * 86_400:
        return f"{seconds / 86_400:,.1f} days"
    if seconds >= 2 * 3600:
        return f"{seconds / 3600:.1f} hours"
    if seconds >= 120:
        return f"{seconds / 60:.1f} minutes"
    return f"{seconds:.1f} s"
