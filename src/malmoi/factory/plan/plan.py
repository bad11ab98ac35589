"""The plan: from a model, its tokens and its devices to time, memory, layout, energy, cost and disk.

    operations   = tokens x flops_per_token                      (`malmoi.factory.models.flops`)
    seconds      = operations / (devices x dense BF16 peak x MFU)
    energy       = devices x rated power x seconds x PUE
    cost         = devices x hours x price

MFU, model FLOPs utilisation, counts the operations of forward and backward alone, not those of recomputation
(Chowdhery et al. 2022, PaLM, appendix B), so it is lower where activations are computed twice. It cannot be
derived: it is an input, and everything that depends on it says so.
"""

from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from malmoi.core.errors import InvalidInput
from malmoi.factory.models.flops import count_parameters, flops_per_token
from malmoi.factory.plan.hardware import Device
from malmoi.factory.plan.layout import USABLE, find_layout, smallest_need
from malmoi.factory.plan.memory import Layout, Memory, device_memory, optimizer_bytes
from malmoi.factory.plan.quantities import render_bytes, render_count
from malmoi.factory.plan.shape import ModelShape

DEFAULT_MFU = 0.4
DEFAULT_PER_NODE = 8


class PlanInputs(BaseModel):
    """What is planned. None: not given."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, arbitrary_types_allowed=True
    )

    shape: ModelShape
    device: Device
    count: int = Field(ge=1)
    tokens: int = Field(ge=1)
    batch_tokens: int = Field(ge=1)
    context_length: int = Field(4096, ge=1)
    long_context_length: int | None = Field(None, ge=1)
    """Of the last part of the training; None: there is none."""
    long_share: float = Field(0.1, gt=0, lt=1)
    """Part of the tokens that is trained at the long context."""
    optimizer: Literal["muon", "adamw"] = "muon"
    mfu: float = Field(DEFAULT_MFU, gt=0, le=1)
    price_per_hour: float | None = Field(None, ge=0)
    """Of one device."""
    watts: float | None = Field(None, gt=0)
    """Of one device; None: what it is rated for."""
    pue: float = Field(1.0, ge=1)
    """Energy of the whole site for one unit at the devices."""
    network_gbs: float | None = Field(None, gt=0)
    """Between nodes, for each device, in 10^9 bytes a second."""
    disk_gbs: float | None = Field(None, gt=0)
    """Of the shared disk, in 10^9 bytes a second."""
    bytes_per_token: float | None = Field(None, gt=0)
    """UTF-8 bytes of text that a token stands for."""


class Assumption(BaseModel):
    """A figure that is not computed, and where it comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: str
    value: str
    origin: str


class Plan(BaseModel):
    """Everything that follows. None: unknown, because an input is missing."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    inputs: PlanInputs
    parameters: int
    flops_per_token: float
    operations: float
    steps: int
    seconds: float
    device_hours: float
    tokens_per_second: float
    layout: Layout
    memory: Memory
    accumulation: int
    """Micro-batches of one step on each data rank."""
    pipeline_idle: float
    """Share of the time that a pipeline's devices wait at the ends of a step."""
    network_needed_gbs: float | None
    """Traffic of the data ranks a second, for each device, if it is to hide behind the computation."""
    energy_kwh: float | None
    cost: float | None
    checkpoint_bytes: float
    checkpoint_seconds: float | None
    model_bytes: float
    token_file_bytes: int
    text_bytes: float | None
    assumptions: list[Assumption]
    warnings: list[str]


def build_plan(inputs: PlanInputs) -> Plan:
    """Compute the plan.

    Raises:
        InvalidInput: the device's peak is unknown, or the model fits in no layout.
    """
    device, shape = inputs.device, inputs.shape
    if device.bf16_flops is None:
        raise InvalidInput(
            f"the dense BF16 peak of {device.title} is not known.", field="peak-tflops",
            fix="Give it from the data sheet: --peak-tflops NUMBER.",
        )  # fmt: skip
    layout, memory = _layout(inputs)
    per_token = flops_per_token(shape, inputs.context_length)
    if inputs.long_context_length is not None:
        longer = flops_per_token(shape, inputs.long_context_length)
        per_token += inputs.long_share * (longer - per_token)
    operations = per_token * inputs.tokens
    seconds = operations / (inputs.count * device.bf16_flops * inputs.mfu)
    accumulation = max(
        1, round(inputs.batch_tokens / (inputs.context_length * layout.micro_batch * layout.data))
    )
    hours = seconds / 3600
    watts = inputs.watts or device.watts
    checkpoint = 4.0 * shape.parameters + optimizer_bytes(shape, inputs.optimizer)
    step_seconds = seconds / max(1.0, inputs.tokens / inputs.batch_tokens)
    plan = Plan(
        inputs=inputs,
        parameters=shape.parameters,
        flops_per_token=per_token,
        operations=operations,
        steps=-(-inputs.tokens // inputs.batch_tokens),
        seconds=seconds,
        device_hours=hours * inputs.count,
        tokens_per_second=inputs.tokens / seconds,
        layout=layout,
        memory=memory,
        accumulation=accumulation,
        pipeline_idle=(layout.pipeline - 1) / (accumulation + layout.pipeline - 1),
        network_needed_gbs=_traffic(shape, layout, accumulation) / step_seconds / 1e9
        if layout.data > 1
        else None,
        energy_kwh=None if watts is None else inputs.count * watts * inputs.pue * hours / 1000,
        cost=None if inputs.price_per_hour is None else inputs.price_per_hour * hours * inputs.count,
        checkpoint_bytes=checkpoint,
        checkpoint_seconds=None if inputs.disk_gbs is None else checkpoint / inputs.disk_gbs / 1e9,
        model_bytes=2.0 * shape.parameters,
        token_file_bytes=inputs.tokens * (2 if shape.vocab_size <= 1 << 16 else 4),
        text_bytes=None if inputs.bytes_per_token is None else inputs.bytes_per_token * inputs.tokens,
        assumptions=_assumptions(inputs, watts),
        warnings=[],
    )
    return plan.model_copy(update={"warnings": _warnings(plan)})


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values."""
    values = plan.model_dump(mode="json")
    values["memory"]["total"] = plan.memory.total
    return values


def _layout(inputs: PlanInputs) -> tuple[Layout, Memory]:
    per_node = inputs.device.per_node or DEFAULT_PER_NODE
    found = find_layout(
        inputs.shape,
        count=inputs.count,
        per_node=per_node,
        memory_bytes=inputs.device.memory_gb * 1e9,
        context_length=inputs.context_length,
        batch_tokens=inputs.batch_tokens,
        optimizer=inputs.optimizer,
    )
    if found is not None:
        return found
    sequences = max(1, inputs.batch_tokens // inputs.context_length)
    need = smallest_need(
        inputs.shape,
        count=inputs.count,
        per_node=per_node,
        context_length=inputs.context_length,
        optimizer=inputs.optimizer,
    )
    room = USABLE * inputs.device.memory_gb * 1e9
    if need.total <= room:
        raise InvalidInput(
            f"a batch of {sequences:,} sequences cannot be split over {inputs.count:,} devices.",
            field="batch-tokens",
            fix="Give a larger --batch-tokens, or fewer devices with --count.",
        )
    raise InvalidInput(
        f"a model of {render_count(inputs.shape.parameters)} parameters does not fit: in the best layout "
        f"each of {inputs.count:,} x {inputs.device.title} needs {render_bytes(need.total)}, and "
        f"{render_bytes(room)} can be used.",
        field="count",
        fix="Give more devices (--count), ones with more memory (--gpu), or a shorter --context.",
    )


def _traffic(shape: ModelShape, layout: Layout, accumulation: int) -> float:
    """Bytes that a device receives for sharding in one step.

    For each micro-batch the weights are gathered for forward and again for backward, and the gradients are
    reduced once (ZeRO, section 7: three times the parameters); all in float32, as in `train/distributed.py`.
    """
    share = count_parameters(shape).total / (layout.tensor * layout.pipeline)
    return accumulation * share * (layout.data - 1) / layout.data * (4 + 4 + 4)


def _assumptions(inputs: PlanInputs, watts: float | None) -> list[Assumption]:
    device = inputs.device
    found = [
        Assumption(
            what="MFU",
            value=f"{inputs.mfu:.0%}",
            origin="an input; reported: 57 % for 7B with FSDP on 128 A100 (pytorch.org, 2024), 33-39 % for "
            "8B on H100 (torchtitan); 41 % follows for HyperCLOVA 82B on 1,024 A100",
        ),
        Assumption(
            what="dense BF16 peak",
            value=f"{(device.bf16_flops or 0) / 1e12:,.0f} TFLOP/s",
            origin=device.source,
        ),
        Assumption(
            what="memory", value=f"{device.memory_gb:g} GB, {USABLE:.0%} usable", origin=device.source
        ),
        Assumption(
            what="power",
            value="unknown" if watts is None else f"{watts:,.0f} W a device, PUE {inputs.pue:g}",
            origin="an input" if inputs.watts else f"rated, so an upper bound; {device.source}",
        ),
    ]
    missing = {
        "price": inputs.price_per_hour,
        "network between nodes": inputs.network_gbs,
        "disk": inputs.disk_gbs,
        "bytes a token": inputs.bytes_per_token,
    }
    options = {
        "price": "--price-per-hour",
        "network between nodes": "--network-gbs",
        "disk": "--disk-gbs",
        "bytes a token": "--bytes-per-token",
    }
    for what, value in missing.items():
        shown = "unknown" if value is None else f"{value:g}"
        found.append(Assumption(what=what, value=shown, origin=f"an input ({options[what]})"))
    return found


def _warnings(plan: Plan) -> list[str]:
    found = []
    layout, inputs = plan.layout, plan.inputs
    if layout.tensor > 1 or layout.pipeline > 1:
        found.append(
            "Malmoi's own loop trains with data ranks (FSDP2) only; this layout needs torchtitan or "
            "Megatron. With more devices, or ones with more memory, data ranks alone may do."
        )
    if layout.checkpointing:
        found.append(
            "Activations are computed twice: the devices do 4/3 of the counted operations, so the MFU can be "
            "75 % at most."
        )
    if inputs.long_context_length is not None:
        again = replace(layout, micro_batch=1, checkpointing=True)
        need = device_memory(
            inputs.shape, again, context_length=inputs.long_context_length, optimizer=inputs.optimizer
        ).total
        fits = "fits" if need <= USABLE * inputs.device.memory_gb * 1e9 else "does not fit"
        found.append(
            f"The last {inputs.long_share:.0%} at contexts of {inputs.long_context_length:,} is timed; "
            f"one sequence with activations recomputed takes {render_bytes(need)} a device, which {fits}."
        )
    per_node = inputs.device.per_node or DEFAULT_PER_NODE
    needed = plan.network_needed_gbs
    if needed is not None and inputs.count > per_node and inputs.network_gbs is not None:
        if needed > inputs.network_gbs:
            found.append(
                f"The network gives {inputs.network_gbs:g} GB/s a device, but hiding the traffic takes "
                f"{needed:.3g}: the MFU will be lower. A larger --batch-tokens helps."
            )
    elif needed is not None and inputs.device.link_gbs and needed > inputs.device.link_gbs / 2:
        found.append(
            f"The node's links give {inputs.device.link_gbs / 2:g} GB/s each way, but hiding the traffic "
            f"takes {needed:.3g}."
        )
    ratio = inputs.tokens / plan.parameters
    if ratio < 10:
        found.append(
            f"{ratio:.1f} tokens for each parameter are fewer than the 20 that Hoffmann et al. 2022 found "
            "best."
        )
    return found
