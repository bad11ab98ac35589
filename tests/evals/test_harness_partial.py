"""Winogrande through the harness: one ending, scored after each of two names."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lm_eval")

from harness_models import CountingEngine, GivenEngines

from malmoi.evals.harness.identity import ModelIdentity
from malmoi.evals.harness.ledger import Ledger
from malmoi.evals.harness.plan import Asked, make_plan
from malmoi.evals.harness.quiet import import_lm_eval
from malmoi.evals.harness.run import run_plan


def test_the_ending_is_scored_after_each_name(tmp_path: Path) -> None:
    row = {
        "sentence": "The cup left the box as the _ was big.",
        "option1": "cup",
        "option2": "box",
        "answer": "2",
    }
    folder = tmp_path / "data" / "winogrande"
    folder.mkdir(parents=True)
    (folder / "dev.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    asked = Asked(tmp_path / "data", tasks=("winogrande/winogrande",), shots=0)
    engine = CountingEngine()
    import_lm_eval()
    with asyncio.Runner() as runner:
        engines: Any = GivenEngines(runner, engine)
        outcome = run_plan(
            make_plan(asked),
            asked,
            engines,
            ModelIdentity("given", "0" * 64),
            ledger=Ledger(tmp_path / "ledger"),
        )
    assert sorted(engine.pairs) == [
        ("The cup left the box as the box", " was big."),
        ("The cup left the box as the cup", " was big."),
    ]
    (item,) = outcome.items
    assert item.gold == "box"
    assert len(item.logprobs) == 2
