"""Keep the text of users, tools and documents from becoming control tokens.

A tokeniser that reads `<|im_end|>` as a control token does so wherever the text stands, so a user could end a
turn and begin another. Before a template runs, every marker inside content gets a `CUT` after its first
character; after it ran, the prompt is cut there into segments that are tokenised apart. The template sees,
and the model reads, the same characters as ever, only never the control token.

What no single text holds can still grow together: where two texts meet (`<|im_` and `end|>`), after a `trim`,
or where the template deletes something. There a `JOINT` is put, and becomes a cut only if a marker really
spans it.

Both marks are Unicode noncharacters, which no text may hold for interchange; they are removed from content
first.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

CUT = "\ufdd0"
JOINT = "\ufdd1"

# Token types of GGUF vocabularies (llama.cpp, `llama_token_type`).
UNKNOWN, CONTROL, USER_DEFINED = 2, 3, 4

_MARKS = str.maketrans("", "", CUT + JOINT)
# What formats text rather than structuring a conversation. `<s>` and `<u>` are HTML here; where `<s>` starts
# a text
# it is a control token, and those always count.
_HTML_TAG = re.compile(
    r"</?(?:h[1-6r]|[abipqsu]|abbr|address|article|aside|audio|bbox|blockquote|body|br|button|canvas|caption|center"
    r"|cite|code|col|dd|del|details|div|dl|dt|em|embed|fieldset|figcaption|figure|font|footer|form|head|header|html"
    r"|iframe|img|input|ins|kbd|label|legend|li|link|main|mark|math|meta|nav|object|ol|option|pre|samp|script|section"
    r"|select|small|source|span|strike|strong|style|sub|summary|sup|svg|table|tbody|td|textarea|tfoot|th|thead|time"
    r"|title|tr|tt|ul|var|video)/?>"
)
_MARKER_SHAPE = re.compile(r"<[^\s<>]{1,126}>|\[/?[^\s\[\]]{1,126}\]")
# Role and block markers that templates write themselves, in a vocabulary or not.
_TEMPLATE_MARKER = re.compile(
    r"<\|[^\s<>|]{1,64}\|>|<｜[^\s<>｜]{1,64}｜>|</?(?:start|end)_of_[a-z]+>|\[/?[A-Z][A-Z_]{1,30}\]"
    r"|</?(?:think|tools?|tool_[a-z]+|arg_[a-z]+|function_[a-z]+)>"
)


def forging_tokens(tokens: Sequence[str], types: Sequence[int]) -> frozenset[str]:
    """The tokens of a vocabulary whose text could forge structure.

    These are all control and unknown tokens, and the user-defined ones that look like a marker: `<...>` or
    `[...]` without blanks, such as `<tool_call>`, `<|fim_prefix|>` or `<start_of_image>`. User-defined tokens
    that only format text are left alone, since a document full of them would be cut into crumbs for nothing:
    runs of blanks and line ends, and the HTML tags (`<table>`, `</td>`) that Gemma 3 keeps in its vocabulary.

    Args:
        tokens: the text of each token.
        types: its type, numbered as in GGUF (2 unknown, 3 control, 4 user-defined).
    """
    found: set[str] = set()
    for token, kind in zip(tokens, types, strict=True):
        if len(token) < 2:
            continue
        if kind in (CONTROL, UNKNOWN) or (
            kind == USER_DEFINED and _MARKER_SHAPE.fullmatch(token) and not _HTML_TAG.fullmatch(token)
        ):
            found.add(token)
    return frozenset(found)


def template_markers(literals: Collection[str]) -> frozenset[str]:
    """The markers in what a template writes itself: they structure a prompt, single tokens or not."""
    return frozenset(found for literal in literals for found in _TEMPLATE_MARKER.findall(literal))


class Neutraliser:
    """Finds markers in content, in one pass over it.

    Case is ignored, since a template may change it. A marker of one character cannot be cut and is ignored.

    Args:
        markers: the texts that content must not become.
    """

    def __init__(self, markers: Collection[str]) -> None:
        self._markers = frozenset(marker.lower() for marker in markers if len(marker) > 1)
        self._longest = max(map(len, self._markers), default=0)
        self._listed = "\0" + "\0".join(sorted(self._markers)) + "\0"
        lengths: dict[str, set[int]] = {}
        for marker in self._markers:
            lengths.setdefault(marker[:2], set()).add(len(marker))
        # Longest first: `find` reports the longest marker that begins at a place.
        self._lengths = {start: sorted(sizes, reverse=True) for start, sizes in lengths.items()}
        self._firsts = _any_of(marker[0] for marker in self._markers)
        self._lasts = _any_of(marker[-1] for marker in self._markers)

    def find(self, text: str) -> list[tuple[int, int]]:
        """`(start, end)` of the longest marker at every place where one begins; they may overlap."""
        found: list[tuple[int, int]] = []
        for first in self._firsts.finditer(text):
            start = first.start()
            for length in self._lengths.get(text[start : start + 2].lower(), ()):
                if text[start : start + length].lower() in self._markers:
                    found.append((start, start + length))
                    break
        return found

    def guard(self, text: str, *, joints: bool = False) -> str:
        """`text` with a cut in every marker; with `joints`, also a joint where it could be part of one."""
        text = text.translate(_MARKS)
        cuts = {start + 1: CUT for start, _ in self.find(text)}
        if joints and self._markers:
            for place in self._edges(text):
                cuts.setdefault(place, JOINT)
        if not cuts:
            return text
        pieces: list[str] = []
        last = 0
        for place in sorted(cuts):
            pieces += (text[last:place], cuts[place])
            last = place
        pieces.append(text[last:])
        return "".join(pieces)

    def guard_value(self, value: Any) -> Any:
        """A JSON value with every text in it guarded, names too."""
        if isinstance(value, str):
            return self.guard(value)
        if isinstance(value, Mapping):
            return {self.guard(str(name)): self.guard_value(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.guard_value(item) for item in value]
        return value

    def segments(self, prompt: str) -> tuple[str, ...]:
        """A rendered prompt without marks, cut where a marker came from content."""
        found: list[str] = []
        for part in prompt.split(CUT):
            if JOINT in part:
                found.extend(self._split_at_joints(part))
            else:
                found.append(part)
        return tuple(part for part in found if part)

    def _split_at_joints(self, part: str) -> list[str]:
        pieces = part.split(JOINT)
        text = "".join(pieces)
        joints: list[int] = []
        place = 0
        for piece in pieces[:-1]:
            place += len(piece)
            joints.append(place)
        cuts: set[int] = set()
        spans = self.find(text)
        position = 0
        for start, end in spans:  # in order of their starts, so the joints need one pass only
            while position < len(joints) and joints[position] <= start:
                position += 1
            if position < len(joints) and joints[position] < end:
                cuts.add(joints[position])
        bounds = [0, *sorted(cuts), len(text)]
        return [text[a:b] for a, b in pairwise(bounds)]

    def _edges(self, text: str) -> list[int]:
        """Places near the ends where a marker of the neighbourhood could reach into `text`, blanks aside."""
        end = len(text.rstrip())
        start = len(text) - len(text.lstrip())
        if end <= start:
            return []
        places: list[int] = []
        head = text[start : min(end, start + self._longest)].lower()
        reaches = len(head) < self._longest and head in self._listed and end - start == len(head)
        if reaches or any(head[: last.end()] + "\0" in self._listed for last in self._lasts.finditer(head)):
            places.append(start)
        tail_start = max(start, end - self._longest)
        tail = text[tail_start:end].lower()
        if any("\0" + tail[first.start() :] in self._listed for first in self._firsts.finditer(tail)):
            places.append(end)
        return places


def _any_of(characters: Iterable[str]) -> re.Pattern[str]:
    """A pattern for any of the characters in either case; matches nothing when there are none."""
    both = {
        case for character in characters for case in (character.lower(), character.upper()) if len(case) == 1
    }
    return re.compile("[" + "".join(map(re.escape, sorted(both))) + "]") if both else re.compile(r"(?!)")
