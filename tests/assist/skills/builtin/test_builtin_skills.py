"""All built-in skills: manifests that load, examples that fit, and texts in both languages."""

import tomllib
from collections import Counter
from datetime import UTC, datetime

import pytest

pytest.importorskip("sympy")
pytest.importorskip("holidays")
pytest.importorskip("icalendar")

from malmoi.assist.egress import Egress
from malmoi.assist.skills.builtin import builtin_manifests
from malmoi.assist.skills.found import builtin_skills
from malmoi.assist.skills.loading import check_arguments, open_skill, title_of
from malmoi.assist.skills.operation import CallContext
from malmoi.core.errors import UnknownName

NAMES = ["calendar", "cars", "code", "holidays", "mail", "math", "table", "travel", "weather"]
WRITES = {
    "calendar": {"create_event", "move_event", "cancel_event"},
    "cars": {"book_car", "change_booking", "cancel_booking"},
    "mail": {"send_mail"},
}


def skill(name):
    return next(one for one in builtin_skills() if one.name == name)


def test_comes_with_these_skills_each_of_its_own_domain():
    skills = builtin_skills()
    assert [one.name for one in skills] == NAMES
    assert [path.parent.name for path in builtin_manifests()] == NAMES
    assert len({one.manifest.domain for one in skills}) == len(skills)
    for one in skills:
        assert set(one.manifest.people) == {"ko", "en"}
        assert all(len(text.name) <= 20 for text in one.manifest.people.values())


@pytest.mark.parametrize("name", NAMES)
async def test_has_operations_titles_effects_and_examples(name):
    loaded = await open_skill(skill(name), egress=Egress())
    try:
        counts = Counter({operation.name: 0 for operation in loaded.operations})
        for operation in loaded.operations:
            assert {title_of(operation, "ko"), title_of(operation, "en")} != {operation.name}
            assert operation.description
            assert operation.parameters["additionalProperties"] is False
            for schema in operation.parameters["properties"].values():
                assert set(schema["x-malmoi-title"]) == {"ko", "en"}, schema
        assert {one.name for one in loaded.operations if one.effect == "write"} == WRITES.get(name, set())
        for example in loaded.skill.manifest.examples:
            assert example.operation is not None
            if example.arguments is not None:  # some show only what a query is for
                check_arguments(loaded.operation(example.operation), example.arguments)
            counts[example.operation] += 1
        assert min(counts.values()) >= 8
    finally:
        await loaded.close()


@pytest.mark.parametrize("name", ["calendar", "code", "holidays", "mail", "math", "table"])
async def test_carries_out_what_is_described_and_nothing_else(name):
    context = CallContext("mina", "ko", datetime(2026, 11, 22, tzinfo=UTC))
    loaded = await open_skill(skill(name), egress=Egress())
    try:
        with pytest.raises(UnknownName) as caught:
            await loaded.provider.call("close", {}, context)
        assert caught.value.known == sorted(one.name for one in loaded.operations)
    finally:
        await loaded.close()


@pytest.mark.parametrize("name", NAMES)
def test_says_everything_in_both_languages(name):
    texts = skill(name).folder / "texts.toml"
    if not texts.is_file():
        return
    told = tomllib.loads(texts.read_text("utf-8"))
    assert told["ko"].keys() == told["en"].keys()
    assert not any("가" <= sign <= "힣" for text in told["en"].values() for sign in text)


def test_has_no_example_twice():
    queries = Counter(example.query for one in builtin_skills() for example in one.manifest.examples)
    assert [query for query, count in queries.items() if count > 1] == []
