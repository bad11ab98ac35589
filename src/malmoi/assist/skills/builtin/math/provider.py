"""Mathematics without a model: read, worked out and said by code."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from malmoi.assist.skills.builtin.described import DescribedProvider, described_operations
from malmoi.assist.skills.builtin.math.asked import read_query
from malmoi.assist.skills.builtin.refusals import SkillRefused
from malmoi.assist.skills.operation import CallContext, Card, Result
from malmoi.core.errors import InvalidInput
from malmoi.core.sandbox import Limits, SandboxFailed, run_async

_LIMITS = Limits(seconds=25.0, cpu_seconds=12, memory_bytes=1 << 30, output_bytes=1 << 20)


class MathProvider(DescribedProvider):
    """The operations of `operations.toml`, each in a child process of its own."""

    def __init__(self) -> None:
        names = [one.name for one in described_operations(__package__)]
        super().__init__(__package__, {name: partial(self._work, name) for name in names})

    def read_query(self, operation: str, query: str, now: datetime) -> Mapping[str, Any]:
        """The arguments that a sentence gives in so many words: formulas, points, quantities."""
        return read_query(operation, query)

    async def _work(self, operation: str, arguments: Mapping[str, Any], context: CallContext) -> Result:
        language = context.language
        try:
            told = {"operation": operation, "arguments": dict(arguments)}
            outcome = await run_async(f"{__package__}.work:work", told, limits=_LIMITS)
        except InvalidInput as error:
            key, word = getattr(error, "key", ""), getattr(error, "word", "")
            text = self._texts.say(language, f"refused_{key}", word=word) if key else error.message
            return Result(data={"error": error.message, "field": error.field}, text=text, is_error=True)
        except SandboxFailed as error:
            raise SkillRefused(error.reason if error.reason in ("timeout", "memory") else "other") from error
        return self._result(outcome.value, language)

    def _result(self, answer: dict[str, Any], language: str) -> Result:
        words = self._texts
        text = words.say(language, answer["say"], **self._named(answer["values"], language))
        remarks = [words.say(language, f"remark_{key}") for key in answer["remarks"]]
        fields = tuple(
            (words.say(language, f"step_{key}", **values), f"${values['latex']}$" if values["latex"] else "")
            for key, values in answer["steps"]
        )
        card = Card(
            kind="formula",
            title=text,
            subtitle=f"$${answer['latex']}$$" if answer["latex"] else "",
            fields=fields,
        )
        return Result(data=answer["data"], text=" ".join([text, *remarks]), cards=(card,))

    def _named(self, values: dict[str, Any], language: str) -> dict[str, Any]:
        """The values, with the names of shapes and measures in the caller's language."""
        named = dict(values)
        for key in ("shape", "find"):
            if key in values:
                named[key] = self._texts.say(language, f"{key}_{values[key]}")
        return named
