"""A tiny model, data that can be learned, and a tokens artifact, for the tests of training."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

from malmoi.core.store import Artifact, Store
from malmoi.factory.train.batch import Batch

VOCABULARY = 48
EOT = 0


class TinyModel(nn.Module):
    """Predicts the next token from this one."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.embedding = nn.Parameter(torch.randn(VOCABULARY, width, generator=generator) * 0.3)
        self.head = nn.Parameter(torch.randn(VOCABULARY, width, generator=generator) * 0.3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.embedding[ids]) @ self.head.T


def tiny_loss(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, int]:
    logits = model(batch.input_ids).flatten(0, 1).float()
    loss = nn.functional.cross_entropy(logits, batch.labels.flatten(), ignore_index=-100, reduction="sum")
    return loss, batch.num_targets


class Plain:
    """Gradient descent with a momentum, in the shape that the loop needs."""

    def __init__(self, model: nn.Module, rate: float = 0.5) -> None:
        self.rate = rate
        self.multiplier = 1.0
        self.parameters = dict(model.named_parameters())
        self.momentum = {name: torch.zeros_like(p) for name, p in self.parameters.items()}

    def set_rate(self, multiplier: float) -> None:
        self.multiplier = multiplier

    def step(self) -> None:
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                self.momentum[name].mul_(0.9).add_(parameter.grad)
                parameter.sub_(self.momentum[name], alpha=self.rate * self.multiplier)

    def zero_grad(self) -> None:
        for parameter in self.parameters.values():
            parameter.grad = None

    def state_dict(self) -> dict[str, torch.Tensor]:
        return dict(self.momentum)


class CountingBatches:
    """Step n holds the sequences 8n to 8n + 7, in `micro` pieces; some targets are ignored."""

    def __init__(self, micro: int = 1) -> None:
        self.micro = micro
        self.asked: list[int] = []

    def step(self, number: int) -> list[Batch]:
        self.asked.append(number)
        generator = torch.Generator().manual_seed(number)
        ids = torch.randint(0, VOCABULARY // 2, (8, 13), generator=generator)
        labels = (ids[:, 1:] * 2) % VOCABULARY
        labels[torch.rand(labels.shape, generator=generator) < 0.2] = -100
        size = 8 // self.micro
        return [Batch(ids[i : i + size, :-1], labels[i : i + size]) for i in range(0, 8, size)]


def write_token_files(
    folder: Path, *, sources: tuple[str, ...] = ("first", "second"), documents: int = 40, vocabulary: int = 64
) -> Path:
    """A tokens artifact of counting sequences, which a model soon learns; without a tokenizer."""
    records = []
    for index, name in enumerate(sources):
        splits = {}
        for split, count in (("train", documents), ("validation", 3)):
            random = np.random.default_rng(index)
            texts = []
            for _ in range(count):
                start, length = random.integers(1, vocabulary), int(random.integers(20, 40))
                texts.append((start + (index + 1) * np.arange(length)) % (vocabulary - 1) + 1)
            ids = np.concatenate([np.append(text, EOT) for text in texts]).astype("<u2")
            ends = np.cumsum([len(text) + 1 for text in texts], dtype=np.uint64)
            base = folder / split / name
            base.parent.mkdir(parents=True, exist_ok=True)
            base.with_name(f"{name}.bin").write_bytes(ids.tobytes())
            np.save(base.with_name(f"{name}.offsets.npy"), np.concatenate([[np.uint64(0)], ends]))
            np.save(base.with_name(f"{name}.bytes.npy"), np.array([2 * len(t) for t in texts], np.uint32))
            splits[split] = {
                "tokens": len(ids),
                "documents": count,
                "bytes": 2 * sum(len(text) for text in texts),
            }
        records.append(
            {
                "name": name,
                "group": "korean" if index == 0 else "code",
                "language": "ko" if index == 0 else "code",
                "license": "CC0",
                "weight": 1.0 / len(sources),
                "epochs": 1.0,
                "splits": splits,
            }
        )
    record = {"vocab_size": vocabulary, "dtype": "uint16", "eot_id": EOT, "sources": records}
    (folder / "tokens.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def tokens_artifact(home: Path, **settings: int) -> Artifact:
    """The same, in the store under `home`."""
    store = Store(home / "store")
    found = store.artifacts("tokens")
    if not found:
        with store.new_artifact("tokens", "counting") as folder:
            write_token_files(folder, **settings)
        found = store.artifacts("tokens")
    return found[0]
