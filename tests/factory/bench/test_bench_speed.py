import json
from pathlib import Path

import numpy as np
import pytest

from malmoi.factory.bench.speed import Setup, SpeedSettings, measure_speed
from malmoi.factory.bench.trainer import Way, best_ways
from malmoi.factory.models.settings import ModelSettings


@pytest.fixture
def settings(tmp_path: Path) -> SpeedSettings:
    """Two thousand tokens of one source, and a model of two small layers."""
    (tmp_path / "train").mkdir()
    (tmp_path / "validation").mkdir()
    ids = np.random.default_rng(0).integers(1, 64, 2000).astype("<u2")
    ids[499::500] = 0
    counts = {"tokens": 2000, "documents": 4, "bytes": 8000}
    empty = {"tokens": 0, "documents": 0, "bytes": 0}
    for split, part, sizes in (("train", ids, [500] * 4), ("validation", ids[:0], [])):
        part.tofile(tmp_path / split / "mine.bin")
        np.save(tmp_path / split / "mine.offsets.npy", np.cumsum([0, *sizes]).astype(np.uint64))
        np.save(tmp_path / split / "mine.bytes.npy", np.full(len(sizes), 2000, np.uint32))
    source = {"name": "mine", "group": "korean", "language": "ko", "license": "CC0-1.0", "weight": 1.0,
              "epochs": 1.0, "splits": {"train": counts, "validation": empty}}  # fmt: skip
    record = {"vocab_size": 64, "dtype": "uint16", "eot_id": 0, "sources": [source]}
    (tmp_path / "tokens.json").write_text(json.dumps(record), encoding="utf-8")
    return SpeedSettings(
        tokens=tmp_path,
        model=ModelSettings(depth=None, hidden_size=32, num_hidden_layers=2, num_attention_heads=2),
        context_length=16,
        batch_tokens=64,
        micro_batch_tokens=32,
        repeats=2,
        warmup_steps=1,
        num_steps=2,
        precisions=("fp32",),
    )


def test_a_step_is_halved_until_it_cannot_be() -> None:
    assert [way.rows for way in best_ways(16)] == [16, 8, 4, 2, 1]
    assert [way.rows for way in best_ways(12)] == [12, 6, 3]


def test_both_sides_see_the_same_tokens(settings: SpeedSettings) -> None:
    setup = Setup(settings)
    ours = [row for step in range(3) for batch in setup.step(step) for row in batch.input_ids.tolist()]
    assert ours == setup.sequences().tolist()
    assert [len(batch.input_ids) for batch in setup.step(0)] == [2, 2]


def test_the_warm_up_is_not_timed(settings: SpeedSettings) -> None:
    # One step of warm-up, which took 100 s, and two of 1 s each, of 64 tokens.
    assert Setup(settings).rate([100.0, 101.0, 102.0]) == 64.0


def test_training_is_timed_against_trainer(settings: SpeedSettings) -> None:
    said: list[str] = []
    rows = {row.name: row for row in measure_speed(settings, said.append)}
    ratio = rows["factory.train_ratio_fp32"]
    assert len(ratio.values) == 2
    assert ratio.goal == 1.3
    ours, theirs = rows["factory.train_fp32"].values, rows["factory.train_peer_fp32"].values
    assert ratio.values == [one / other for one, other in zip(ours, theirs, strict=True)]
    # Every way to cut the batch, and the other AdamW with the best of them.
    assert all(str(way) in str(ratio.note) for way in best_ways(4))
    assert "adamw_torch:" in str(ratio.note)
    assert str(Way(4, "adamw_torch_fused")) in str(ratio.note)
