"""The words of the interface: both languages say the same things, and nothing is said that has no words."""

import json
import re
from pathlib import Path

import pytest

import malmoi

WEB = Path(malmoi.__file__).parent / "web"
SOURCES = {path: path.read_text(encoding="utf-8") for path in WEB.glob("*/*.js")}
ASKED = re.compile(r"\bt\(\s*(['`])([^'`]+)\1")
# Keys that are put together in the code, as patterns of whole keys.
NAMED = re.compile(r"'((?:message|model)\.[a-z_]+)'")


def catalogue(language: str) -> dict[str, str]:
    return json.loads((WEB / "locale" / f"{language}.json").read_text(encoding="utf-8"))


def asked() -> tuple[set[str], list[re.Pattern[str]]]:
    plain: set[str] = set()
    patterns: set[str] = set()
    for text in SOURCES.values():
        for _, key in ASKED.findall(text):
            if "${" in key:
                patterns.add("^" + re.sub(r"\\\$\\\{[^}]*\\\}", r"[a-z_]+", re.escape(key)) + "$")
            else:
                plain.add(key)
        plain.update(NAMED.findall(text))
    return plain, [re.compile(pattern) for pattern in patterns]


def test_both_languages_have_the_same_keys() -> None:
    assert catalogue("ko").keys() == catalogue("en").keys()


def test_every_key_that_is_asked_for_has_words() -> None:
    plain, patterns = asked()
    known = catalogue("ko").keys()
    assert plain - known == set()
    for pattern in patterns:
        assert any(pattern.match(key) for key in known), pattern.pattern


def test_no_words_are_left_over() -> None:
    plain, patterns = asked()
    left = {key for key in catalogue("ko").keys() - plain if not any(p.match(key) for p in patterns)}
    assert left == set()


@pytest.mark.parametrize("language", ["ko", "en"])
def test_no_words_are_empty(language: str) -> None:
    assert all(text.strip() for text in catalogue(language).values())


def test_both_languages_fill_the_same_places() -> None:
    korean, english = catalogue("ko"), catalogue("en")
    for key in korean:
        used = [set(re.findall(r"\{(\w+)\}", words[key])) for words in (korean, english)]
        assert used[0] == used[1], key


def test_korean_is_korean_and_english_is_not() -> None:
    hangul = re.compile(r"[가-힣]")
    same = {"general.send_ctrl", "general.send_enter"}
    assert [key for key, text in catalogue("ko").items() if key not in same and not hangul.search(text)] == []
    assert [key for key, text in catalogue("en").items() if hangul.search(text)] == []
