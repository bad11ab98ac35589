"""Keys are taken out of everything that leaves a call, even where a foreign server has said them back."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, quote_plus

from malmoi.assist.skills.operation import Result

HIDDEN = "***"
_SHORTEST = 4  # shorter values stand in too many places
_DEPTH = 60


class Redaction:
    """Takes the values of a caller's credentials out of texts and values.

    Args:
        secrets: values; as they are, as addresses write them, and in Base64.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms: set[str] = set()
        for secret in secrets:
            if len(secret) >= _SHORTEST:
                coded = base64.b64encode(secret.encode()).decode()
                forms |= {secret, quote(secret, safe=""), quote_plus(secret), coded, coded.rstrip("=")}
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without secrets."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        return text

    def value(self, value: Any, depth: int = 0) -> Any:
        """A plain value without secrets, keys included."""
        if not self._forms:
            return value
        if depth > _DEPTH:
            return HIDDEN
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(one, depth + 1) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(one, depth + 1) for one in value]
        return value

    def result(self, result: Result) -> Result:
        """A result without secrets. Files are left as they are: they go to the caller alone."""
        if not self._forms:
            return result
        cards = tuple(
            replace(
                card,
                title=self.text(card.title),
                subtitle=self.text(card.subtitle),
                fields=tuple((self.text(label), self.text(text)) for label, text in card.fields),
                rows=tuple(tuple(self.text(cell) for cell in row) for row in card.rows),
                actions=tuple(replace(one, arguments=self.value(one.arguments)) for one in card.actions),
            )
            for card in result.cards
        )
        exchanges = tuple(
            replace(one, url=self.text(one.url), body=self.text(one.body), response=self.text(one.response))
            for one in result.exchanges
        )
        return replace(
            result,
            data=self.value(result.data),
            text=self.text(result.text),
            cards=cards,
            exchanges=exchanges,
        )


def secret_values(credentials: Mapping[str, str], needs: Mapping[str, Any]) -> list[str]:
    """The credentials that must not be seen; for basic authentication the pair as well, as it is sent."""
    values = [
        value
        for name, value in credentials.items()
        if name not in needs or getattr(needs[name], "secret", True)
    ]
    if {"username", "password"} <= set(credentials):
        values.append(f"{credentials['username']}:{credentials['password']}")
    return values
