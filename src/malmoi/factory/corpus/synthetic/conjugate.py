"""Korean predicates in the forms that the grammar's patterns ask for.

An ending is named by its dictionary form: 고, 아서, 으면, 는, 은, 을, 다, 았다 and so on. Those that end a
sentence come in three styles, plain (간다), polite (가요) and formal (갑니다); 시 before them is honorific.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from malmoi.core.hangul import compose, decompose

STYLES = ("plain", "polite", "formal")
_BRIGHT = frozenset("ㅏㅗㅑ")
_CONTRACTED = {"ㅗ": "ㅘ", "ㅜ": "ㅝ", "ㅣ": "ㅕ", "ㅚ": "ㅙ"}
_ABSORBED = frozenset("ㅏㅓㅐㅔㅕ")


@dataclass(frozen=True)
class Irregulars:
    """Verbs whose spelling does not tell their class, by dictionary form."""

    kinds: Mapping[str, str]
    """Verb to one of ㅂ, ㄷ, ㅅ, ㅎ, 르."""
    adjectives: Collection[str]
    rieul: Collection[str]
    """Verbs in ㄹ, which it loses before ㄴ: 산다 may be of 사다 or of 살다."""


class Conjugator:
    """Conjugates; each form is worked out once."""

    def __init__(self, irregulars: Irregulars) -> None:
        self._irregulars = irregulars

    def form(self, verb: str, ending: str, style: str = "plain") -> str:
        """`verb` (dictionary form) with an ending.

        Raises:
            ValueError: it is not a dictionary form, or the ending is not known.
        """
        stem = verb.removesuffix("다")
        if not stem or stem == verb:
            raise ValueError(f"{verb!r} is not the dictionary form of a verb")
        if ending.startswith("시"):
            return self._final(
                _with_tail_free(self._eu(verb, stem), "으시"), verb, ending[1:], style, honorific=True
            )
        if ending in ("다", "았다", "겠다", "을것", "자"):
            return self._final(stem, verb, ending, style, honorific=False)
        return self._connective(stem, verb, ending)

    def restyled(self, sentence: str, style: str) -> str:
        """A plain sentence (알을 낳는다) in another style (알을 낳아요, 알을 낳습니다)."""
        if style == "plain":
            return sentence
        head, space, last = sentence.rpartition(" ")
        stem = last.removesuffix("다")
        tail = decompose(stem[-1]).tail
        if tail in ("ㅆ", "ㅄ"):  # past, 있다, 없다
            return head + space + stem + ("어요" if style == "polite" else "습니다")
        if stem.endswith("는"):
            stem = stem[:-1]
        elif tail == "ㄴ":
            stem = _opened(stem)
            if _closed(stem, "ㄹ") + "다" in self._irregulars.rieul:
                stem = _closed(stem, "ㄹ")
        return head + space + self.form(stem + "다", "다", style)

    def _connective(self, stem: str, verb: str, ending: str) -> str:
        if ending in ("고", "지만", "기", "게", "지", "거나", "자마자", "도록", "던", "다가"):
            return stem + ending
        if ending.startswith("아"):
            return self.infinitive(verb) + ending[1:]
        if ending.startswith("았"):
            return _closed(self.infinitive(verb), "ㅆ") + ending[1:]
        if ending in ("는", "는데", "는지", "느라", "네"):
            if ending == "는데" and verb in self._irregulars.adjectives and stem[-1] not in "있없":
                return self._connective(stem, verb, "은") + "데"
            return _without_rieul(stem) + ending
        if ending in ("은", "을"):
            base = self._eu(verb, stem)
            tail = "ㄴ" if ending == "은" else "ㄹ"
            if not decompose(base[-1]).tail:
                return _closed(base, tail)
            if decompose(base[-1]).tail == "ㄹ" and not self._kind(verb):
                return _closed(_opened(base), tail)
            return base + ending
        if ending.startswith("으"):
            base = self._eu(verb, stem)
            if ending[1] in "시니":
                return _with_tail_free(base, ending)
            final = decompose(base[-1]).tail
            return base + (ending[1:] if not final or (final == "ㄹ" and not self._kind(verb)) else ending)
        raise ValueError(f"{ending!r} is not an ending that the grammar knows")

    def _final(self, stem: str, verb: str, ending: str, style: str, *, honorific: bool) -> str:
        adjective = verb in self._irregulars.adjectives
        infinitive = stem[:-1] + "셔" if honorific else self.infinitive(verb)
        if ending == "았다":
            return _closed(infinitive, "ㅆ") + {"plain": "다", "polite": "어요", "formal": "습니다"}[style]
        if ending == "겠다":
            return stem + "겠" + {"plain": "다", "polite": "어요", "formal": "습니다"}[style]
        if ending == "을것":
            future = _closed(stem, "ㄹ") if honorific else self._connective(stem, verb, "을")
            return future + {"plain": " 것이다", "polite": " 거예요", "formal": " 것입니다"}[style]
        if ending == "자":
            if style == "formal":
                base = _without_rieul(stem)
                return _closed(base, "ㅂ") + "시다" if not decompose(base[-1]).tail else base + "읍시다"
            return stem + "자" if style == "plain" else infinitive + "요"
        if style == "polite":
            if verb == "아니다" and not honorific:
                return "아니에요"
            return stem[:-1] + "세요" if honorific else infinitive + "요"
        base = _without_rieul(stem)
        open_stem = not decompose(base[-1]).tail
        if style == "formal":
            return _closed(base, "ㅂ") + "니다" if open_stem else stem + "습니다"
        if adjective:
            return stem + "다"
        return _closed(base, "ㄴ") + "다" if open_stem else stem + "는다"

    def infinitive(self, verb: str) -> str:
        """The form in 아 or 어 without more: 가, 먹어, 해, 도와, 들어, 불러, 써."""
        stem = verb.removesuffix("다")
        head, last = stem[:-1], decompose(stem[-1])
        kind = self._kind(verb)
        if last == ("ㅎ", "ㅏ", ""):
            return head + "해"
        if kind == "르":
            before = decompose(head[-1])
            vowel = "ㅏ" if before.vowel in _BRIGHT else "ㅓ"
            return head[:-1] + compose(before.lead, before.vowel, "ㄹ") + compose("ㄹ", vowel)
        if kind == "ㅂ":
            base = head + compose(last.lead, last.vowel)
            return base + ("와" if verb in ("돕다", "곱다") else "워")
        if kind == "ㅎ":
            return head + compose(last.lead, "ㅒ" if last.vowel == "ㅑ" else "ㅐ")
        if kind in ("ㄷ", "ㅅ"):
            base = head + compose(last.lead, last.vowel, "ㄹ" if kind == "ㄷ" else "")
            return base + ("아" if last.vowel in _BRIGHT else "어")
        if last.tail:
            return stem + ("아" if last.vowel in _BRIGHT else "어")
        if last.vowel == "ㅡ":
            bright = bool(head) and decompose(head[-1]).vowel in _BRIGHT
            return head + compose(last.lead, "ㅏ" if bright else "ㅓ")
        if last.vowel in _ABSORBED:
            return stem
        if last.vowel in _CONTRACTED and verb != "아니다":
            return head + compose(last.lead, _CONTRACTED[last.vowel])
        return stem + ("아" if last.vowel in _BRIGHT else "어")

    def _kind(self, verb: str) -> str:
        return self._irregulars.kinds.get(
            verb, "르" if verb.endswith("르다") and verb not in _EU_VERBS else ""
        )

    def _eu(self, verb: str, stem: str) -> str:
        """The stem before an ending that begins with 으."""
        kind = self._kind(verb)
        last = decompose(stem[-1])
        if kind == "ㅂ":
            return stem[:-1] + compose(last.lead, last.vowel) + "우"
        if kind == "ㄷ":
            return stem[:-1] + compose(last.lead, last.vowel, "ㄹ")
        if kind == "ㅎ":
            return stem[:-1] + compose(last.lead, last.vowel)
        if kind == "ㅅ":
            return stem[:-1] + compose(last.lead, last.vowel) + "으"
        return stem


_EU_VERBS = frozenset({"따르다", "치르다", "들르다", "잠그다"})


def _with_tail_free(base: str, ending: str) -> str:
    """An ending such as 으시 or 으니, before which ㄹ falls."""
    final = decompose(base[-1]).tail
    if final == "ㄹ":
        return _opened(base) + ending[1:]
    return base + (ending if final else ending[1:])


def _without_rieul(stem: str) -> str:
    return _opened(stem) if decompose(stem[-1]).tail == "ㄹ" else stem


def _opened(text: str) -> str:
    last = decompose(text[-1])
    return text[:-1] + compose(last.lead, last.vowel)


def _closed(text: str, tail: str) -> str:
    last = decompose(text[-1])
    return text[:-1] + compose(last.lead, last.vowel, tail)
