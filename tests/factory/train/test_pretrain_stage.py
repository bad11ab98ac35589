import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from training_fakes import tokens_artifact, write_token_files
from transformers import AutoModelForCausalLM

from malmoi.core.errors import ConfigError, InvalidInput, MalmoiError
from malmoi.core.stage import SilentProgress, StageContext
from malmoi.core.store import Artifact, Store
from malmoi.factory.train.settings import PretrainSettings
from malmoi.factory.train.stage import PretrainStage

SMALL = {
    "depth": None,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "mup_base_width": 16,
}
RUN: dict[str, Any] = {
    "model": SMALL,
    "context_length": 16,
    "batch_tokens": 64,
    "num_steps": 14,
    "precision": "fp32",
    "evaluate_bytes": 500,
    "evaluate_every": 5,
    "save_every": 3,
    "extension": {"context_length": 32, "share": 0.3},
}
FAST = {"learning_rate": 0.02, "muon_learning_rate": 0.02}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Notes(SilentProgress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def pretrain(home: Path, name: str = "pretrain", inputs: dict[str, Artifact] | None = None, **changes: Any):
    work, out = home / f"{name}-work", home / f"{name}-out"
    work.mkdir(exist_ok=True)
    out.mkdir(exist_ok=True)
    progress = Notes()
    context = StageContext(
        store=Store(home / "store"), name=name, work=work, seed=5, home=home, progress=progress
    )
    given = {"tokens": tokens_artifact(home), **(inputs or {})}
    metadata = PretrainStage().run(PretrainSettings(**{**RUN, **changes}), given, out, context)
    return metadata, out, list(context.metrics.read()), progress.notes


def contents(out: Path) -> dict[str, bytes]:
    """All that must be the same every time."""
    paths = (path for path in out.rglob("*") if path.is_file() and "about" not in path.parts)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in paths}


def test_tokens_become_a_model(tmp_path):
    metadata, out, rows, _ = pretrain(tmp_path, num_steps=60, batch_tokens=256, extension=None, optim=FAST)
    assert metadata["steps"] == 60
    assert metadata["tokens"] == 60 * 256
    model = AutoModelForCausalLM.from_pretrained(out)
    assert model.config.model_type == "hyperclovax"
    assert sum(p.numel() for p in model.parameters()) == metadata["parameters"]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert losses[-1] < 0.7 * losses[0]
    record = json.loads((out / "training.json").read_text())
    assert record["bits_per_byte"].keys() == {
        "all",
        "language/ko",
        "language/code",
        "source/first",
        "source/second",
    }
    assert record["bits_per_byte"]["all"] == metadata["bits_per_byte"]
    assert record["precision"] == "fp32"
    assert [row["step"] for row in rows if "bits_per_byte" in row] == [*range(5, 60, 5), 60]
    assert "<svg" in (out / "about" / "run.html").read_text()
    cost = json.loads((out / "about" / "cost.json").read_text())
    assert cost["seconds_in_steps"] > 0
    assert cost["joules"] > 0


def test_the_context_is_extended_at_the_end(tmp_path):
    _, out, _, _ = pretrain(tmp_path)
    config = json.loads((out / "config.json").read_text())
    assert config["max_position_embeddings"] == 32
    assert config["rope_parameters"]["rope_theta"] == 20_000.0
    phases = json.loads((out / "training.json").read_text())["phases"]
    assert [(p["first"], p["end"], p["context_length"], p["num_sequences"]) for p in phases] == [
        (0, 10, 16, 4),
        (10, 14, 32, 2),
    ]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_killed_run_writes_the_same_bytes(tmp_path):
    straight = contents(pretrain(tmp_path, "straight")[1])
    assert "model.safetensors" in straight
    script = Path(__file__).with_name("pretrain_once.py")
    steps = sorted(random.Random(1).sample(range(2, 14), 3))  # before and after the change of context

    def start(kill_at: int) -> int:
        command = [sys.executable, str(script), str(tmp_path), "killed", json.dumps(RUN), str(kill_at)]
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode

    assert [start(step) for step in steps] == [-signal.SIGKILL] * 3
    _, out, rows, notes = pretrain(tmp_path, "killed")
    assert any("goes on after step" in note for note in notes)
    assert contents(out) == straight
    assert [row["step"] for row in rows if "loss" in row] == list(range(1, 15))


def test_evaluations_samples_and_saves_do_not_change_the_model(tmp_path):
    one = contents(pretrain(tmp_path, "one")[1])
    other = contents(pretrain(tmp_path, "other", evaluate_every=2, save_every=100, keep=1)[1])
    assert one == other


def test_training_goes_on_from_a_model(tmp_path):
    _, out, _, _ = pretrain(tmp_path, "first", extension=None, num_steps=60, batch_tokens=256, optim=FAST)
    store = Store(tmp_path / "store")
    with store.new_artifact("model", "first") as folder:
        for name, data in contents(out).items():
            (folder / name).write_bytes(data)
    (artifact,) = store.artifacts("model")
    rates = {"learning_rate": 1e-3, "muon_learning_rate": 1e-3}
    changes: dict[str, Any] = {"model": {}, "extension": None, "optim": rates}
    _, _, rows, _ = pretrain(tmp_path, "second", {"model": artifact}, num_steps=5, **changes)
    first = [row["loss"] for row in rows if "loss" in row]
    assert first[0] < 3.0  # a new model begins at the logarithm of the vocabulary, 4.16
    with pytest.raises(ConfigError, match="batch_tokens"):
        pretrain(tmp_path, "a", {"model": artifact}, batch_tokens=None, **changes)
    with pytest.raises(ConfigError, match="learning_rate"):
        pretrain(tmp_path, "b", {"model": artifact}, **{**changes, "optim": {}})
    with pytest.raises(ConfigError, match="both"):
        pretrain(tmp_path, "c", {"model": artifact}, init=f"path:{out}", **changes)
    with store.new_artifact("tokens", "large") as folder:
        write_token_files(folder, vocabulary=100)
    large = next(a for a in store.artifacts("tokens") if a.manifest.name == "large")
    with pytest.raises(InvalidInput, match=r"vocabulary of 100.*64 embeddings"):
        pretrain(tmp_path, "d", {"model": artifact, "tokens": large}, **changes)


def test_a_model_of_another_tokenizer_is_refused(tmp_path):
    from tokenizers import Tokenizer, models

    _, out, _, _ = pretrain(tmp_path, "first", num_steps=2, extension=None)
    store = Store(tmp_path / "store")
    words = [f"w{number}" for number in range(64)]

    def tokenizer(order: list[str]) -> Tokenizer:
        return Tokenizer(models.WordLevel({word: number for number, word in enumerate(order)}, "w0"))

    with store.new_artifact("tokens", "named") as folder:
        write_token_files(folder)
        (folder / "tokenizer").mkdir()
        tokenizer(words).save(str(folder / "tokenizer" / "tokenizer.json"))
    named = next(a for a in store.artifacts("tokens") if a.manifest.name == "named")
    for name, order in (("same", words), ("other", [*words[:5], words[6], words[5], *words[7:]])):
        with store.new_artifact("model", name) as folder:
            for file, data in contents(out).items():
                (folder / file).write_bytes(data)
            tokenizer(order).save(str(folder / "tokenizer.json"))
    same, other = sorted(store.artifacts("model"), key=lambda a: a.manifest.name != "same")
    rates = {"learning_rate": 1e-3, "muon_learning_rate": 1e-3}
    changes: dict[str, Any] = {"model": {}, "extension": None, "optim": rates, "num_steps": 1}
    _, _, by_input, _ = pretrain(tmp_path, "fits", {"model": same, "tokens": named}, **changes)
    changes_by_name = {**changes, "init": f"path:{same.path}"}
    _, _, by_name, _ = pretrain(tmp_path, "named", {"tokens": named}, **changes_by_name)
    assert by_input[0]["loss"] == by_name[0]["loss"]
    with pytest.raises(InvalidInput, match=r"another tokenizer.*'w5' is 5 there, and 6 here"):
        pretrain(tmp_path, "not", {"model": other, "tokens": named}, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_tokens": 65}, "65 tokens is not a whole number of sequences of 16"),
        (
            {"context_length": 4096, "batch_tokens": 4096, "extension": None},
            "fewer than one sequence of 4096",
        ),
        ({"weights": {"thrid": 1.0}}, "thrid"),
        ({"optim": {"learning_rate": 1e6, "optimizer": "adamw"}, "num_steps": 40}, "cannot be taken"),
        ({"init": "path:/nowhere/at/all", "model": {}}, "/nowhere/at/all"),
    ],
)
def test_what_cannot_be_trained_is_said(tmp_path, changes, message):
    with pytest.raises(MalmoiError, match=message):
        pretrain(tmp_path, **changes)


def test_settings_that_contradict_each_other():
    with pytest.raises(ValueError, match="init brings its own model"):
        PretrainSettings(init="small", model={"depth": 2})
    with pytest.raises(ValueError, match="precision"):
        PretrainSettings(precision="fp16")


def test_the_dial_decides_what_is_left_open(tmp_path):
    _, out, rows, _ = pretrain(
        tmp_path, model={"depth": 1}, batch_tokens=None, num_steps=2, extension=None, context_length=24
    )
    record = json.loads((out / "training.json").read_text())
    assert record["batch_tokens"] % 24 == 0
    assert record["batch_tokens"] >= record["dial"]["batch_tokens"]
    assert rows[0]["tokens"] == record["batch_tokens"]


def test_settings_that_only_show_are_no_part_of_the_result():
    plain = PretrainSettings().result_settings()
    shown = PretrainSettings(evaluate_every=3, prompts=("가",), save_every=7, keep=5, sample_every=2)
    assert shown.result_settings() == plain
    assert PretrainSettings(context_length=64).result_settings() != plain
