"""The simplest layout that fits: data ranks alone, then tensor ranks inside a node, then a pipeline."""

from collections.abc import Iterator

from malmoi.factory.plan.memory import Layout, Memory, device_memory
from malmoi.factory.plan.shape import ModelShape

USABLE = 0.9
"""Share of the memory that is planned with; the rest is for the allocator, buffers and the driver."""
MICRO_BATCHES = (8, 4, 2, 1)


def find_layout(
    shape: ModelShape,
    *,
    count: int,
    per_node: int,
    memory_bytes: float,
    context_length: int,
    batch_tokens: int,
    optimizer: str,
) -> tuple[Layout, Memory] | None:
    """The first layout that fits `USABLE` of the memory; None: none does.

    Without recomputation before with it, with a large micro-batch before a small one.
    """
    for data, tensor, pipeline in _splits(shape, count, per_node):
        sequences = max(1, batch_tokens // context_length)
        if sequences < data:
            continue  # a rank without a sequence would wait
        for checkpointing in (False, True):
            for micro_batch in MICRO_BATCHES:
                if micro_batch * data > sequences:
                    continue
                layout = Layout(data, tensor, pipeline, micro_batch, checkpointing)
                memory = device_memory(shape, layout, context_length=context_length, optimizer=optimizer)
                if memory.total <= USABLE * memory_bytes:
                    return layout, memory
    return None


def smallest_need(
    shape: ModelShape, *, count: int, per_node: int, context_length: int, optimizer: str
) -> Memory:
    """The least memory a device needs in any layout, to say how much is missing."""
    options = (
        device_memory(
            shape, Layout(data, tensor, pipeline, 1, True), context_length=context_length, optimizer=optimizer
        )
        for data, tensor, pipeline in _splits(shape, count, per_node)
    )
    return min(options, key=lambda memory: memory.total)


def _splits(shape: ModelShape, count: int, per_node: int) -> Iterator[tuple[int, int, int]]:
    """(data, tensor, pipeline) by the cost of their traffic: a pipeline last, tensor ranks in one node."""
    for pipeline in range(1, min(count, shape.num_hidden_layers) + 1):
        if count % pipeline:
            continue
        for tensor in (1, 2, 4, 8, 16):
            if tensor > per_node or count // pipeline % tensor:
                continue
            if shape.num_attention_heads % tensor or shape.intermediate_size % tensor:
                continue
            yield count // pipeline // tensor, tensor, pipeline
