"""A plan as text for a terminal."""

from collections.abc import Iterator, Sequence

from malmoi.factory.plan.plan import Plan
from malmoi.factory.plan.quantities import render_bytes, render_count, render_time

_BAR = 40


def render_plan(plan: Plan) -> str:
    """Tables of the plan, its assumptions and its warnings."""
    return "\n".join(_lines(plan)) + "\n"


def render_comparison(plans: Sequence[Plan]) -> str:
    """One line and one bar a plan: how long, how much, how many."""
    longest = max(plan.seconds for plan in plans)
    rows: list[tuple[str, ...]] = [("devices", "time", "device-hours", "energy", "cost", "memory", "layout")]
    rows.extend(
        (
            f"{plan.inputs.count:,}",
            render_time(plan.seconds),
            f"{plan.device_hours:,.0f}",
            "unknown" if plan.energy_kwh is None else f"{plan.energy_kwh:,.0f} kWh",
            "unknown" if plan.cost is None else f"{plan.cost:,.0f}",
            render_bytes(plan.memory.total),
            _layout(plan),
        )
        for plan in plans
    )
    lines = [*_table(rows), "", "Time (the same MFU is assumed for all; more devices reach less):"]
    lines += [
        f"  {plan.inputs.count:>8,} {'#' * max(1, round(_BAR * plan.seconds / longest)):<{_BAR}} "
        f"{render_time(plan.seconds)}"
        for plan in plans
    ]
    return "\n".join(lines) + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    inputs, memory, layout = plan.inputs, plan.memory, plan.layout
    shape = inputs.shape
    yield (
        f"Model: {render_count(plan.parameters)} parameters: {shape.num_hidden_layers} layers of "
        f"{shape.hidden_size}, {shape.num_attention_heads} heads "
        f"({shape.num_key_value_heads} for keys and values), "
        f"vocabulary {shape.vocab_size:,}{' (tied)' if shape.tie_word_embeddings else ''}"
    )
    yield (
        f"Training: {render_count(inputs.tokens)} tokens in {plan.steps:,} steps of "
        f"{render_count(inputs.batch_tokens)}, sequences of {inputs.context_length:,}"
    )
    yield f"Devices: {inputs.count:,} x {inputs.device.title}"
    yield ""
    yield from _table(
        [
            ("operations", f"{plan.operations:.3g}", f"{plan.flops_per_token:.3g} a token x tokens"),
            ("time", render_time(plan.seconds), "operations / (devices x peak x MFU)"),
            ("device-hours", f"{plan.device_hours:,.0f}", ""),
            (
                "throughput",
                f"{plan.tokens_per_second:,.0f} tokens/s",
                f"{plan.tokens_per_second / inputs.count:,.0f} a device",
            ),
            (
                "energy",
                "unknown" if plan.energy_kwh is None else f"{plan.energy_kwh:,.0f} kWh",
                "devices x power x time x PUE; hosts and network are not in it",
            ),
            ("cost", "unknown" if plan.cost is None else f"{plan.cost:,.0f}", "device-hours x price"),
        ]
    )
    yield ""
    yield f"Layout: {_layout(plan)}; a step and rank: {plan.accumulation} x {layout.micro_batch} sequences"
    if layout.pipeline > 1:
        yield f"  pipeline idle {plan.pipeline_idle:.0%} of a step: (p - 1) / (m + p - 1)"
    if plan.network_needed_gbs is not None:
        yield f"  traffic of the data ranks: {plan.network_needed_gbs:.3g} GB/s a device to stay hidden"
    yield from _table(
        [
            ("memory a device", render_bytes(memory.total), f"of {inputs.device.memory_gb:g} GB"),
            ("  weights", render_bytes(memory.weights), "4 B x parameters / devices"),
            ("  gradients", render_bytes(memory.gradients), "4 B x parameters / devices"),
            ("  optimizer", render_bytes(memory.optimizer), f"moments of {inputs.optimizer} / devices"),
            (
                "  gathered",
                render_bytes(memory.gathered),
                "embedding and two layers in float32, bfloat16 copies",
            ),
            (
                "  activations",
                render_bytes(memory.activations),
                "inputs of all layers + one layer" if layout.checkpointing else "all layers",
            ),
            ("  logits", render_bytes(memory.logits), "of the chunked loss, with gradients"),
        ]
    )
    yield ""
    written = "" if plan.checkpoint_seconds is None else f"in {render_time(plan.checkpoint_seconds)}"
    yield from _table(
        [
            (
                "a checkpoint",
                render_bytes(plan.checkpoint_bytes),
                f"float32 weights and moments {written}".rstrip(),
            ),
            ("the model", render_bytes(plan.model_bytes), "bfloat16"),
            ("token files", render_bytes(plan.token_file_bytes), "2 or 4 B a token"),
            (
                "text",
                "unknown" if plan.text_bytes is None else render_bytes(plan.text_bytes),
                "tokens x bytes a token (--bytes-per-token; `malmoi tokenizer` reports it)",
            ),
        ]
    )
    yield ""
    yield "Not computed, but assumed or given:"
    for assumption in plan.assumptions:
        yield f"  {assumption.what}: {assumption.value} - {assumption.origin}"
    for warning in plan.warnings:
        yield f"Note: {warning}"


def _layout(plan: Plan) -> str:
    layout = plan.layout
    parts = [f"{layout.data} data (FSDP)" if layout.data > 1 else ""]
    parts.append(f"{layout.tensor} tensor with sequence parallelism" if layout.tensor > 1 else "")
    parts.append(f"{layout.pipeline} pipeline" if layout.pipeline > 1 else "")
    shown = " x ".join(part for part in parts if part) or "one device"
    return shown + (", activations recomputed" if layout.checkpointing else "")


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
