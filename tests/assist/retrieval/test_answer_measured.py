"""Citations and refusals on a real text, by words alone; with vectors they are better (docs/answers.md)."""

import os
import tomllib
from pathlib import Path

import pytest

from malmoi.assist.retrieval.answer import ground
from malmoi.assist.retrieval.citations import Source
from malmoi.assist.retrieval.matching import content_words, coverage, terms_of
from malmoi.assist.retrieval.support import Evidence

HERE = Path(__file__).parent
PIECE = 500  # characters


@pytest.fixture(scope="module")
def pieces() -> list[tuple[int, str]]:
    """The Constitution in pieces of whole lines, and where each begins."""
    data = os.environ.get("MALMOI_TEST_DATA")
    if not data or not (Path(data) / "constitution_ko").is_dir():
        pytest.skip("set MALMOI_TEST_DATA to a folder with constitution_ko/constitution.txt")
    text = (Path(data) / "constitution_ko" / "constitution.txt").read_text(encoding="utf-8")
    found: list[tuple[int, str]] = []
    piece, start, at = "", 0, 0
    for line in text.splitlines(keepends=True):
        if piece and len(piece) + len(line) > PIECE:
            found.append((start, piece))
            piece, start = "", at
        piece += line
        at += len(line)
    return [*found, (start, piece)]


def near(pieces: list[tuple[int, str]], query: str) -> list[Source]:
    """The eight pieces that have most words of a query."""
    asked = content_words(query)
    best = sorted(pieces, key=lambda piece: (-coverage(asked, terms_of(piece[1])), piece[0]))[:8]
    return [Source(number, "law", "헌법", "", text, start) for number, (start, text) in enumerate(best, 1)]


def table(name: str) -> list[dict[str, str]]:
    rows: dict[str, list[dict[str, str]]] = tomllib.loads((HERE / name).read_text(encoding="utf-8"))
    (rows_of,) = (value for key, value in rows.items() if key in ("claims", "questions"))
    return [row for row in rows_of if row["collection"] == "law"]


async def test_citations_are_right(pieces: list[tuple[int, str]]) -> None:
    kept = right = supported = made_up = 0
    for claim in table("claims_dev.toml"):
        if claim["sentence"].isascii():
            continue  # without vectors nothing is found across languages
        evidence = await Evidence.of(near(pieces, claim["sentence"]), None)
        found = await evidence.support(claim["sentence"])
        enough = found is not None and found.is_enough
        if "span" not in claim:
            made_up += enough
            continue
        supported += 1
        if enough:
            assert found is not None
            kept += 1
            right += claim["span"] in found.span.text
    assert right == kept  # never other words than those that say it
    assert kept / supported >= 0.55
    assert made_up <= 5  # of 17 sentences that are wrong in one word


async def test_questions_are_answered_or_refused(pieces: list[tuple[int, str]]) -> None:
    answered = answerable = refused = unanswerable = 0
    for row in table("answers_dev.toml"):
        if row["question"].isascii():
            continue
        grounding = await ground(row["question"], near(pieces, row["question"]))
        if "evidence" in row:
            answerable += 1
            answered += grounding.is_answerable
        else:
            unanswerable += 1
            refused += not grounding.is_certain
    assert answered / answerable >= 0.8
    assert refused / unanswerable >= 0.8
