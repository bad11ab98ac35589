"""What built-in skills say to people: templates in a file beside the provider, by language and key.

A template is Jinja over plain text. `{{ name|josa("을/를") }}` puts the Korean particle that fits behind a
word, `{{ name|particle("을/를") }}` gives the particle alone, `{{ number|commas }}` sets digits apart by
thousands.
"""

import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from malmoi.core.hangul import particle, with_particle

if TYPE_CHECKING:
    from jinja2 import Environment

TEXTS = "texts.toml"


class Texts:
    """The sentences of one skill.

    Args:
        package: the package that has `texts.toml`, with a table for each language.
    """

    def __init__(self, package: str) -> None:
        told = tomllib.loads(files(package).joinpath(TEXTS).read_text(encoding="utf-8"))
        self._by_language: dict[str, dict[str, str]] = told
        self._environment = _environment()

    def say(self, language: str, key: str, **values: Any) -> str:
        """The sentence of this key in this language.

        Raises:
            KeyError: there is no such key: a fault of the skill.
        """
        template = self._environment.from_string(self._by_language[language][key])
        return " ".join(template.render(values).split(" ")).strip()

    def has(self, language: str, key: str) -> bool:
        """Whether there is such a sentence."""
        return key in self._by_language[language]


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    from jinja2 import Environment, StrictUndefined

    # Plain text for plain-text cards: the page escapes what it shows, so nothing is escaped here.
    environment = Environment(autoescape=False, undefined=StrictUndefined, trim_blocks=True)  # noqa: S701
    environment.filters["josa"] = with_particle
    environment.filters["particle"] = particle
    environment.filters["commas"] = commas
    return environment


def commas(number: Any) -> str:
    """A number with its digits set apart by thousands; any other text as it is."""
    text = str(number)
    whole, dot, rest = text.partition(".")
    digits = whole.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        return text
    return f"{int(whole):,}{dot}{rest}" if int(whole) or not whole.startswith("-") else text
