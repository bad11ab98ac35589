"""Banks of interview questions: a file for each area of work, `banks/*.toml`."""

from functools import lru_cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from malmoi.assist.templates.template import Language, Localised
from malmoi.assist.templates.texts import names_in, read_table


class Question(BaseModel):
    """A question, what to ask when the answer is thin, and what a good answer shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    ko: str
    en: str
    follow_ko: str
    follow_en: str
    good_ko: str
    good_en: str

    def text(self, language: Language) -> str:
        """The question."""
        return self.ko if language == "ko" else self.en

    def follow(self, language: Language) -> str:
        """What to ask when the answer is thin."""
        return self.follow_ko if language == "ko" else self.follow_en

    def good(self, language: Language) -> str:
        """What a good answer shows."""
        return self.good_ko if language == "ko" else self.good_en


class Bank(BaseModel):
    """The questions of an area of work."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Localised
    questions: tuple[Question, ...]


@lru_cache
def load_bank(name: str) -> Bank:
    """A bank by the name of its file."""
    return Bank.model_validate(read_table("banks", f"{name}.toml"))


@lru_cache
def known_banks() -> tuple[str, ...]:
    """The names of the banks."""
    return tuple(names_in("banks", ".toml"))
