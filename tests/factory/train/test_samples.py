from typing import Any

import pytest
import torch

from malmoi.factory.train.samples import Sample, continue_ids, render_samples, write_samples


class Letters:
    """A tokenizer of lower-case letters; 0 ends a text."""

    eot_id = 0

    def encode(self, text: str) -> list[int]:
        return [ord(char) - 96 for char in text]

    def decode(self, ids: list[int]) -> str:
        return "".join(chr(96 + number) for number in ids)


@pytest.fixture
def model() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=27,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=24,
    )
    model = LlamaForCausalLM(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


def without_cache(model: Any, begin: list[int], length: int) -> list[int]:
    ids = list(begin)
    for _ in range(length):
        logits = model(input_ids=torch.tensor([ids])).logits[0, -1]
        ids.append(int(logits.argmax()))
    return ids[len(begin) :]


def test_the_cache_changes_nothing(model: Any) -> None:
    begin = [0, 3, 1, 20]
    expected = without_cache(model, begin, 12)
    assert 0 not in expected, "the test needs a text that goes on"

    assert continue_ids(model, begin, 12, 0.0, 1, torch.Generator(), eot_id=0) == expected


def test_a_text_ends_with_its_end(model: Any) -> None:
    begin = [0, 3, 1, 20]
    expected = without_cache(model, begin, 12)
    end = expected[4]

    got = continue_ids(model, begin, 12, 0.0, 1, torch.Generator(), eot_id=end)

    assert got == expected[: expected.index(end)]


def test_samples_come_from_their_seed_and_leave_other_random_numbers_alone(model: Any) -> None:
    model.train()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)

    first = write_samples(model, Letters(), ["abc", "", "abc"], max_tokens=8, temperature=1.0, seed=1)  # type: ignore[arg-type]
    assert torch.equal(torch.rand(3), expected)
    again = write_samples(model, Letters(), ["abc"], max_tokens=8, temperature=1.0, seed=1)  # type: ignore[arg-type]
    other = write_samples(model, Letters(), ["abc"], max_tokens=8, temperature=1.0, seed=2)  # type: ignore[arg-type]

    assert first[0] == first[2] == again[0]
    assert other != again
    assert model.training


def test_a_prompt_longer_than_the_context_still_has_a_continuation(model: Any) -> None:
    (sample,) = write_samples(model, Letters(), ["abcdefgh" * 9], max_tokens=8)  # type: ignore[arg-type]

    assert len(sample.continuation) <= 1


def test_samples_are_told_on_one_line_each() -> None:
    assert (
        render_samples([Sample("비가", "온다\n\n  그리고"), Sample("a", "b")]) == "비가 → 온다 그리고\na → b"
    )
