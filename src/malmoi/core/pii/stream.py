"""Personal data out of a text that is still growing: the same result as of the whole, wherever it is cut.

Text leaves as soon as nothing that may follow can change it. What must wait is the last word (it may become
an e-mail address, a passport or an IPv6 address), a run of digits that reaches the end, and a number within
`_AFTER` characters of the end (a word such as "계좌" behind it may still decide).

The text is taken in steps that end after white space, or after 32 characters without; so what is looked at
does not depend on the pieces it came in. A run of digits without end leaves in parts of `_LONGEST`.
"""

import re
from bisect import bisect_left
from collections.abc import Callable

from malmoi.core.pii.find import CANDIDATE, KINDS, Finding, find_pii
from malmoi.core.pii.signs import usual_signs

_STEP = re.compile(r"\S{0,31}\s|\S{32}")
_LAST_WORD = re.compile(r"[A-Za-z0-9._%+\-:@＠]+[ ]*(?:[(\[][A-Za-z]{0,2}[)\]]?|골(?:뱅이?)?)?[ ]*\Z")
_LAST_DOMAIN = re.compile(
    r"[A-Za-z0-9._%+\-]{1,64} *(?:[@＠]|\((?:at|AT)\)|\[(?:at|AT)\]|골뱅이) *[A-Za-z0-9.\-]*\Z"
)
_LAST_RUN = re.compile(r"[+(]?\d[\d \t().\-–—~*/)]*\Z|[+(]\Z")
_MATTERS = re.compile(r"[0-9A-Za-z@＠:+(]")  # a step without any of these neither begins nor ends anything
_AFTER = 27  # `find_pii` looks at most 25 characters past a number, and its patterns two more
_BEFORE = 96  # what has left but still decides about what follows
_LONGEST = 512  # characters that are held at most
_NUMBER = 64  # longer than any number


class PiiStream:
    """Takes pieces of a text, gives back what may leave.

    Args:
        replace: what stands in the place of a finding, given it and the text it was found as.
        kinds: which kinds are looked for.
    """

    def __init__(self, replace: Callable[[Finding, str], str], kinds: frozenset[str]) -> None:
        self._replace = replace
        self._kinds = kinds & frozenset(KINDS)
        self._piece = ""  # not a whole step yet
        self._window = ""  # what has left and still decides, then what is held
        self._left = 0  # how much of the window has left

    @property
    def num_held(self) -> int:
        """Characters that are in here."""
        return len(self._window) - self._left + len(self._piece)

    def feed(self, piece: str) -> str:
        """Take a piece; what may leave now."""
        if not self._kinds:
            return piece
        self._piece += piece
        out: list[str] = []
        at = 0
        while (step := _STEP.match(self._piece, at)) is not None:
            at = step.end()
            is_empty = self._left == len(self._window)
            self._window += step.group()
            if is_empty and _MATTERS.search(usual_signs(step.group())[0]) is None:
                out.append(step.group())
                self._forget(len(self._window))
            else:
                out.append(self._release(_settled(self._window, self._left)))
        self._piece = self._piece[at:]
        return "".join(out)

    def close(self) -> str:
        """The rest: nothing follows any more."""
        self._window += self._piece
        self._piece = ""
        return self._release(len(self._window))

    def flush(self) -> str:
        """All whole steps that are held, as if nothing followed, for a caller that cannot wait."""
        return self._release(len(self._window))

    def _release(self, end: int) -> str:
        if end - self._left <= 0:
            return ""
        findings = [one for one in find_pii(self._window, self._kinds) if one.start >= self._left]
        # A finding that reaches past the end waits with its end.
        end = min([end, *(one.start for one in findings if one.start < end < one.end)])
        parts: list[str] = []
        last = self._left
        for finding in findings:
            if finding.end <= end:
                parts += [
                    self._window[last : finding.start],
                    self._replace(finding, self._window[finding.start : finding.end]),
                ]
                last = finding.end
        parts.append(self._window[last:end])
        self._forget(end)
        return "".join(parts)

    def _forget(self, end: int) -> None:
        """Everything up to `end` has left; what still decides is kept."""
        cut = max(0, end - _BEFORE)
        self._window, self._left = self._window[cut:], end - cut


def _settled(window: str, left: int) -> int:
    """Up to where nothing that follows can change the text."""
    usual, places = usual_signs(window)
    settled = places[_settled_usual(usual, bisect_left(places, left))]
    if len(window) - settled >= _LONGEST:
        settled = len(window) - _NUMBER
    return settled


def _settled_usual(window: str, left: int) -> int:
    end = len(window)
    settled = end
    for pattern in (_LAST_WORD, _LAST_DOMAIN, _LAST_RUN):
        found = pattern.search(window, max(left, end - _LONGEST))
        if found is not None:
            settled = min(settled, found.start())
    for run in CANDIDATE.finditer(window, left):
        if run.end() > end - _AFTER:
            settled = min(settled, run.start())
            break
    return max(settled, left)
