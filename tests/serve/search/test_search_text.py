"""Terms and snippets: pure functions over any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from malmoi.serve.search import (
    index_terms,
    make_snippet,
    parse_query,
    postgresql,
    query_parts,
    split_text,
    sqlite,
)
from malmoi.serve.search.terms import PART_LENGTH


@pytest.mark.parametrize(
    ("text", "query", "marked"),
    [
        ("카드결제가 안 돼요", "결제", ["결제"]),
        ("🎉🎉 축하합니다! 축하해요", "축하", ["축하", "축하"]),
        ("Café에서 CAFE까지", "cafe", ["Café", "CAFE"]),
        ("Gateway gate way", "gate", ["Gate", "gate"]),
        ("ﬁle ＡＢＣ", "file abc", ["ﬁle", "ＡＢＣ"]),
        ("결제결제", "결제", ["결제결제"]),
        ("아무것도 없다", "결제", []),
        ("", "결제", []),
    ],
)
def test_snippets_mark_what_was_searched(text: str, query: str, marked: list[str]) -> None:
    parts = query_parts(query)
    snippet = make_snippet(text, parse_query(parts, [()] * len(parts)))
    units = snippet.text.encode("utf-16-le")
    assert [units[2 * a : 2 * b].decode("utf-16-le") for a, b in snippet.ranges] == marked


def test_a_snippet_is_cut_around_the_first_match() -> None:
    text = "앞글자 " * 100 + "여기가 정답\n이다 " + "뒷글자 " * 100
    snippet = make_snippet(text, parse_query(["정답"], [()]))
    assert snippet.text.startswith("…앞글자")
    assert "여기가 정답 이다" in snippet.text
    assert snippet.text.endswith("…")
    assert len(snippet.text) <= 162
    (start, end) = snippet.ranges[0]
    assert snippet.text[start:end] == "정답"


def test_morphemes_are_marked_where_the_word_itself_does_not_stand() -> None:
    snippet = make_snippet("카드결제가 안 돼요", parse_query(["결제를"], [["결제"]]))
    assert [snippet.text[a:b] for a, b in snippet.ranges] == ["결제"]


@given(st.text(max_size=300))
def test_any_query_is_data_in_both_query_languages(query: str) -> None:
    parts = query_parts(query)
    words = parse_query(parts, [()] * len(parts))
    for expression in (sqlite.match_expression("acc", words), postgresql.match_expression("acc", words)):
        assert expression.count('"') % 2 == 0
        assert expression.count("'") % 2 == 0
    assert all(term.text.isalnum() for word in words for phrase in word.phrases for term in phrase)


@given(st.text(max_size=50), st.text(min_size=1, max_size=20))
def test_snippets_take_any_text(text: str, query: str) -> None:
    parts = query_parts(query)
    snippet = make_snippet(text, parse_query(parts, [()] * len(parts)))
    assert all(
        0 <= a < b <= len(snippet.text.encode("utf-16-le", "surrogatepass")) // 2 for a, b in snippet.ranges
    )


@given(st.text(alphabet=st.sampled_from("가나 a\n"), max_size=5 * 200))
def test_pieces_of_a_text_cover_it(text: str) -> None:
    whole = text * 20
    pieces = split_text(whole)
    assert "".join(whole[start : start + length] for start, length in pieces) == whole
    assert all(0 < length <= PART_LENGTH for _, length in pieces)


def test_index_terms_are_bounded() -> None:
    assert index_terms("b" * 1000) == ["b" * 64]
