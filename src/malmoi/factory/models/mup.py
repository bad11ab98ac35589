"""muP: initialisation and learning rates under which the best rate of a small model is that of a large one.

Let D be the width, D0 the base width (`ModelSettings.mup_base_width`, 256) and m = D / D0. The rules are
those of "Tensor Programs V" (Yang et al. 2022, arXiv 2203.03466), table 8, in the form that keeps the
output matrix like the input matrix, so that the two may be tied; the factors of the forward pass stand in
the configuration, where transformers and vLLM read them (c, a, r, s of `folding.py`).

| role | initial standard deviation | forward factor | AdamW's rate | Muon's rate |
|---|---|---|---|---|
| embedding (tied: also the head) | 0.02 | c = 1 / 0.02: unit entries | x 1 | AdamW |
| hidden matrices | 1 / sqrt(columns) | 1 | x depth / m | x depth |
| head, when not tied | 0.02 | s = 1 / m | x 1 | AdamW |
| norms | 1 | 1 | x 1 | AdamW |
| attention scores | | a = sqrt(64) / head_dim (1 / d, not 1 / sqrt(d)) | | |
| residual branches | | r = sqrt(4 / layers) beyond 4 layers | | |

Tied matrix: read, E is an input matrix (entries of order 1, each entry of h0 moves by c x rate a step, at
every width). Written out, W = E is an output matrix: the normed state has entries of order 1, so the logits
W h / m move by rate x D / m = rate x D0 a step, again at every width. Both want a constant rate, so one
matrix can serve.

Depth: branches of weight 1 / sqrt(layers) and hidden rates that fall alike, "Tensor Programs VI" (Yang et
al. 2023, arXiv 2310.02244), from 4 layers on; `depth` in the table is r.

Muon: its update U V^T, scaled by sqrt(max(1, rows / columns)), has the spectral norm that muP asks for at
every width (Yang, Simon and Bernstein 2023, arXiv 2310.17813), so that its rate needs no 1 / m.

m is read back from logits_scaling and the depth factor from residual_multiplier, so that a model keeps its
rules when it is loaded for further training. A model without muP has both at 1, and so has every other
architecture.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

EMBEDDING_STD = 0.02
"""Standard deviation of the embedding's entries at initialisation, at every width."""
PLAIN_STD = 0.02
"""Of all matrices without muP (GPT-2); those that write to the residual stream: over sqrt(2 layers)."""

Role = Literal["embedding", "hidden", "head", "norm"]


@dataclass
class ParameterGroup:
    """Parameters that share a rule.

    Attributes:
        role: what they are for; a tied matrix is "embedding". Only matrices of the role "hidden" go to Muon.
        names: as `named_parameters` gives them.
        params: the parameters themselves.
        lr_scale: multiplies AdamW's rate.
        weight_decay: whether they decay.
        muon_lr_scale: multiplies Muon's rate.
    """

    role: Role
    names: list[str] = field(default_factory=list)
    params: list[Tensor] = field(default_factory=list)
    lr_scale: float = 1.0
    weight_decay: bool = False
    muon_lr_scale: float = 1.0


def width_ratio(config: Any) -> float:
    """m, the width over the base width; 1 for a model without muP."""
    return 1.0 / float(config.logits_scaling) if config.model_type == "hyperclovax" else 1.0


def depth_factor(config: Any) -> float:
    """What the rates of hidden matrices are multiplied by for the model's depth; 1 without muP."""
    return float(config.residual_multiplier) if config.model_type == "hyperclovax" else 1.0


def parameter_groups(model: nn.Module) -> list[ParameterGroup]:
    """All trainable parameters of a causal language model, each in exactly one group.

    Empty groups are left out.
    """
    config: Any = model.config
    depth = depth_factor(config)
    hidden = ParameterGroup(
        "hidden", lr_scale=depth / width_ratio(config), weight_decay=True, muon_lr_scale=depth
    )
    groups = {
        "embedding": ParameterGroup("embedding"),
        "hidden": hidden,
        "head": ParameterGroup("head"),
        "norm": ParameterGroup("norm"),
    }
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if id(parameter) in embeddings:
            role = "embedding"
        elif head is not None and parameter is head.weight:
            role = "head"
        else:
            role = "hidden" if parameter.ndim >= 2 else "norm"
        groups[role].names.append(name)
        groups[role].params.append(parameter)
    return [group for group in groups.values() if group.params]


def initialise(model: nn.Module, *, seed: int) -> None:
    """Fill every parameter from a generator of its own, made of the seed and its name.

    So neither the order of the parameters nor the number of threads matters, and models of different depth
    share the weights of their common layers.
    """
    config: Any = model.config
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim < 2:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
                continue
            digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
            values = torch.empty(parameter.shape, dtype=torch.float32)
            parameter.copy_(values.normal_(0.0, _std(config, name, parameter), generator=generator))


def _std(config: Any, name: str, parameter: Tensor) -> float:
    if ".layers." not in name:
        return EMBEDDING_STD
    if config.model_type == "hyperclovax" and config.embedding_multiplier != 1.0:
        return float(parameter.shape[1]) ** -0.5
    if name.endswith(("o_proj.weight", "down_proj.weight")):
        return PLAIN_STD / float(2 * config.num_hidden_layers) ** 0.5
    return PLAIN_STD
