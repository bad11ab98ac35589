"""The harness against lm-eval's own Hugging Face backend: the same weights, prompts, machine and threads.

Both sides get the same requests and have to tokenise, run and read them, in turn, in one process. The peer
runs in the batch size that is faster for it, 1 or 8. Without --model it is `small`: each side keeps its model
in float32, four bytes a weight.
"""

import asyncio
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from malmoi.cli.bench.measure import BenchOptions, Measure, of_repeats
from malmoi.core.errors import MissingExtra

GOAL = 1.5
_ITEMS = 8
"""Items of each kind of task: with a model of 270 million weights, half a minute on two cores."""
_PEER_BATCHES = (1, 8)
_CASES = (
    ("choices", "kobest/hellaswag", "field", 0, "four continuations of one sentence"),
    ("few_shot", "kobest/boolq", "field", 2, "two solved examples of a paragraph each, others for each item"),
    ("letters", "kobest/copa", "report", 5, "letters after five solved examples"),
)


def measure(options: BenchOptions) -> Iterator[Measure]:
    """Items a second of both sides, and their ratio, for each kind of task and for all."""
    with _sides(options) as (ours, peers, plans):
        times: dict[str, list[tuple[float, float]]] = {}
        peer, batch = _faster(peers, plans)
        for repeat in range(options.repeats):
            for name, requests in plans.items():
                if repeat == 0:
                    ours(requests[:8])
                _say(f"{name}, pair {repeat + 1} of {options.repeats}")
                sides = [ours, lambda asked: peer.loglikelihood(list(asked), disable_tqdm=True)]
                took = [0.0, 0.0]
                for side in (0, 1) if repeat % 2 else (1, 0):
                    began = perf_counter()
                    sides[side](requests)
                    took[side] = perf_counter() - began
                times.setdefault(name, []).append((took[0], took[1]))
        told = f"lm-eval {_version('lm-eval')}, its Hugging Face backend, float32, batches of {batch}"
        for (name, _, _, _, note), rows in zip(_CASES, times.values(), strict=True):
            yield of_repeats(
                f"evals.{name}_ratio", [two / one for one, two in rows], "x", peer=told, note=note
            )
            yield of_repeats(f"evals.{name}", [_ITEMS / one for one, _ in rows], "items/s")
            yield of_repeats(f"evals.{name}_peer", [_ITEMS / two for _, two in rows], "items/s")
        rounds = list(zip(*times.values(), strict=True))
        ratios = [sum(two for _, two in each) / sum(one for one, _ in each) for each in rounds]
        yield of_repeats("evals.ratio", ratios, "x", peer=told, goal=GOAL, note="time of all together")


@contextmanager
def _sides(options: BenchOptions) -> Iterator[tuple[Any, dict[int, Any], dict[str, Sequence[Any]]]]:
    """Our side as a function of requests, the peer's models by batch size, and the requests of each case."""
    from malmoi.engine.options import EngineOptions
    from malmoi.evals.harness.engines import ModelEngines
    from malmoi.evals.harness.identity import find_files
    from malmoi.evals.harness.ledger import Ledger
    from malmoi.evals.harness.quiet import import_lm_eval

    model = "small" if options.model == "standard" else options.model
    import_lm_eval()
    from malmoi.evals.harness.lm import EngineLM

    path = find_files(model, home=options.home)
    if path is None:
        from malmoi.engine.catalog import Catalog

        path = Catalog(options.home).path(model)
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        _say(f"opening {model}, twice")
        engines = ModelEngines(
            f"path:{path}", home=options.home, runner=runner, backend="torch", options=EngineOptions()
        )
        engines.need_scorer()
        peers = _peers(path)
        plans = _requests(options.data, Path(folder))
        number = iter(range(sys.maxsize))

        def ours(requests: Sequence[Any]) -> None:
            ledger = Ledger(Path(folder) / f"{next(number)}.jsonl")  # a new one: nothing is known from before
            EngineLM(engines, model="bench", ledger=ledger).loglikelihood(requests)

        try:
            yield ours, peers, plans
        finally:
            engines.close()


def _peers(path: Path) -> dict[int, Any]:
    import warnings

    try:
        # By name, so that nothing here depends on torch.
        load = import_module("malmoi.engine.torch.loading").load_pretrained
    except ModuleNotFoundError as error:
        raise MissingExtra("Measuring the harness", "train") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lm_eval.models.huggingface import HFLM

        weights, tokenizer = load(path)
        return {
            size: HFLM(pretrained=weights, tokenizer=tokenizer, batch_size=size, device="cpu")
            for size in _PEER_BATCHES
        }


def _requests(data: Path | None, folder: Path) -> dict[str, Sequence[Any]]:
    """The requests of each case, over KoBEST's files where they are, else over rows of made-up words."""
    from malmoi.evals.harness.plan import Asked, make_plan
    from malmoi.evals.harness.wrapped import HarnessTask

    if data is None or not (data / "kobest").is_dir():
        data = folder / "data"
        _write_rows(data)
    found = {}
    for name, task, protocol, shots, _ in _CASES:
        asked = Asked(data, tasks=(task,), protocol=protocol, shots=shots, limit=_ITEMS)  # type: ignore[arg-type]
        (planned,) = make_plan(asked).tasks
        wrapped = HarnessTask(planned)
        wrapped.build_all_requests()
        found[name] = wrapped.instances
    return found


def _faster(peers: dict[int, Any], plans: dict[str, Sequence[Any]]) -> tuple[Any, int]:
    """The peer in the batch size that is faster for it, by the first case."""
    times = {}
    for size, peer in peers.items():
        _say(f"the peer in batches of {size}")
        requests = next(iter(plans.values()))
        peer.loglikelihood(list(requests[:8]), disable_tqdm=True)  # the first pass of all is slow
        began = perf_counter()
        peer.loglikelihood(list(requests), disable_tqdm=True)
        times[size] = perf_counter() - began
    best = min(times, key=lambda size: times[size])
    return peers[best], best


def _write_rows(data: Path) -> None:
    """Rows like KoBEST's in length, of made-up words."""
    draw = random.Random(0)  # noqa: S311
    syllables = [chr(0xAC00 + draw.randrange(11_172)) for _ in range(300)]

    def words(count: int) -> str:
        return " ".join("".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(count))

    def row(task: str, n: int) -> str:
        if task == "BoolQ":
            return f"{n}\t{words(45)}\t{words(6)}\t{n % 2 == 0}"
        if task == "COPA":
            return f"{n}\t{words(5)}\t원인\t{words(5)}\t{words(5)}\t{n % 2 + 1}"
        return f"{words(18)}\t{words(6)}\t{words(6)}\t{words(7)}\t{words(6)}\t{n % 4}"

    heads = {
        "BoolQ": "ID\tText\tQuestion\tAnswer",
        "COPA": "ID\tsentence\tquestion\t1\t2\tAnswer",
        "HellaSwag": "context\tchoice1\tchoice2\tchoice3\tchoice4\tlabel",
    }
    for task, head in heads.items():
        (data / "kobest" / task).mkdir(parents=True)
        for split in ("train", "dev"):
            rows = [head, *(row(task, n) for n in range(60))]
            (data / "kobest" / task / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)


def _say(text: str) -> None:
    """Progress, on standard error."""
    click.echo(click.style(f"  {text} ...", dim=True), err=True)
