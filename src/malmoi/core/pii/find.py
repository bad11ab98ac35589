"""Personal data in texts: numbers of persons, phones, e-mail, cards, accounts, passports, IP addresses.

Checksums raise the certainty of a bare number but never clear a number of the right shape: resident numbers
given since October 2020 have none.

Texts that hold no `@` and no run of digits that is long enough are done after two looks; in the others, only
the neighbourhood of such runs is examined.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from malmoi.core.pii.checks import (
    is_card_prefix,
    is_ean,
    is_personal_ipv4,
    is_plausible_birth,
    passes_luhn,
)
from malmoi.core.pii.signs import usual_signs

KINDS = ("rrn", "foreigner", "phone", "email", "card", "account", "passport", "ip")


@dataclass(frozen=True, slots=True)
class Finding:
    """One piece of personal data in a text."""

    kind: str
    start: int
    end: int


# Runs that may hold a number: digits with what people put between them.
CANDIDATE = re.compile(r"(?:\+|\()?\d[\d \t().\-–—~*/)]{6,}")
_AT_SIGN = re.compile(r"[@＠]")
_AT_WORD = re.compile(r"[@＠]|\((?:at|AT)\)|\[(?:at|AT)\]|골뱅이")
_LOCAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+\-]{0,63}\Z")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,62})\.){1,6}(?P<top>[A-Za-z]{2,24})(?![A-Za-z0-9])")
_FILES = frozenset(
    ["png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "css", "js", "ts", "jsx", "tsx", "json", "html", "py"]
)
_SERVICE_USERS = frozenset({"git", "svn", "hg"})
"""`git@github.com` is a command, not a person."""

_RRN = re.compile(
    r"(?<!\d)(?<!\d-)(?P<birth>\d{6})(?P<gap> ?[-–—] ?|[ ]?)(?P<century>[1-8])(?:\d{6}|\*{6})(?![\d*])(?!-\d)"
)
_CARD = re.compile(
    r"(?<!\d)(?<!\d[-. ])(?:\d{4}(?P<gap>[ -]?)\d{4}(?P=gap)\d{4}(?P=gap)\d{4}"
    r"|3[47]\d{2}(?P<amex>[ -]?)\d{6}(?P=amex)\d{5})"
    r"(?!\d)(?![-. ]\d)"
)
_MOBILE = re.compile(
    r"(?<!\d)(?<!\d[-.])(?:\+?82[ \-.)]{0,2}\(?0?\)?|\(?0)1[016789]\)?(?: ?[-–.~] ?| )?"
    r"\d{3,4}(?: ?[-–.~] ?| )?\d{4}(?!\d)(?![-.]\d)"
)
_LANDLINE = re.compile(
    r"(?<!\d)(?<!\d[-.])(?:\+82[ \-.]?0?|\(?0)(?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|70|50\d?)"
    r"(?P<gap>\) ?| ?[-–.~] ?| )?\d{3,4}(?P<gap2> ?[-–.~] ?| )?\d{4}(?!\d)(?![-.]\d)"
)
_FOREIGN_PHONE = re.compile(
    r"(?<!\d)(?:\+(?!82)[1-9]\d{0,2}[ \-.]?\(?\d{1,4}\)?(?:[ \-.]\d{2,4}){2,4}|\(\d{3}\) ?\d{3}-\d{4})(?!\d)"
)
_ACCOUNT = re.compile(r"(?<!\d)(?<!\d-)(?:\d{2,6}(?:-\d{1,8}){1,4}|\d{10,14})(?!\d)(?!-\d)")
_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d])(?!\.\d)")
_IPV6 = re.compile(r"(?<![0-9A-Za-z:])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?![0-9A-Za-z:])")
_IPV6_SHORT = re.compile(
    r"(?<![0-9A-Za-z:])(?:[0-9A-Fa-f]{1,4}:){2,6}(?::[0-9A-Fa-f]{1,4}){1,5}(?![0-9A-Za-z:/])"
)
_IPV6_HINT = re.compile(r"[0-9A-Fa-f]:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{1,4}:|[0-9A-Fa-f]::[0-9A-Fa-f]")
_PASSPORT = re.compile(r"(?<![0-9A-Za-z])[MSRODGmsrodg](?:\d{8}|\d{3}[A-Za-z]\d{4})(?![0-9A-Za-z])")

_PHONE_WORDS = re.compile(r"전화|연락처|휴대폰|핸드폰|팩스|문의|☎|📞|(?i:tel|phone|fax|call|mobile)")
_CARD_WORDS = re.compile(r"카드|(?i:card|visa|master|amex)")
_ACCOUNT_WORDS = re.compile(
    r"계좌|입금|송금|예금주|이체|농협|신협|수협|새마을금고|우체국|카카오뱅크|케이뱅크|토스뱅크"
    r"|(?:국민|신한|우리|하나|기업|산업|제일|씨티|대구|부산|광주|전북|경남|제주|수출입) ?은행"
    r"|(?i:bank|account no|iban)"
)
_PASSPORT_WORDS = re.compile(r"여권|(?i:passport)")
_IP_WORDS = re.compile(r"(?<![A-Za-z])(?i:ip)(?![A-Za-z])|아이피|접속")
_VERSION_WORDS = re.compile(r"(?i:ver(?:sion)?\.?|(?<![A-Za-z])v|버전|release|build)[ :=]*\Z")
_YEAR = re.compile(r"(?:19|20)\d\d\Z")


def find_pii(text: str, kinds: frozenset[str] = frozenset(KINDS)) -> list[Finding]:
    """All personal data in `text`, from left to right, without overlaps."""
    usual, places = usual_signs(text)
    found = _find(usual, kinds)
    if isinstance(places, range):
        return found
    return [Finding(one.kind, places[one.start], places[one.end - 1] + 1) for one in found]


def _find(text: str, kinds: frozenset[str]) -> list[Finding]:
    found: list[Finding] = []
    if "email" in kinds:
        found += _emails(text)
    for run in CANDIDATE.finditer(text):
        found += _numbers(text, run.start(), run.end(), kinds)
    if "passport" in kinds and ("여권" in text or "assport" in text or "ASSPORT" in text):
        for match in _PASSPORT.finditer(text):
            if _before(text, match.start(), 30, _PASSPORT_WORDS):
                found.append(Finding("passport", match.start(), match.end()))
    if "ip" in kinds and text.count(":") >= 3 and _IPV6_HINT.search(text):
        found += _ipv6(text)
    return _without_overlaps(found) if found else found


def _emails(text: str) -> Iterator[Finding]:
    """Local parts: from each `@` outward, so that a long text without one costs nothing."""
    spelled = "골뱅이" in text or "at)" in text or "at]" in text or "AT)" in text or "AT]" in text
    if not spelled and "@" not in text and "＠" not in text:
        return
    for at in (_AT_WORD if spelled else _AT_SIGN).finditer(text):
        start, end = at.span()
        spaced = len(at.group()) > 1  # "kim (at) naver.com"
        while spaced and end < len(text) and text[end] == " ":
            end += 1
        domain = _DOMAIN.match(text, end)
        if domain is None or domain["top"].lower() in _FILES:
            continue
        local_end = start
        while spaced and local_end > 0 and text[local_end - 1] == " ":
            local_end -= 1
        local = _LOCAL.search(text[max(0, local_end - 64) : local_end])
        if local is None or local.group().lower() in _SERVICE_USERS:
            continue
        yield Finding("email", local_end - len(local.group()), local_end)


def _numbers(text: str, start: int, end: int, kinds: frozenset[str]) -> Iterator[Finding]:
    """Personal numbers in one run of digits and separators."""
    for kind, finder in _FINDERS:
        if kind in kinds or (kind == "rrn" and "foreigner" in kinds):
            for finding in finder(text, start, end):
                if finding.kind in kinds:
                    yield finding


def _resident(text: str, start: int, end: int) -> Iterator[Finding]:
    for match in _RRN.finditer(text, start, end):
        century = int(match["century"])
        if not is_plausible_birth(match["birth"], century):
            continue
        bare = match.group()
        if not match["gap"]:
            if not _stands_alone(text, match):
                continue
            if is_ean(bare) and bare.startswith("880"):
                continue  # a Korean bar code
        yield Finding("rrn" if century <= 4 else "foreigner", match.start(), match.end())


def _cards(text: str, start: int, end: int) -> Iterator[Finding]:
    for match in _CARD.finditer(text, start, end):
        digits = re.sub(r"\D", "", match.group())
        if not is_card_prefix(digits) or not _stands_alone(text, match):
            continue
        certain = passes_luhn(digits) or _around(text, match.start(), match.end(), 25, _CARD_WORDS)
        gap = match["gap"] or match["amex"] or ""
        if not certain and (not gap or all(_YEAR.match(part) for part in match.group().split(gap))):
            continue  # sixteen digits without a sign of being a card; four years
        yield Finding("card", match.start(), match.end())


def _phones(text: str, start: int, end: int) -> Iterator[Finding]:
    for match in _MOBILE.finditer(text, start, end):
        number = match.group()
        digits = re.sub(r"\D", "", number)
        bare = digits == number
        if bare and (set(digits) <= {"0", "1"} or not _stands_alone(text, match)):
            continue  # a binary number, a part of an identifier
        if bare and not digits.startswith("010") and not _nearby(text, match, _PHONE_WORDS):
            continue
        yield Finding("phone", match.start(), match.end())
    for match in _LANDLINE.finditer(text, start, end):
        if match["gap"] and match["gap2"]:
            # Groups with only spaces or points between them may be any numbers.
            plain = match["gap"].strip() in ("", ".") and match["gap2"].strip() in ("", ".")
            if not plain or _nearby(text, match, _PHONE_WORDS):
                yield Finding("phone", match.start(), match.end())
        elif _nearby(text, match, _PHONE_WORDS):
            yield Finding("phone", match.start(), match.end())
    for match in _FOREIGN_PHONE.finditer(text, start, end):
        if 8 <= sum(map(str.isdigit, match.group())) <= 15:
            yield Finding("phone", match.start(), match.end())


def _accounts(text: str, start: int, end: int) -> Iterator[Finding]:
    for match in _ACCOUNT.finditer(text, start, end):
        if 10 <= sum(map(str.isdigit, match.group())) <= 16 and _around(
            text, match.start(), match.end(), 20, _ACCOUNT_WORDS
        ):
            yield Finding("account", match.start(), match.end())


def _ipv4(text: str, start: int, end: int) -> Iterator[Finding]:
    for match in _IPV4.finditer(text, start, end):
        if not is_personal_ipv4(match.group()) or not _stands_alone(text, match):
            continue
        before = text[max(0, match.start() - 12) : match.start()]
        if _VERSION_WORDS.search(before):
            continue
        octets = match.group().split(".")
        long = sum(len(octet) >= 2 for octet in octets)
        if (long >= 3 and len(octets[0]) >= 2) or _before(text, match.start(), 15, _IP_WORDS):
            yield Finding("ip", match.start(), match.end())


def _ipv6(text: str) -> Iterator[Finding]:
    for pattern in (_IPV6, _IPV6_SHORT):
        for match in pattern.finditer(text):
            address = match.group().lower()
            # 2000::/3 are addresses of somebody; 2001:db8:: is for documents.
            if address[0] in "23" and len(address.split(":")[0]) == 4 and not address.startswith("2001:db8"):
                yield Finding("ip", match.start(), match.end())


_RANKS = {
    kind: rank
    for rank, kind in enumerate(("email", "rrn", "foreigner", "phone", "card", "account", "ip", "passport"))
}
_FINDERS = (("rrn", _resident), ("phone", _phones), ("card", _cards), ("account", _accounts), ("ip", _ipv4))


def _stands_alone(text: str, match: re.Match[str]) -> bool:
    """Whether the number is no part of an identifier or hexadecimal number; Hangul may touch it."""
    beside = text[match.start() - 1 : match.start()] + text[match.end() : match.end() + 1]
    return not any(one.isascii() and (one.isalnum() or one == "_") for one in beside)


def _before(text: str, start: int, reach: int, words: re.Pattern[str]) -> bool:
    return words.search(text, max(0, start - reach), start) is not None


def _around(text: str, start: int, end: int, reach: int, words: re.Pattern[str]) -> bool:
    return words.search(text, max(0, start - reach), min(len(text), end + reach)) is not None


def _nearby(text: str, match: re.Match[str], words: re.Pattern[str]) -> bool:
    return _before(text, match.start(), 20, words)


def _without_overlaps(found: list[Finding]) -> list[Finding]:
    """The findings in their order; of two that overlap, the kind that is looked for first."""
    kept: list[Finding] = []
    for finding in sorted(found, key=lambda one: (one.start, _RANKS[one.kind])):
        if not kept or finding.start >= kept[-1].end:
            kept.append(finding)
        elif _RANKS[finding.kind] < _RANKS[kept[-1].kind]:
            kept[-1] = finding
    return kept
