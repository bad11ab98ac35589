"""muP: parameters in groups, each with the factor by which its learning rate differs from the base width's."""

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

Role = Literal["embedding", "hidden", "head", "norm"]


@dataclass
class ParameterGroup:
    """Parameters that share a rule.

    `lr_scale` multiplies AdamW's learning rate, `muon_lr_scale` Muon's (only matrices of the role "hidden" go
    to Muon, whose update must already be scaled by sqrt(max(1, rows / columns)); its rate needs no width factor).
    """

    role: Role
    names: list[str] = field(default_factory=list)
    params: list[Tensor] = field(default_factory=list)
    lr_scale: float = 1.0
    weight_decay: bool = False
    muon_lr_scale: float = 1.0


def width_ratio(config: Any) -> float:
    """Width over base width, as the configuration's logits_scaling tells; 1 without muP."""
    return 1.0 / float(getattr(config, "logits_scaling", 1.0) if config.model_type == "hyperclovax" else 1.0)


def parameter_groups(model: nn.Module) -> list[ParameterGroup]:
    """All trainable parameters of a causal language model, each in exactly one group.

    Tied embeddings are one parameter and count as "embedding". Empty groups are left out.
    """
    config: Any = model.config
    ratio = width_ratio(config)
    depth_scale = (
        float(getattr(config, "residual_multiplier", 1.0)) if config.model_type == "hyperclovax" else 1.0
    )
    groups = {
        "embedding": ParameterGroup("embedding"),
        "hidden": ParameterGroup(
            "hidden", lr_scale=depth_scale / ratio, weight_decay=True, muon_lr_scale=depth_scale
        ),
        "head": ParameterGroup("head"),
        "norm": ParameterGroup("norm"),
    }
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    output = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    head = id(output.weight) if output is not None else None
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        role = (
            "embedding"
            if id(parameter) in embeddings
            else "head"
            if id(parameter) == head
            else "hidden"
            if parameter.ndim >= 2
            else "norm"
        )
        groups[role].names.append(name)
        groups[role].params.append(parameter)
    return [group for group in groups.values() if group.params]


def initialise(model: nn.Module, *, seed: int) -> None:
    """Fill every parameter, each from a generator of its own (seed, name): no order, no thread matters."""
    import hashlib

    config: Any = model.config
    mup = config.model_type == "hyperclovax" and config.embedding_multiplier != 1.0
    layers = config.num_hidden_layers
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim < 2:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
                continue
            digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
            inside = ".layers." in name
            last = name.endswith(("o_proj.weight", "down_proj.weight"))
            std = 0.02
            if inside and mup:
                std = parameter.shape[1] ** -0.5
            elif inside and last:
                std = 0.02 / (2 * layers) ** 0.5
            parameter.copy_(torch.empty(parameter.shape).normal_(0.0, std, generator=generator))
