"""Memory of one device: what is held all the time, and what a step needs.

Mixed precision with sharded states (FSDP; ZeRO-3 of Rajbhandari et al. 2020, arXiv 1910.02054): every
parameter has a float32 master copy, a float32 gradient and the optimizer's float32 moments, split over all
ranks. The embedding's group is gathered whole for a step; so are a layer that computes and the next one. As
in `train/distributed.py`, float32 is gathered and autocast makes bfloat16 copies, which autograd keeps for
backward unless the layer is computed again.

Activations, after the accounting of Korthikanti et al. 2022 (arXiv 2205.05198), for this model: bfloat16, a
fused attention that keeps no T x T scores, SwiGLU, no dropout. What the backward pass needs of one layer:

    2 B x T x b x (norm 1: 2h + q: a + k, v: 2g + heads' output: a + norm 2: 2h + gate, up, product: 3f
                   + with Peri-LN, inputs of the second norms: 2h)

for b sequences of T tokens, h hidden_size, a = heads x head_dim, g = key-value heads x head_dim, f
intermediate_size. With activation checkpointing only each layer's input stays (2 B x T x b x h), and one
whole layer is computed again at a time. Tensor parallelism with sequence parallelism divides all of it.
"""

from dataclasses import dataclass

from malmoi.factory.models.flops import count_parameters
from malmoi.factory.plan.shape import ModelShape

MASTER, GRADIENT, MOMENT, COPY = 4, 4, 4, 2
"""Bytes of a float32 weight, gradient and moment, and of a bfloat16 copy."""
LOGITS = 16_000_000
"""Logits that the chunked cross-entropy holds at a time (`train/loss.py`), with their gradients."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the devices share the work: data ranks x tensor ranks x pipeline ranks."""

    data: int
    tensor: int
    pipeline: int
    micro_batch: int
    checkpointing: bool

    @property
    def devices(self) -> int:
        """How many devices it uses."""
        return self.data * self.tensor * self.pipeline


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on one device."""

    weights: float
    gradients: float
    optimizer: float
    gathered: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.gathered + self.activations + self.logits


def optimizer_bytes(shape: ModelShape, optimizer: str) -> float:
    """Bytes of the optimizer's moments for the whole model: two a parameter; Muon has one for matrices."""
    count = count_parameters(shape)
    if optimizer == "muon":
        return MOMENT * (count.body + 2.0 * count.embedding)
    return 2.0 * MOMENT * count.total


def layer_activation_bytes(shape: ModelShape, tokens: float) -> float:
    """What the backward pass needs of one layer, for so many tokens."""
    query = shape.num_attention_heads * shape.head_dim
    key_value = shape.num_key_value_heads * shape.head_dim
    norms = 6 if shape.use_post_norm else 4
    row = norms * shape.hidden_size + 2 * query + 2 * key_value + 3 * shape.intermediate_size
    return 2.0 * tokens * row


def device_memory(shape: ModelShape, layout: Layout, *, context_length: int, optimizer: str) -> Memory:
    """Memory of the device that holds most: the first stage of the pipeline, which has all micro-batches."""
    parameters = shape.parameters
    split = layout.devices
    tokens = layout.micro_batch * context_length
    layers = -(-shape.num_hidden_layers // layout.pipeline)
    whole = layer_activation_bytes(shape, tokens) / layout.tensor
    if layout.checkpointing:
        inputs = 2.0 * tokens * shape.hidden_size / layout.tensor
        kept = layers * inputs * layout.pipeline + whole
    else:
        kept = layers * whole * layout.pipeline  # one forward, one backward: as many in flight as stages
    embedding = count_parameters(shape).embedding / layout.tensor
    layer = shape.layer_parameters / layout.tensor
    gathered = MASTER * (embedding + 2 * layer) if layout.data > 1 else 0.0
    gathered += COPY * (embedding + layer * (1 if layout.checkpointing else layers))
    logits = 2.0 * 4 * min(LOGITS, tokens * shape.vocab_size)
    return Memory(
        weights=MASTER * parameters / split,
        gradients=GRADIENT * parameters / split,
        optimizer=optimizer_bytes(shape, optimizer) / split,
        gathered=gathered,
        activations=kept,
        logits=logits,
    )
