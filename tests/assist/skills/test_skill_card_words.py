"""Values of a card in the person's language."""

import pytest

from malmoi.assist.skills.cards import cards_of
from malmoi.assist.skills.manifest import CardTemplate

TEMPLATE = CardTemplate.model_validate(
    {
        "kind": "place",
        "title": {"ko": "{name}", "en": "{name}"},
        "fields": [
            {
                "label": {"ko": "쉬는 날", "en": "Closed"},
                "value": "{closed}",
                "words": {"mon": {"ko": "월요일", "en": "Monday"}, "tue": {"ko": "화요일", "en": "Tuesday"}},
            },
            {
                "label": {"ko": "값", "en": "Price"},
                "value": {"ko": "{price}원", "en": "{price} won"},
            },
        ],
    }
)


@pytest.mark.parametrize(
    ("language", "fields"),
    [
        ("ko", (("쉬는 날", "월요일, 화요일, feast"), ("값", "1,000원"))),
        ("en", (("Closed", "Monday, Tuesday, feast"), ("Price", "1,000 won"))),
    ],
)
def test_values_have_words_by_language(language: str, fields: object) -> None:
    (card,) = cards_of(TEMPLATE, {"name": "궁", "closed": ["mon", "tue", "feast"], "price": 1000}, language)
    assert card.fields == fields


def test_a_line_without_its_value_is_left_out() -> None:
    (card,) = cards_of(TEMPLATE, {"name": "궁", "closed": []}, "ko")
    assert card.fields == ()
