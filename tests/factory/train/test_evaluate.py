import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from malmoi.factory.corpus.tokens_files import TokenSet, load_tokens
from malmoi.factory.train.batch import Batch
from malmoi.factory.train.evaluate import ALL, bits_per_byte, figures
from malmoi.factory.train.loss import language_model_loss

VOCAB = 50
EOT = 0

Documents = Sequence[tuple[Sequence[int], int]]
"""Ids and bytes of each document."""

TEXTS: dict[tuple[str, str], Documents] = {
    ("news", "ko"): [([3, 4, 5, 6, 7], 12), ([8, 9], 5), ([10] * 17, 40)],
    ("web", "ko"): [([11, 12, 13], 9)],
    ("books", "en"): [([20, 21, 22, 23], 4), ([24, 25, 26], 3)],
}


def write(folder: Path, sources: Mapping[tuple[str, str], Documents]) -> TokenSet:
    records = []
    (folder / "validation").mkdir(parents=True)
    for (name, language), documents in sources.items():
        ids = [number for one, _ in documents for number in (*one, EOT)]
        sizes = np.array([size for _, size in documents], dtype=np.uint32)
        np.array(ids, dtype="<u2").tofile(folder / "validation" / f"{name}.bin")
        offsets = np.cumsum([0, *(len(one) + 1 for one, _ in documents)]).astype(np.uint64)
        np.save(folder / "validation" / f"{name}.offsets.npy", offsets)
        np.save(folder / "validation" / f"{name}.bytes.npy", sizes)
        counts = {"tokens": len(ids), "documents": len(documents), "bytes": int(sizes.sum())}
        record = {"name": name, "group": "korean", "language": language, "license": "CC0-1.0"}
        records.append({**record, "weight": 0.5, "epochs": 1.0, "splits": {"validation": counts}})
    head = {"vocab_size": VOCAB, "dtype": "uint16", "eot_id": EOT, "sources": records}
    (folder / "tokens.json").write_text(json.dumps(head), encoding="utf-8")
    return load_tokens(folder)


@pytest.fixture
def tokens(tmp_path: Path) -> TokenSet:
    return write(tmp_path / "tokens", TEXTS)


def model_of(*, uniform: bool = False) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    model = LlamaForCausalLM(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    if uniform:
        torch.nn.init.zeros_(model.lm_head.weight)
    return model


def test_a_uniform_model_needs_log_v_bits_for_each_token(tokens: TokenSet) -> None:
    results = bits_per_byte(model_of(uniform=True), tokens, context_length=8)

    bits = math.log2(VOCAB)
    assert {name: result.value for name, result in results.items()} == pytest.approx(
        {
            ALL: bits * 34 / 73,
            "language/ko": bits * 27 / 66,
            "language/en": bits * 7 / 7,
            "source/news": bits * 24 / 57,
            "source/web": bits * 3 / 9,
            "source/books": bits * 7 / 7,
        },
        rel=1e-6,
    )


@pytest.mark.parametrize("context_length", [1, 3, 8, 64])
def test_every_token_is_a_target_once_and_all_bytes_count(tokens: TokenSet, context_length: int) -> None:
    results = bits_per_byte(model_of(), tokens, context_length=context_length)

    assert (results[ALL].num_targets, results[ALL].bytes) == (34, 73)
    assert (results["source/news"].num_targets, results["source/news"].bytes) == (24, 57)


@pytest.mark.parametrize("document_mask", [False, True])
def test_the_batch_size_does_not_matter(tokens: TokenSet, document_mask: bool) -> None:
    model = model_of()
    one = bits_per_byte(model, tokens, context_length=4, batch_size=1, document_mask=document_mask)

    for batch_size in (2, 3, 16):
        got = bits_per_byte(
            model, tokens, context_length=4, batch_size=batch_size, document_mask=document_mask
        )
        for name, result in got.items():
            assert result.nats == pytest.approx(one[name].nats, rel=1e-6)
            assert (result.bytes, result.num_targets) == (one[name].bytes, one[name].num_targets)


def test_masked_documents_are_scored_as_if_alone(tokens: TokenSet) -> None:
    model = model_of()
    alone = 0.0
    for documents in TEXTS.values():
        for ids, _ in documents:
            row = torch.tensor([[EOT, *ids]])
            alone += language_model_loss(model, Batch(row[:, :-1], row[:, 1:])).loss.item()

    masked = bits_per_byte(model, tokens, context_length=64, document_mask=True)

    assert masked[ALL].nats == pytest.approx(alone, rel=1e-6)
    assert bits_per_byte(model, tokens, context_length=64)[ALL].nats != pytest.approx(alone, rel=1e-3)


def test_a_limit_of_bytes_holds_for_each_source(tokens: TokenSet) -> None:
    results = bits_per_byte(model_of(), tokens, context_length=8, max_bytes=17)

    assert (results["source/news"].bytes, results["source/news"].num_targets) == (17, 7)
    assert results["source/web"].bytes == 9


def test_two_tokenizers_of_the_same_text_compare(tmp_path: Path) -> None:
    """One token a character at V = 50, or one a pair at the chance of two: the same bits per byte."""
    fine = write(tmp_path / "fine", {("web", "ko"): [([5] * 8, 8)]})
    coarse = write(tmp_path / "coarse", {("web", "ko"): [([5] * 4, 8)]})
    model = model_of(uniform=True)

    by_fine = bits_per_byte(model, fine, context_length=8)[ALL]
    by_coarse = bits_per_byte(model, coarse, context_length=8)[ALL]

    assert by_fine.bytes == by_coarse.bytes == 8
    assert by_fine.value == pytest.approx(2 * by_coarse.value)


def test_evaluation_leaves_the_model_training_and_without_gradients(tokens: TokenSet) -> None:
    model = model_of()
    model.train()
    bits_per_byte(model, tokens, context_length=8)

    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_figures_are_a_line_of_metrics(tokens: TokenSet) -> None:
    line = figures(bits_per_byte(model_of(uniform=True), tokens, context_length=8))

    assert json.loads(json.dumps(line))["bits_per_byte"]["source/books"] == pytest.approx(math.log2(VOCAB))
