"""Infilling: nothing is lost, nothing is torn, and as much is rearranged as was asked."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packed_tokens import write_tokenizer, write_tokens

from malmoi.core.errors import InvalidInput
from malmoi.core.hangul import nfc
from malmoi.factory.corpus.fim import FimSettings, Infilling, split_text
from malmoi.factory.corpus.tokens import TokenMixture
from malmoi.factory.corpus.tokens_order import Draws
from malmoi.factory.tokenizer.special_tokens import FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX
from malmoi.factory.tokenizer.tokenizer import Tokenizer

TEXT = "말모이는 우리말을 모은 사전이다. 비가 오는 날에는 책을 읽자. the river runs 🌧 "


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer.load(write_tokenizer(tmp_path_factory.mktemp("tokenizer")))


def sentinels(tokenizer: Tokenizer) -> set[int]:
    return {tokenizer.special[name] for name in (FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE)}


def test_layouts(tokenizer: Tokenizer) -> None:
    infilling = Infilling(FimSettings(), tokenizer)
    pre, suf, mid = (tokenizer.special[name] for name in (FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE))
    parts = split_text("가나다라마바사", "thirds", Draws(0))
    assert parts == ("가나", "다라", "마바사")
    p, m, s = (tokenizer.encode(part) for part in parts)
    eot = tokenizer.eot_id
    assert infilling.infill(parts, suffix_first=False) == [pre, *p, suf, *s, mid, *m, eot]
    assert infilling.infill(parts, suffix_first=True) == [pre, suf, *s, mid, *p, *m, eot]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=60).map(nfc), min_size=1, max_size=4),
    st.sampled_from(["thirds", "random"]),
    st.integers(0, 2**32),
)
def test_restoring_gives_back_any_text(tokenizer: Tokenizer, texts: list[str], split: Any, key: int) -> None:
    infilling = Infilling(FimSettings(fim_rate=1, split=split), tokenizer)
    ids = [number for text in texts for number in (*tokenizer.encode(text), tokenizer.eot_id)]
    room = np.array(ids + [tokenizer.eot_id] * (8 * len(ids) + 40))  # room for sentinels and torn tokens
    documents = infilling.restore(infilling.rearrange(room, Draws(key)))
    assert documents[: len(texts)] == [text.encode() for text in texts]


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 60),
    st.integers(30, 70),
    st.sampled_from(["thirds", "random"]),
    st.integers(0, 2**32),
)
def test_parts_of_a_window_are_whole_characters(
    tokenizer: Tokenizer, start: int, length: int, split: Any, key: int
) -> None:
    infilling = Infilling(FimSettings(fim_rate=1, spm_rate=0.5, split=split), tokenizer)
    stream = np.array(tokenizer.encode(TEXT * 4))
    window = stream[start : start + length]
    out = infilling.rearrange(window, Draws(key))
    assert len(out) == length
    assert tokenizer.special[FIM_PREFIX] in out
    first = out.index(tokenizer.special[FIM_PREFIX])
    end = out.index(tokenizer.eot_id)
    torn = b"".join(map(tokenizer.token_bytes, out[:first]))
    assert all(0x80 <= byte < 0xC0 for byte in torn[:1])
    part: list[int] = []
    for number in [*out[first + 1 : end], tokenizer.eot_id]:
        if number in sentinels(tokenizer) or number == tokenizer.eot_id:
            b"".join(map(tokenizer.token_bytes, part)).decode("utf-8", errors="strict")
            part = []
        else:
            part.append(number)
    # What the window said is still said, from its first byte on; only its end gives way to the sentinels.
    said = b"".join(map(tokenizer.token_bytes, window.tolist()))
    assert said.startswith(b"".join(infilling.restore(out)))


def test_rate_zero_and_documents_not_chosen_are_left_as_they_are(tokenizer: Tokenizer) -> None:
    ids = np.array([*tokenizer.encode(TEXT), tokenizer.eot_id, *tokenizer.encode(TEXT)])
    assert Infilling(FimSettings(fim_rate=0), tokenizer).rearrange(ids, Draws(1)) == ids.tolist()
    infilling = Infilling(FimSettings(fim_rate=1), tokenizer)
    short = np.array([*tokenizer.encode("짧다"), tokenizer.eot_id])
    assert infilling.rearrange(short, Draws(1)) == short.tolist()
    torn = np.array(list(range(len(tokenizer.special), 380)))  # bytes that are no text
    assert infilling.rearrange(torn, Draws(1)) == torn.tolist()


def test_rates_are_honoured(tokenizer: Tokenizer) -> None:
    infilling = Infilling(FimSettings(fim_rate=0.3, spm_rate=0.75), tokenizer)
    pre, suf = tokenizer.special[FIM_PREFIX], tokenizer.special[FIM_SUFFIX]
    text = tokenizer.encode("책을 읽자. 책을 읽자.")
    window = np.array([*text, tokenizer.eot_id] * 6)
    chosen = suffix_first = 0
    for key in range(500):
        out = infilling.rearrange(np.concatenate([window, np.full(40, tokenizer.eot_id)]), Draws(key * 7919))
        places = [place for place, number in enumerate(out) if number == pre]
        chosen += len(places)
        suffix_first += sum(out[place + 1] == suf for place in places)
    assert abs(chosen / 3000 - 0.3) < 4 * (0.21 / 3000) ** 0.5
    assert abs(suffix_first / chosen - 0.75) < 4 * (0.1875 / chosen) ** 0.5


def test_a_middle_keeps_its_end_when_the_window_cuts_the_document(tokenizer: Tokenizer) -> None:
    infilling = Infilling(FimSettings(fim_rate=1), tokenizer)
    window = np.array(tokenizer.encode(TEXT * 3)[:64])
    for key in range(30):
        out = infilling.rearrange(window, Draws(key))
        assert len(out) == 64
        assert out.index(tokenizer.special[FIM_MIDDLE]) < out.index(tokenizer.eot_id)


def test_mixtures_infill_the_groups_that_are_asked(tokenizer: Tokenizer, tmp_path: Path) -> None:
    documents = [tokenizer.encode(TEXT * 2) for _ in range(12)]
    tokens = write_tokens(tmp_path, {"web": documents, "code": documents}, vocab_size=tokenizer.vocab_size)
    mixture = TokenMixture(
        tokens, context_length=96, seed=5, fim=FimSettings(fim_rate=1, groups=("code",)), tokenizer=tokenizer
    )
    plain = TokenMixture(tokens, context_length=96, seed=5)
    for number in range(20):
        sequence = mixture.sequence(number)
        assert len(sequence.ids) == 97
        marked = sentinels(tokenizer) & set(sequence.ids.tolist())
        assert bool(marked) == (sequence.source == "code")
        if not marked:
            assert sequence.ids.tolist() == plain.sequence(number).ids.tolist()
    again = TokenMixture(
        tokens, context_length=96, seed=5, fim=FimSettings(fim_rate=1, groups=("code",)), tokenizer=tokenizer
    )
    assert again.batch(range(7, 9)).labels.tolist() == mixture.batch(range(5, 9)).labels[2:].tolist()


def test_padding_is_no_target(tokenizer: Tokenizer, tmp_path: Path) -> None:
    # One token a byte, where the tokenizer itself would take whole syllables: encoding anew makes it shorter.
    single = [tokenizer.encode(chr(number))[0] for number in range(97, 123)]
    alone = {tokenizer.token_bytes(number): number for number in range(tokenizer.vocab_size)}
    spelled = [alone[bytes([byte])] for byte in TEXT.encode()]
    assert len(single) == 26
    tokens = write_tokens(tmp_path, {"web": [spelled]}, vocab_size=tokenizer.vocab_size)
    mixture = TokenMixture(
        tokens, context_length=len(spelled), seed=5, fim=FimSettings(fim_rate=1), tokenizer=tokenizer
    )
    sequence = mixture.sequence(0)
    batch = mixture.batch(range(1))
    assert sequence.num_tokens < len(sequence.ids)
    assert batch.num_targets == sequence.num_tokens - 1
    assert batch.labels[0, sequence.num_tokens - 1 :].unique().tolist() == [-100]


def test_a_tokenizer_without_sentinels_is_refused(tokenizer: Tokenizer) -> None:
    class Bare:
        eot_id = 0
        special: ClassVar = {"<|endoftext|>": 0}
        encode = tokenizer.encode
        token_bytes = tokenizer.token_bytes

    with pytest.raises(InvalidInput, match=r"no <\|fim_prefix\|>"):
        Infilling(FimSettings(), Bare())
