"""Refusals of built-in skills: understood, not done, and said in the caller's language."""

from typing import Any

from malmoi.assist.skills.builtin.texts import Texts
from malmoi.assist.skills.operation import Result


class SkillRefused(Exception):
    """What a skill does not do; `key` names the sentence `refused_<key>` of its `texts.toml`."""

    def __init__(self, key: str, **values: Any) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


def refusal(error: SkillRefused, texts: Texts, language: str) -> Result:
    """The result that says a refusal: to the model in English, to people in their language."""
    key = f"refused_{error.key}"
    said = texts.say(language, key, **error.values)
    return Result(data={"error": texts.say("en", key, **error.values)}, text=said, is_error=True)
