"""One answer on its way out: judged sentence by sentence, personal data covered, a person's own put back.

    answer = guard.answer(checked)
    out = await answer.feed(piece)      # what may leave now
    out += await answer.close()         # the rest

Text is held back only where the policy acts on answers: to the end of its sentence, to `hold_characters`, or
until its next word after `hold_seconds`. What leaves does not depend on how the answer was cut into pieces,
but for the clock.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from malmoi.assist.guard.data import Language, message
from malmoi.assist.guard.jsontext import CannotCover, map_strings, strings_of
from malmoi.assist.guard.report import Report, entries
from malmoi.assist.guard.sentences import ends_sentence, sentences
from malmoi.assist.guard.vault import Restorer
from malmoi.assist.guard.verdict import Reason, Verdict, hardest
from malmoi.core.pii import REPLACEMENTS, Finding, PiiStream, find_pii

if TYPE_CHECKING:
    from malmoi.assist.guard.judge import Judge
    from malmoi.assist.guard.vault import Vault

FILTERED = 500
"""Characters of an answer that the filter looks at."""

_STEP = re.compile(r"\S{0,31}\s|\S{32}")
_CONTEXT = 80  # characters of a long sentence that are judged again with its next part
_COVER = "○"


@dataclass(frozen=True, slots=True)
class _Unit:
    """A part of the answer that is judged at once, with the part of its sentence that was judged before."""

    context: str
    text: str


class AnswerGuard:
    """Guards one answer. See the module.

    Args:
        judge: what judges sentences, with its policy.
        vault: what was covered in the request.
        report: takes what is found.
        language: of messages.
        wants_filter: fill in the report's filter at the end.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        judge: Judge,
        vault: Vault,
        report: Report,
        *,
        language: Language,
        wants_filter: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.report = report
        self.is_stopped = False
        self._judge = judge
        self._policy = judge.policy
        self._vault = vault
        self._language = language
        self._clock = clock
        self._wants_filter = wants_filter
        self._holds = self._policy.holds_output()
        self._kinds = self._policy.pii.kinds("output")
        self._pii = PiiStream(self._cover_finding, frozenset(self._kinds))
        self._restorer = Restorer(vault if self._policy.pii.restore else type(vault)())
        self._raw = ""  # the beginning of the answer, for the filter
        self._piece = ""  # not a whole step yet
        self._unit = ""  # whole steps that are not judged yet
        self._context = ""
        self._since: float | None = None
        self._has_sent = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing is looked at, so that an answer can pass by."""
        return not (self.changes_text or self._wants_filter or self._vault.own)

    @property
    def changes_text(self) -> bool:
        """Whether something of an answer may have to be kept back."""
        return bool(self._holds or self._kinds)

    def sibling(self) -> AnswerGuard:
        """A guard of another text of the same answer, such as its thoughts, with the same report."""
        return AnswerGuard(self._judge, self._vault, self.report, language=self._language, clock=self._clock)

    async def feed(self, piece: str) -> str:
        """Take a piece of the answer; what may leave now."""
        if self.is_stopped:
            return ""
        self._keep(piece)
        if not self._holds:
            return self._sent(self._covered(piece))
        return await self._decided(self._units(piece))

    async def close(self) -> str:
        """The answer has ended; the rest of what may leave."""
        if self.is_stopped:
            return ""
        out = ""
        if self._holds:
            last = self._unit + self._piece
            self._unit = self._piece = ""
            out = await self._decided([_Unit(self._context, last)] if last else [])
        if not self.is_stopped:
            out += self._sent(self._covered("", last=True))
        await self._fill_filter()
        return out

    async def whole(self, text: str) -> str:
        """A whole answer."""
        out = await self.feed(text)
        return out + await self.close()

    async def whole_json(self, text: str) -> str:
        """JSON, such as the arguments of a call: only the insides of its strings are changed.

        What cannot be covered there ends the answer: it stays JSON, or nothing of it leaves.
        """
        if self.is_stopped:
            return ""
        contents = strings_of(text)
        self._keep(" ".join(contents))
        verdicts: dict[str, Verdict] = {}
        if self._holds:
            texts = list(dict.fromkeys(contents))
            verdicts = dict(zip(texts, await self._judged(texts), strict=True))
        for verdict in verdicts.values():
            self._note(verdict.reasons)
            hard = verdict.first("block") or verdict.first("replace")
            if hard is not None:
                self._stop(hard, "block")
                return ""
        blocked = False

        def change(content: str) -> str:
            nonlocal blocked
            verdict = verdicts.get(content)
            if verdict is not None and verdict.action == "mask":
                content = _covered_text(content, 0, verdict.reasons, self._language)
            parts, last = [], 0
            for finding in find_pii(content, frozenset(self._kinds)):
                blocked = blocked or self._kinds[finding.kind] == "block"
                value = content[finding.start : finding.end]
                parts += [content[last : finding.start], self._cover_finding(finding, value)]
                last = finding.end
            return "".join([*parts, content[last:]])

        def check_number(number: str) -> str:
            found = find_pii(number, frozenset(self._kinds))
            if any(self._kinds[one.kind] != "flag" for one in found):
                raise CannotCover(number)
            return number

        try:
            text = map_strings(text, change, change_number=check_number)
        except CannotCover:
            blocked = True
        if blocked:
            self._stop(Reason("pii", 1.0, "pii", 0, 0, "block"), "block")
            return ""
        return self._vault.restore_json(text) if self._policy.pii.restore else text

    def refuse(self) -> None:
        """End the answer: covered, it no longer fits the form that was asked for."""
        self._stop(Reason("pii", 1.0, "form", 0, 0, "block"), "block")

    def _keep(self, piece: str) -> None:
        if self._wants_filter and len(self._raw) < FILTERED:
            self._raw += piece[: FILTERED - len(self._raw)]

    def _units(self, piece: str) -> list[_Unit]:
        """The parts that are ready to be judged."""
        units: list[_Unit] = []
        stream = self._policy.stream
        if self._since is None:
            self._since = self._clock()
        self._piece += piece
        at = 0
        while (step := _STEP.match(self._piece, at)) is not None:
            at = step.end()
            self._unit += step.group()
            if ends_sentence(self._unit[-8:]):
                units.append(self._cut(is_end=True))
            elif len(self._unit) >= stream.hold_characters:
                units.append(self._cut(is_end=False))
        self._piece = self._piece[at:]
        if self._unit and self._clock() - self._since > stream.hold_seconds:
            units.append(self._cut(is_end=False))
        if units:
            self._since = self._clock() if self._unit or self._piece else None
        return units

    def _cut(self, *, is_end: bool) -> _Unit:
        unit = _Unit(self._context, self._unit)
        self._context = "" if is_end else (self._context + self._unit)[-_CONTEXT:]
        self._unit = ""
        return unit

    async def _judged(self, texts: Sequence[str]) -> list[Verdict]:
        if self._judge.asks_models:
            return await asyncio.to_thread(self._judge.judge, texts, "output")
        return self._judge.judge(texts, "output")

    async def _decided(self, units: Sequence[_Unit]) -> str:
        """What leaves of parts that are ready: as they are, covered, or nothing from the first bad one on."""
        if not units:
            return ""
        out: list[str] = []
        verdicts = await self._judged([unit.context + unit.text for unit in units])
        for unit, verdict in zip(units, verdicts, strict=True):
            self._note(verdict.reasons)
            hard = verdict.first("block") or verdict.first("replace")
            if hard is not None:
                out.append(self._sent(self._covered("", last=True)))
                out.append(self._stop(hard, hard.action))
                break
            text = unit.text
            if verdict.action == "mask":
                text = _covered_text(text, len(unit.context), verdict.reasons, self._language)
            out.append(self._sent(self._covered(text)))
            if self.is_stopped:
                break
        return "".join(out)

    def _covered(self, text: str, *, last: bool = False) -> str:
        """Without personal data, and with the person's own put back."""
        out = self._pii.feed(text) + (self._pii.close() if last else "")
        blocked = any(reason.action == "block" for reason in self.report.reasons.get("output", ()))
        if blocked and "\x00" in out:
            out, last = out.partition("\x00")[0], True
            self._stop(Reason("pii", 1.0, "pii", 0, 0, "block"), "block")
        out = self._restorer.feed(out)
        return out + self._restorer.close() if last else out

    def _cover_finding(self, finding: Finding, value: str) -> str:
        action = self._kinds[finding.kind]
        self._note([Reason("pii", 1.0, f"pii:{finding.kind}", finding.start, finding.end, action)])
        if action == "flag":
            return value
        return "\x00" if action == "block" else REPLACEMENTS[finding.kind]

    def _note(self, reasons: Sequence[Reason]) -> None:
        self.report.reasons.setdefault("output", []).extend(reasons)
        done = hardest(reason.action for reason in reasons if reason.action in ("flag", "mask"))
        self.report.action = hardest([self.report.action, done])

    def _sent(self, text: str) -> str:
        self._has_sent = self._has_sent or bool(text.strip())
        return text

    def _stop(self, reason: Reason, action: str) -> str:
        """End the answer; what is said in the place of the rest."""
        self.is_stopped = True
        group = self._policy.groups.get(reason.group)
        name = group.message if group is not None else "personal_data"
        self.report.message = message(name, self._language)
        if action == "block":
            self.report.action = "block"
            return ""
        self.report.action = hardest([self.report.action, "replace"])
        return ("\n\n" if self._has_sent else "") + self.report.message

    async def _fill_filter(self) -> None:
        if not self._wants_filter:
            return
        parts = [self._raw[start:end] for start, end in sentences(self._raw)]
        verdicts = await self._judged(parts)
        self.report.filter = entries(self._judge, verdicts)


def _covered_text(text: str, offset: int, reasons: Sequence[Reason], language: Language) -> str:
    """A text with words covered, or the whole of it where only a classifier spoke."""
    masked = [reason for reason in reasons if reason.action == "mask"]
    if any(not reason.is_exact for reason in masked):
        space = text[len(text.rstrip()) :]
        return message("covered", language) + space
    chars = list(text)
    for reason in masked:
        for place in range(max(0, reason.start - offset), max(0, reason.end - offset)):
            if not chars[place].isspace():
                chars[place] = _COVER
    return "".join(chars)
