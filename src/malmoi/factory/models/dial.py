"""One dial: from a depth follow the model's shape, the rates, the batch and the horizon.

Shape, after nanochat: width = 64 x depth, heads of 64, so that a model grows in depth and width together.
SwiGLU with 8/3 of the width keeps the parameters of a plain MLP with four times the width (Shazeer 2020).
Horizon: 12 tokens for each parameter of the matrices and the output head, between Chinchilla's 20 (Hoffmann
et al. 2022) and the 10.5 to 12 that nanochat found; embeddings that only look up are not counted, a tied
matrix is.
Batch: B ~ D^0.383 ("Power Lines", Bergsma et al. 2025), rounded to a power of two.
Rates: with muP (`mup.py`) width and depth are taken care of; what is left is the batch: AdamW's rate goes
with sqrt(B). Muon's does not: its steps have the same length whatever the noise in them (measured, see
docs/experiments.md).
Weight decay: lambda ~ sqrt(B) / D keeps the time scale B / (rate x lambda x D) of AdamW's moving average
the same share of the run (Wang and Aitchison 2024, arXiv 2405.13698); at most 0.2, as a run far shorter
than its horizon would forget within a few steps.

With a vocabulary of 16,384 up to depth 6 and of 65,536 from 8 on, tied:

| depth | width | heads (kv) | SwiGLU | parameters | horizon | batch | AdamW | Muon | decay |
|---|---|---|---|---|---|---|---|---|---|
| 2 | 128 | 2 (2) | 384 | 2.5 M | 30 M | 16 k | 0.0042 | 0.02 | 0.20 |
| 4 | 256 | 4 (2) | 704 | 7.1 M | 86 M | 32 k | 0.006 | 0.02 | 0.099 |
| 6 | 384 | 6 (2) | 1024 | 15.7 M | 189 M | 32 k | 0.006 | 0.02 | 0.045 |
| 8 | 512 | 8 (2) | 1408 | 56.1 M | 673 M | 64 k | 0.0085 | 0.02 | 0.018 |
| 12 | 768 | 12 (3) | 2048 | 125 M | 1.5 B | 128 k | 0.012 | 0.02 | 0.011 |
| 16 | 1024 | 16 (4) | 2752 | 244 M | 2.9 B | 128 k | 0.012 | 0.02 | 0.0058 |
| 20 | 1280 | 20 (5) | 3456 | 431 M | 5.2 B | 128 k | 0.012 | 0.02 | 0.0033 |
| 24 | 1536 | 24 (6) | 4096 | 695 M | 8.3 B | 256 k | 0.017 | 0.02 | 0.0029 |
| 32 | 2048 | 32 (8) | 5504 | 1.55 B | 18.6 B | 256 k | 0.017 | 0.02 | 0.0013 |

Rates are those of the base width; a hidden matrix of depth 32 learns at 0.044 times AdamW's and 0.35 times
Muon's. The reference rates are the best of the experiment in `transfer.py` with Muon (0.02, and 0.3 of it for
AdamW), which has two layers, synthetic text and small batches; AdamW for everything did best at 0.0023 to
0.003 there. How the rates and the batch grow with the horizon is the papers' finding, not measured here.
"""

import math
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

HEAD_DIM = 64
WIDTH_PER_DEPTH = 64
TOKENS_PER_PARAMETER = 12.0

_REFERENCE_TOKENS = 85_000_000  # the horizon of depth 4 with a vocabulary of 16k
_REFERENCE_BATCH = 2**15
_REFERENCE_ADAMW = 0.006
_REFERENCE_MUON = 0.02
_REFERENCE_DECAY = 0.1
MOST_DECAY = 0.2


class Dial(BaseModel):
    """What one depth implies. Rates are those of the base width: `mup.parameter_groups` scales them."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    depth: int
    hidden_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int
    adamw_learning_rate: float
    muon_learning_rate: float
    weight_decay: float
    batch_tokens: int
    """Tokens of one optimizer step."""
    horizon_tokens: int
    """Tokens of the whole training."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a model."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    intermediate_size: int


def shape_of(depth: int) -> Shape:
    """The sizes that belong to a depth."""
    width = WIDTH_PER_DEPTH * depth
    heads = width // HEAD_DIM
    return Shape(width, depth, heads, grouped_heads(heads), swiglu_size(width))


def grouped_heads(heads: int) -> int:
    """Key-value heads: the fewest that divide `heads`, are a quarter of them or more, and at least two."""
    least = min(heads, max(2, math.ceil(heads / 4)))
    return next(number for number in range(least, heads + 1) if heads % number == 0)


def swiglu_size(width: int) -> int:
    """8/3 of the width, rounded up to a multiple of 64 (blocks of quantized files hold 32)."""
    return math.ceil(width * 8 / 3 / 64) * 64


def dial(depth: int, *, vocab_size: int, context_length: int, horizon_tokens: int | None = None) -> Dial:
    """Everything that follows from a depth.

    Args:
        depth: number of layers.
        vocab_size: rows of the embedding.
        context_length: tokens of one sequence; a batch holds at least one.
        horizon_tokens: train for so many tokens instead; batch and rates follow it.

    Raises:
        ValueError: the depth, vocabulary or context is not positive.
    """
    if depth < 1 or vocab_size < 1 or context_length < 1:
        raise ValueError(
            f"depth {depth}, vocab_size {vocab_size} and context_length {context_length} must be positive"
        )
    shape = shape_of(depth)
    width, kv_width = shape.hidden_size, shape.num_key_value_heads * HEAD_DIM
    layer = 2 * width * width + 2 * width * kv_width + 3 * width * shape.intermediate_size
    horizon = horizon_tokens or round(TOKENS_PER_PARAMETER * (depth * layer + vocab_size * width))
    ratio = horizon / _REFERENCE_TOKENS
    batch = 2 ** round(math.log2(_REFERENCE_BATCH * ratio**0.383))
    batch = max(batch, context_length)
    rate = math.sqrt(batch / _REFERENCE_BATCH)
    return Dial(
        depth=depth,
        hidden_size=width,
        num_attention_heads=shape.num_attention_heads,
        num_key_value_heads=shape.num_key_value_heads,
        head_dim=HEAD_DIM,
        intermediate_size=shape.intermediate_size,
        adamw_learning_rate=_REFERENCE_ADAMW * rate,
        muon_learning_rate=_REFERENCE_MUON,
        weight_decay=min(_REFERENCE_DECAY * rate / ratio, MOST_DECAY),
        batch_tokens=batch,
        horizon_tokens=horizon,
    )
