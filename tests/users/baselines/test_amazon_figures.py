"""The figures of the counting models on Amazon's sequences, where the files are at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from malmoi.users.base import FitContext, build_user_models
from malmoi.users.data.known import read_amazon_seq
from malmoi.users.ranking import hit_rate, ndcg, rank_cases
from malmoi.users.splits import leave_one_out

DATA = Path(os.environ.get("MALMOI_TEST_DATA", "")) / "amazon_seq"
pytestmark = pytest.mark.skipif(
    "MALMOI_TEST_DATA" not in os.environ or not DATA.is_dir(),
    reason="MALMOI_TEST_DATA names no folder with amazon_seq/Beauty.txt",
)


@pytest.mark.slow
@pytest.mark.timeout(300)  # reads and ranks 20,000 users
@pytest.mark.parametrize(
    ("file", "users", "expected"),
    [("Beauty.txt", 22_363, (0.0845, 0.0558)), ("Toys_and_Games.txt", 19_412, (0.0961, 0.0651))],
    ids=["beauty", "toys"],
)
def test_the_mix_reaches_its_published_figures(
    tmp_path: Path, file: str, users: int, expected: tuple[float, float]
) -> None:
    logs = read_amazon_seq(DATA / file)
    assert len(logs) == users
    split = leave_one_out(logs)
    kind = build_user_models().get("markov-knn")
    model = kind.fit(kind.settings_type(), split.known, FitContext(work=tmp_path, home=tmp_path))
    ranks = rank_cases(model, split.test)
    assert np.isfinite(ranks).all()
    assert hit_rate(ranks) == pytest.approx(expected[0], abs=0.002)
    assert ndcg(ranks) == pytest.approx(expected[1], abs=0.002)
