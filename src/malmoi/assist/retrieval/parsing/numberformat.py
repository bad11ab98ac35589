"""Numbers and dates of cells as a reader sees them, after the common format codes of spreadsheets.

A value is never changed beyond recognition: what a code does not explain is shown as a plain number.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

# The codes that files name only by number (ECMA-376 part 1, 18.8.30, with those of Korean Excel).
_BUILT_IN = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00",
    14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM",
    20: "h:mm", 21: "h:mm:ss", 22: "yyyy-mm-dd h:mm", 27: "yyyy-mm-dd", 28: "yyyy-mm-dd", 29: "yyyy-mm-dd",
    30: "yyyy-mm-dd", 31: "yyyy-mm-dd", 32: "h:mm", 33: "h:mm:ss", 34: "h:mm", 35: "h:mm:ss",
    36: "yyyy-mm-dd", 37: "#,##0", 38: "#,##0", 39: "#,##0.00", 40: "#,##0.00", 41: "#,##0", 42: "#,##0",
    43: "#,##0.00", 44: "#,##0.00", 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss", 48: "0.0E+0",
    50: "yyyy-mm-dd", 51: "yyyy-mm-dd", 52: "yyyy-mm-dd", 53: "yyyy-mm-dd", 54: "yyyy-mm-dd",
    55: "yyyy-mm-dd", 56: "yyyy-mm-dd", 57: "yyyy-mm-dd", 58: "yyyy-mm-dd",
}  # fmt: skip
_QUOTED = re.compile(r'"([^"]*)"|\\(.)|_.|\*.')
_BRACKETS = re.compile(r"\[(?!h+\]|m+\]|s+\])(?:\$([^\]\-]*)[^\]]*|[^\]]*)\]", re.I)
_DIGITS = re.compile(r"[#0?][#0?,]*(?:\.[#0?]+)?,*")
_TIME = re.compile(r"\[h+\]|\[m+\]|\[s+\]|y+|m+|d+|h+|s+(?:\.0+)?|AM/PM|A/P", re.I)
_LONGEST_CODE = 255
_LARGEST = Decimal(10) ** 15  # from here on digits are not exact any more


class CellFormats:
    """How the numbers of one workbook are shown.

    Args:
        codes: the workbook's own format codes, by number.
        used: for each cell style the number of its code.
        from_1904: whether days count from 1904, as in old workbooks of the Mac.
    """

    def __init__(self, codes: Mapping[int, str], used: Sequence[int], *, from_1904: bool) -> None:
        self._codes = codes
        self._used = used
        self._epoch = datetime(1904, 1, 1) if from_1904 else datetime(1899, 12, 30)
        self._sections: dict[int, list[str]] = {}

    def shown(self, text: str, style: int) -> str:
        """A cell's number as people see it.

        Args:
            text: the number as the file has it.
            style: of the cell.
        """
        try:
            value = Decimal(text.strip())
        except InvalidOperation:
            return text
        if not value.is_finite() or value.adjusted() > 30 or value.adjusted() < -30:
            return text.strip()
        sections = self._code(style)
        section = sections[0]
        if len(sections) > 1 and value < 0:
            section, value = sections[1], -value
        elif len(sections) > 2 and value == 0:
            section = sections[2]
        if section.lower() in ("", "general", "@"):
            return _plain(value)
        bare = _bare(section)
        if _is_time(bare):
            return self._time(value, bare) or _plain(value)
        return _number(value, section)

    def _code(self, style: int) -> list[str]:
        if style not in self._sections:
            number = self._used[style] if style < len(self._used) else 0
            code = self._codes.get(number) or _BUILT_IN.get(number, "General")
            self._sections[style] = _sections(code[:_LONGEST_CODE])
        return self._sections[style]

    def _time(self, value: Decimal, code: str) -> str | None:
        try:
            moment = self._epoch + timedelta(days=float(value))
            moment = (moment + timedelta(milliseconds=500)).replace(microsecond=0)
        except OverflowError:
            return None
        lower = code.lower()
        whole_seconds = int(value * 86400 + Decimal("0.5"))
        if re.search(r"\[h+\]", lower):
            return f"{whole_seconds // 3600}:{whole_seconds // 60 % 60:02}:{whole_seconds % 60:02}"
        has_day = "y" in lower or "d" in lower
        has_time = "h" in lower or "s" in lower
        if not has_day and not has_time:
            return f"{moment:%Y-%m}"
        parts = []
        if has_day:
            parts.append(f"{moment:%Y-%m-%d}" if "d" in lower else f"{moment:%Y-%m}")
        if has_time:
            parts.append(f"{moment:%H:%M:%S}" if "s" in lower else f"{moment:%H:%M}")
        return " ".join(parts)


def _sections(code: str) -> list[str]:
    """Positive; negative; zero; words. Semicolons within quotes do not count."""
    sections, at, quoted = [""], 0, False
    while at < len(code):
        char = code[at]
        if char == '"':
            quoted = not quoted
        if char == "\\" and at + 1 < len(code):
            sections[-1] += code[at : at + 2]
            at += 2
            continue
        if char == ";" and not quoted:
            sections.append("")
        else:
            sections[-1] += char
        at += 1
    return sections


def _bare(section: str) -> str:
    """The code without words, colours, currencies and conditions."""
    return _BRACKETS.sub("", _QUOTED.sub("", section))


def _is_time(bare: str) -> bool:
    lower = bare.lower()
    return "0" not in _TIME.sub("", lower) and "#" not in lower and _TIME.search(lower) is not None


def _number(value: Decimal, section: str) -> str:
    literal = _QUOTED.sub(lambda found: found[1] or found[2] or "", section)
    literal = _BRACKETS.sub(lambda found: found[1] or "", literal)
    digits = _DIGITS.search(literal)
    if digits is None:
        return literal.strip() or _plain(value)
    code = digits[0]
    if "E+" in literal.upper() or "/" in literal[digits.end() :] or abs(value) >= _LARGEST:
        return _plain(value)
    if "%" in literal:
        value *= 100
    # Commas at the end divide by a thousand each; others set thousands apart.
    thousands = len(code) - len(code.rstrip(","))
    whole, _, fraction = code.rstrip(",").partition(".")
    value /= Decimal(1000) ** thousands
    places = sum(char in "0#?" for char in fraction)
    rounded = value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    text = f"{rounded:,f}" if "," in whole else f"{rounded:f}"
    if "." in text:
        optional = len(fraction) - len(fraction.rstrip("#?"))
        for _ in range(optional):
            text = text[:-1] if text.endswith("0") else text
        text = text.rstrip(".")
    least = sum(char == "0" for char in whole)
    sign, text = ("-", text[1:]) if text.startswith("-") else ("", text)
    if "," not in text:
        before, dot, behind = text.partition(".")
        text = before.zfill(least) + dot + behind
    return f"{literal[: digits.start()]}{sign}{text}{literal[digits.end() :]}".strip()


def _plain(value: Decimal) -> str:
    """A number without a format: up to 15 digits, as spreadsheets keep them."""
    if value == value.to_integral_value() and abs(value) < _LARGEST:
        return (
            f"{value.to_integral_value():f}".replace("-0", "0")
            if value == 0
            else f"{value.to_integral_value():f}"
        )
    return f"{float(value):.15g}"
