"""Our engine through our harness gives what lm-eval's own Hugging Face backend gives, on the same weights."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("lm_eval")

from harness_models import build_llama, write_copa  # noqa: E402

from malmoi.engine.options import EngineOptions  # noqa: E402
from malmoi.evals.harness.engines import ModelEngines  # noqa: E402
from malmoi.evals.harness.ledger import Ledger  # noqa: E402
from malmoi.evals.harness.plan import Asked, AskedTask, make_plan  # noqa: E402
from malmoi.evals.harness.quiet import import_lm_eval  # noqa: E402
from malmoi.evals.harness.run import run_task  # noqa: E402
from malmoi.evals.results import ItemResult, TaskResult  # noqa: E402

TASKS = ("kobest/copa", "kobest/boolq")


def peer(model: Any, tokenizer: Any) -> Any:
    """lm-eval's own backend over a model that is loaded already."""
    import warnings

    import_lm_eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lm_eval.models.huggingface import HFLM

        return HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4, device="cpu")


def compare(
    asked: AskedTask, ours: Any, theirs: Any, *, rtol: float = 1e-6
) -> tuple[tuple[TaskResult, list[ItemResult]], tuple[TaskResult, list[ItemResult]]]:
    one, two = run_task(asked, ours), run_task(asked, theirs)
    for item, other in zip(one[1], two[1], strict=True):
        assert (item.id, item.prompt) == (other.id, other.prompt)
        np.testing.assert_allclose(
            item.logprobs, other.logprobs, rtol=rtol, atol=2e-6 if rtol > 1e-8 else 0.0
        )
        assert (item.answer, item.grade, item.grades) == (other.answer, other.grade, other.grades)
    figures = [[(metric.name, metric.value) for metric in result.metrics] for result, _ in (one, two)]
    assert figures[0] == figures[1]
    return one, two


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_llama(tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture
def lm(tiny: Path, home: Path) -> Iterator[Any]:
    import_lm_eval()
    from malmoi.evals.harness.lm import EngineLM

    with asyncio.Runner() as runner:
        options = EngineOptions(threads=1)
        engines = ModelEngines(f"path:{tiny}", home=home, runner=runner, options=options)
        yield EngineLM(engines, model="tiny", ledger=Ledger(home / "ledger.jsonl"))
        engines.close()


@pytest.mark.parametrize("shots", [0, 3])
@pytest.mark.parametrize("protocol", ["field", "report"])
def test_a_tiny_model_scores_as_the_peer(
    lm: Any, tiny: Path, tmp_path: Path, shots: int, protocol: Any
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    data = tmp_path / "data"
    write_copa(data)
    asked = Asked(data, tasks=TASKS, shots=shots, protocol=protocol)
    theirs = peer(
        AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32), AutoTokenizer.from_pretrained(tiny)
    )
    for task in make_plan(asked).tasks:
        (result, items), _ = compare(task, lm, theirs)
        assert result.items == 12
        assert len({item.logprobs for item in items}) == 12
        assert all(item.prompt_tokens > 0 for item in items)


def test_lm_eval_s_own_means_are_our_accuracy(lm: Any, tmp_path: Path) -> None:
    from malmoi.evals.harness.run import evaluate
    from malmoi.evals.harness.wrapped import HarnessTask
    from malmoi.evals.metrics import measure

    write_copa(tmp_path)
    (asked,) = make_plan(Asked(tmp_path, tasks=("kobest/copa",), shots=2)).tasks
    task = HarnessTask(asked)
    found = evaluate(lm, {asked.name: task})
    ours = measure(["accuracy", "accuracy_by_character", "accuracy_by_byte"], task.items, resamples=0)
    theirs = found["results"][asked.name]
    assert [theirs[f"{name},none"] for name in ("acc", "acc_norm", "acc_bytes")] == [m.value for m in ours]
    assert found["n-shot"][asked.name] == 2
    assert len(found["samples"][asked.name]) == len(task.items) == 12


def test_rolling_texts_score_as_the_peer(lm: Any, tiny: Path) -> None:
    from lm_eval.api.instance import Instance
    from transformers import AutoModelForCausalLM, AutoTokenizer

    texts = ["나는 커피를 마셨다.", "비가 와서 우산을 썼다. " * 8]
    requests = [Instance("loglikelihood_rolling", {}, (text,), 0) for text in texts]
    theirs = peer(
        AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32), AutoTokenizer.from_pretrained(tiny)
    )
    np.testing.assert_allclose(
        lm.loglikelihood_rolling(requests), theirs.loglikelihood_rolling(requests), rtol=1e-6
    )


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ["kobest/copa", "kobest/boolq", "kobest/sentineg"])
def test_a_real_model_scores_as_the_peer(name: str, home: Path) -> None:
    model = Path(os.environ.get("MALMOI_TEST_SMALL_GGUF", ""))
    data = Path(os.environ.get("MALMOI_TEST_DATA", ""))
    if not model.is_file() or not (data / "kobest").is_dir():
        pytest.skip("set MALMOI_TEST_SMALL_GGUF to a GGUF file and MALMOI_TEST_DATA to the data")
    import_lm_eval()
    from malmoi.evals.harness.lm import EngineLM

    (asked,) = make_plan(Asked(data, tasks=(name,), limit=6, shots=0)).tasks
    with asyncio.Runner() as runner:
        engines = ModelEngines(f"path:{model}", home=home, runner=runner, backend="torch")
        engine: Any = engines.need_scorer()
        theirs = peer(engine._model, engine._encoder._tokenizer)
        # In float32 the peer differs from itself by as much when its batch size changes.
        ours = EngineLM(engines, model="single", ledger=Ledger(home / "single.jsonl"))
        compare(asked, ours, theirs, rtol=2e-5)
        engine._model.double()
        engine._scorer = ()
        ours = EngineLM(engines, model="double", ledger=Ledger(home / "double.jsonl"))
        compare(asked, ours, theirs, rtol=1e-9)
        engines.close()
