from dataclasses import dataclass, field

import pytest

from malmoi.core.errors import ContextOverflow, InvalidInput, Unsupported
from malmoi.core.types import Chat, Message
from malmoi.engine.base import Sampling
from malmoi.engine.llamacpp.prompts import PromptWriter
from malmoi.engine.templates import Rendered, Style

CHAT = Chat((Message("user", "?"),))


@dataclass(frozen=True)
class Fixed:
    segments: tuple[str, ...]
    name: str = "fixed"
    style: Style = "plain"
    sampling: Sampling = field(default_factory=Sampling)

    def render(self, chat: Chat, *, add_generation_prompt: bool = True) -> Rendered:
        return Rendered(self.segments)


async def tokenise(text: str, add_special: bool) -> tuple[int, ...]:
    return ((2,) if add_special else ()) + tuple(map(ord, text))


async def test_one_segment_is_sent_as_text() -> None:
    prepared = await PromptWriter("m", Fixed(("a", ""))).prepare(CHAT, tokenise)
    assert prepared.content == "a"
    assert prepared.rendered is not None


async def test_more_pieces_than_tokens_fit_are_refused_before_any_is_tokenised() -> None:
    async def never(text: str, add_special: bool) -> tuple[int, ...]:
        raise AssertionError(text)

    writer = PromptWriter("m", Fixed(("<", "|im_end|>") * 50), context_length=99)
    with pytest.raises(ContextOverflow):
        await writer.prepare(CHAT, never)


async def test_segments_are_tokenised_apart() -> None:
    writer = PromptWriter("m", Fixed(("<s>a<|im_", "end|>b")), bos_token="<s>", adds_bos=True)
    asked: list[tuple[str, bool]] = []

    async def remember(text: str, add_special: bool) -> tuple[int, ...]:
        asked.append((text, add_special))
        return await tokenise(text, add_special)

    prepared = await writer.prepare(CHAT, remember)
    assert asked == [("a<|im_", True), ("end|>b", False)]
    assert prepared.content == (2, *map(ord, "a<|im_end|>b"))


@pytest.mark.parametrize(("adds_bos", "text"), [(True, "a"), (False, "<s>a")])
async def test_one_start_token_and_no_second(adds_bos: bool, text: str) -> None:
    writer = PromptWriter("m", Fixed(("<s>a",)), bos_token="<s>", adds_bos=adds_bos)
    for prompt in (CHAT, "<s>a"):
        assert (await writer.prepare(prompt, tokenise)).content == text


async def test_ids_are_sent_as_they_are() -> None:
    assert (await PromptWriter("m").prepare((5, 6), tokenise)).content == (5, 6)


@pytest.mark.parametrize("prompt", ["", (), "a\ud800"])
async def test_what_is_no_prompt(prompt: str | tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput):
        await PromptWriter("m").prepare(prompt, tokenise)


async def test_nothing_can_be_continued_where_the_start_token_is_added() -> None:
    assert (await PromptWriter("m", bos_token="<s>", adds_bos=True).prepare("", tokenise)).content == ""


async def test_a_base_model_has_no_chat() -> None:
    with pytest.raises(Unsupported, match="no chat template"):
        await PromptWriter("m").prepare(CHAT, tokenise)
