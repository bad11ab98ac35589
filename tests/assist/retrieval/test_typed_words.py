"""Words as a person types them, and better queries made of them."""

import pytest

from malmoi.assist.retrieval.answer import ground
from malmoi.assist.retrieval.citations import Source
from malmoi.assist.retrieval.wording import typed_words
from vectors_of_pairs import embed_pairs

RULES = Source(
    1,
    "doc_rules",
    "취업규칙",
    "",
    "제12조 연차 휴가는 입사 1년이 지나면 15일이 생긴다.\n연차 휴가는 3년이 지날 때마다 하루씩 늘어난다.\n"
    "휴가 신청서는 부서장에게 낸다.\n재택근무는 한 주에 2일까지 할 수 있다.",
    headings=("제3장 휴가",),
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("입사 1년이 지나면 연차 휴가가 며칠 생기나요?", ["입사", "1년", "연차", "휴가", "며칠"]),
        ("연차는 몇 년이 지나야 생겨?", ["연차"]),
        ("재택근무는 한 주에 2일까지 할 수 있다.", ["재택근무", "2일"]),
        ("3년이 지날 때마다 늘어난다", ["3년"]),
        ("보안 카드를 잃어버렸을 때 어떻게 하나요?", ["보안", "카드"]),
        ("가을 마을 축제는 어디서 열리나요", ["가을", "마을", "축제"]),
        ("API를 3.11 버전에서 쓰려면?", ["API", "3.11", "버전"]),
        ("② 사용자는 출근한 근로자에게", ["사용자", "출근", "근로자"]),
        ("How do I ask for days of leave?", ["ask", "days", "leave"]),
        ("", []),
    ],
)
def test_words_name_something_and_keep_their_order(text: str, told: list[str]) -> None:
    assert typed_words(text) == told


def test_numbers_can_be_left_out() -> None:
    assert typed_words("입사 1년이 지나면 15일", counts=False) == ["입사"]


@pytest.mark.parametrize("embed", [None, embed_pairs], ids=["words", "vectors"])
async def test_better_queries_read_as_people_type_them(embed: object) -> None:
    grounding = await ground("연차 휴가는 왜 필요한가요?", [RULES], embed=embed)  # type: ignore[arg-type]
    assert "연차 휴가 입사" in grounding.suggestions
    endings = ("년이", "주에", "지날", "지나면", "생긴다")
    assert not any(word in endings for query in grounding.suggestions for word in query.split())
