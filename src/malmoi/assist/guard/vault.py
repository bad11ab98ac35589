"""Personal data of one request, exchanged for placeholders such as `[전화번호_1]`, and back.

The same value has the same placeholder everywhere in the request. Only what a person wrote can come back:
what tools and documents brought stays covered. A placeholder that the request itself holds as text is never
used, so nobody can ask for somebody's data by writing its placeholder.
"""

import json
import re
from collections.abc import Collection

from malmoi.core.pii import REPLACEMENTS, find_pii

_PLACEHOLDER = re.compile(r"\[[가-힣A-Za-z]+_\d+\]")


class Vault:
    """What was covered in one request.

    Args:
        texts: all texts of the request, whose own placeholders are not used.
    """

    def __init__(self, texts: Collection[str] = ()) -> None:
        self._taken = {name for text in texts for name in _PLACEHOLDER.findall(text)}
        self._names: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self._own: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._names)

    @property
    def own(self) -> dict[str, str]:
        """Placeholder -> value, of what may come back."""
        return dict(self._own)

    def hide(self, text: str, kinds: frozenset[str], *, own: bool) -> str:
        """The text with placeholders in the place of personal data.

        Args:
            text: what a message says.
            kinds: which kinds are covered.
            own: whether it may come back in the answer.
        """
        parts: list[str] = []
        last = 0
        for finding in find_pii(text, kinds):
            value = text[finding.start : finding.end]
            name = self._name(finding.kind, value)
            if own:
                self._own[name] = value
            parts += [text[last : finding.start], name]
            last = finding.end
        return "".join([*parts, text[last:]])

    def restore(self, text: str) -> str:
        """The text with the person's own data back in it."""
        for name, value in self._own.items():
            text = text.replace(name, value)
        return text

    def restore_json(self, text: str) -> str:
        """The same for JSON: what is put back is written as JSON has it."""
        for name, value in self._own.items():
            written = json.dumps(value, ensure_ascii=False)[1:-1]
            text = text.replace(name, written).replace(json.dumps(name)[1:-1], written)
        return text

    def _name(self, kind: str, value: str) -> str:
        key = (kind, value)
        while key not in self._names:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            name = f"{REPLACEMENTS[kind][:-1]}_{self._counts[kind]}]"
            if name not in self._taken:
                self._names[key] = name
        return self._names[key]


class Restorer:
    """Puts data back into a text that is still growing; holds back what may become a placeholder."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._names = tuple(vault.own)
        self._longest = max((len(name) for name in self._names), default=0)
        self._held = ""

    def feed(self, piece: str) -> str:
        """Take a piece; what may leave now."""
        if not self._names:
            return piece
        text = self._held + piece
        keep = len(text)
        at = text.rfind("[", max(0, len(text) - self._longest + 1))
        if at >= 0 and any(name.startswith(text[at:]) and len(name) > len(text) - at for name in self._names):
            keep = at
        self._held = text[keep:]
        return self._vault.restore(text[:keep])

    def close(self) -> str:
        """The rest."""
        rest, self._held = self._held, ""
        return rest
