"""Does the best learning rate of a narrow model hold for a wide one? The experiment that proves muP.

Every width is trained with every rate on the same tokens in the same order; the loss is the mean over the
last fifth of the steps. Under muP the best rates of all widths lie together; without it AdamW's best rate
falls with the width.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_VOCABULARY = 64  # of the synthetic text
_BATCH, _LENGTH = 8, 64
_HEAD_DIM = 16
_ADAMW_OF_MUON = 0.3  # AdamW's rate, for embeddings and norms, beside Muon's


@dataclass(frozen=True, slots=True)
class TransferRow:
    """One training: its loss in nats a token; infinite where it diverged."""

    width: int
    rate: float
    loss: float


@dataclass(frozen=True, slots=True)
class TransferTable:
    """All trainings of one experiment."""

    rows: tuple[TransferRow, ...]

    def best(self, width: int) -> float:
        """The rate with the lowest loss at this width."""
        return min((row for row in self.rows if row.width == width), key=lambda row: row.loss).rate

    def best_between(self, width: int) -> float:
        """The lowest point of a parabola through the best rate and its neighbours, over the rate's log."""
        rows = sorted((row for row in self.rows if row.width == width), key=lambda row: row.rate)
        middle = min(range(len(rows)), key=lambda number: rows[number].loss)
        around = rows[middle - 1 : middle + 2] if middle else []
        if len(around) < 3 or not all(math.isfinite(row.loss) for row in around):
            return rows[middle].rate
        x = np.log([row.rate for row in around])
        curve = np.polyfit(x, [row.loss for row in around], 2)
        return float(np.exp(-curve[1] / (2 * curve[0])))

    def shift(self, narrow: int, wide: int) -> float:
        """How many times the best rates of two widths differ; at least 1."""
        ratio = self.best_between(narrow) / self.best_between(wide)
        return max(ratio, 1.0 / ratio)

    def text(self) -> str:
        """The losses as a table: a line for each rate, a column for each width, the best marked by *."""
        widths = sorted({row.width for row in self.rows})
        losses = {(row.width, row.rate): row.loss for row in self.rows}
        lines = ["rate       " + "".join(f"{width:>10}" for width in widths)]
        for rate in sorted({row.rate for row in self.rows}):
            cells = (
                f"{losses[width, rate]:>9.4f}{'*' if rate == self.best(width) else ' '}" for width in widths
            )
            lines.append(f"{rate:<11.5g}" + "".join(cells))
        lines.append("best       " + "".join(f"{self.best_between(width):>9.4g} " for width in widths))
        return "\n".join(lines)


def mup_transfer(
    widths: Sequence[int],
    rates: Sequence[float],
    steps: int,
    seed: int,
    tokens: NDArray[Any] | None = None,
    *,
    optimizer: Literal["adamw", "muon"] = "adamw",
    mup: bool = True,
    layers: int = 2,
    base_width: int = 256,
    on_row: Callable[[TransferRow], None] = lambda row: None,
) -> TransferTable:
    """Train every width with every rate.

    Args:
        widths: multiples of 16.
        rates: of AdamW for everything, or of Muon, with AdamW's at 0.3 of it for embeddings and norms.
        steps: optimizer steps of each training, 8 sequences of 64 tokens each.
        seed: of the weights and of the order of the data.
        tokens: a text as ids; None: a synthetic language of 64 tokens.
        optimizer: which one.
        mup: whether the models use it; False shows what it is for.
        layers: depth of all models.
        base_width: see `ModelSettings.mup_base_width`.
        on_row: told of each training as it ends.

    Raises:
        ValueError: a width is no multiple of 16, or there are fewer tokens than one batch needs.
    """
    text = np.asarray(synthetic_tokens(steps * _BATCH * _LENGTH + 1, seed) if tokens is None else tokens)
    if len(text) < _BATCH * _LENGTH + 1:
        raise ValueError(f"{len(text)} tokens are too few; one batch takes {_BATCH * _LENGTH + 1}")
    if any(width % _HEAD_DIM for width in widths):
        raise ValueError(f"widths {list(widths)} must be multiples of {_HEAD_DIM}")
    rows = []
    for width in widths:
        for rate in rates:
            loss = _train(width, rate, steps, seed, text, optimizer, mup, layers, base_width)
            rows.append(TransferRow(width, float(rate), loss))
            on_row(rows[-1])
    return TransferTable(tuple(rows))


def synthetic_tokens(count: int, seed: int) -> NDArray[np.int64]:
    """A language of 64 tokens in which the next one depends on the two before, with some noise.

    It takes a model about a hundred steps to learn, and more width to learn it better.
    """
    random = np.random.default_rng(seed)
    followers = random.integers(0, _VOCABULARY, size=(_VOCABULARY, 4, 4))
    choices = random.choice(4, size=count, p=[0.55, 0.25, 0.15, 0.05])
    noise = random.random(count) < 0.05
    strangers = random.integers(0, _VOCABULARY, size=count)
    text = np.zeros(count, dtype=np.int64)
    for place in range(2, count):
        known = followers[text[place - 1], text[place - 2] % 4, choices[place]]
        text[place] = strangers[place] if noise[place] else known
    return text


def _train(
    width: int,
    rate: float,
    steps: int,
    seed: int,
    text: NDArray[Any],
    optimizer: Literal["adamw", "muon"],
    mup: bool,
    layers: int,
    base_width: int,
) -> float:
    import torch
    from torch.nn.functional import cross_entropy

    from malmoi.factory.models.build import build_model
    from malmoi.factory.models.settings import ModelSettings, model_config
    from malmoi.factory.train.optim import build_optimizer
    from malmoi.factory.train.settings import OptimSettings

    settings = ModelSettings(
        depth=None,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // _HEAD_DIM,
        mup=mup,
        mup_base_width=base_width,
    )
    vocabulary = int(text.max()) + 1
    model = build_model(
        model_config(settings, vocab_size=vocabulary, context_length=_LENGTH, eot_id=0), seed=seed
    )
    adamw = rate if optimizer == "adamw" else rate * _ADAMW_OF_MUON
    built = build_optimizer(
        model,
        OptimSettings(optimizer=optimizer, learning_rate=adamw, muon_learning_rate=rate, weight_decay=0.0),
    )
    starts = np.random.default_rng(seed + 1).integers(0, len(text) - _LENGTH, size=(steps, _BATCH))
    losses = []
    for step in range(steps):
        built.set_rate(min(1.0, (step + 1) / (0.1 * steps)) * min(1.0, 1.2 * (1 - step / steps)))
        batch = torch.from_numpy(np.stack([text[s : s + _LENGTH + 1] for s in starts[step]]).astype(np.int64))
        logits = model(batch[:, :-1]).logits
        loss = cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())
        if not torch.isfinite(loss):
            return math.inf
        loss.backward()
        built.step()
        built.zero_grad()
        losses.append(float(loss.detach()))
    return float(np.mean(losses[-max(1, steps // 5) :]))
