"""The optimizer of everything that trains: Muon for hidden matrices and AdamW for the rest, or AdamW alone.

AdamW is torch's (Loshchilov and Hutter 2019, arXiv 1711.05101), Muon is train/muon.py. Weight decay is
decoupled in both, W <- W - rate * decay * W, and spares norms. The width multipliers of muP
(`ParameterGroup.lr_scale`) hold for AdamW; Muon's update has its own, so its matrices all take one rate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from malmoi.core.errors import ConfigError, InvalidInput
from malmoi.factory.train.muon import orthogonal_updates
from malmoi.factory.train.settings import OptimSettings


class Rates(Protocol):
    """What is read of a dial."""

    adamw_learning_rate: float
    muon_learning_rate: float
    weight_decay: float


class Group(Protocol):
    """What is read of a parameter group (models/mup.py)."""

    role: Any
    names: list[str]
    params: list[Tensor]
    lr_scale: float
    muon_lr_scale: float
    weight_decay: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """Parameters that share a rate."""

    role: str
    names: list[str]
    params: list[Tensor]
    rate: float
    decay: float


class Optimizer:
    """Muon and AdamW over one model, on plain tensors and on the DTensors of FSDP2.

    `state_dict` is flat, `<parameter name>.<what>` to tensor, and is complete from the start, so distributed
    checkpoints can be read into it in place and resharded like the parameters.
    """

    def __init__(
        self,
        parts: Sequence[_Part],
        muon_parts: Sequence[_Part],
        settings: OptimSettings,
        muon_dtype: torch.dtype,
    ) -> None:
        self._settings = settings
        self._muon_dtype = muon_dtype
        self._parts = list(parts)
        self._muon_parts = list(muon_parts)
        self._multiplier = 1.0
        self._momentum = {
            name: torch.zeros_like(param)
            for part in self._muon_parts
            for name, param in zip(part.names, part.params, strict=True)
        }
        self._adamw: torch.optim.AdamW | None = None
        if self._parts:
            groups = [{"params": p.params, "lr": p.rate, "weight_decay": p.decay} for p in self._parts]
            self._adamw = torch.optim.AdamW(groups, betas=settings.betas, eps=settings.eps, fused=True)
            for part in self._parts:
                for param in part.params:
                    self._adamw.state[param] = {
                        "step": torch.zeros((), dtype=torch.float32, device=param.device),
                        "exp_avg": torch.zeros_like(param),
                        "exp_avg_sq": torch.zeros_like(param),
                    }

    @property
    def rates(self) -> dict[str, float]:
        """The present learning rate by role, such as muon, embedding, head and norm."""
        return {part.role: part.rate * self._multiplier for part in (*self._muon_parts, *self._parts)}

    def set_rate(self, multiplier: float) -> None:
        """Let every group learn at `multiplier` times its own rate from the next step on."""
        self._multiplier = multiplier
        if self._adamw is not None:
            for group, part in zip(self._adamw.param_groups, self._parts, strict=True):
                group["lr"] = part.rate * multiplier

    def step(self) -> None:
        """Update the weights by their gradients; parameters without one stay as they are."""
        with torch.no_grad():
            for part in self._muon_parts:
                self._muon_step(part)
        if self._adamw is not None:
            self._adamw.step()

    def _muon_step(self, part: _Part) -> None:
        settings = self._settings
        rate = part.rate * self._multiplier
        params, updates = [], []
        for name, param in zip(part.names, part.params, strict=True):
            if param.grad is None:
                continue
            momentum = self._momentum[name]
            momentum.lerp_(param.grad, 1.0 - settings.momentum)
            params.append(param)
            updates.append(torch.lerp(param.grad, momentum, settings.momentum))
        directions = orthogonal_updates(
            updates, num_steps=settings.newton_schulz_steps, dtype=self._muon_dtype
        )
        for param, direction in zip(params, directions, strict=True):
            rows, columns = param.shape
            if part.decay:
                param.mul_(1.0 - rate * part.decay)
            param.add_(direction.to(param.dtype), alpha=-rate * max(1.0, rows / columns) ** 0.5)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for part in (*self._muon_parts, *self._parts):
            for param in part.params:
                param.grad = None

    def state_dict(self) -> dict[str, Tensor]:
        """The tensors themselves, not copies, so that they can be filled in place."""
        state = {f"{name}.momentum": tensor for name, tensor in self._momentum.items()}
        if self._adamw is not None:
            for part in self._parts:
                for name, param in zip(part.names, part.params, strict=True):
                    for what, tensor in self._adamw.state[param].items():
                        state[f"{name}.{what}"] = tensor
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over a state of the same parameters.

        Raises:
            InvalidInput: tensors are missing, left over, or of another shape.
        """
        own = self.state_dict()
        if own.keys() != state.keys():
            odd = sorted(own.keys() ^ state.keys())
            raise InvalidInput(
                f"this optimizer state is of another model or optimizer: {odd[0]!r} is on one side only.",
                fix="Go on with the settings that the run was started with.",
            )
        for name, tensor in own.items():
            if tensor.shape != state[name].shape:
                raise InvalidInput(
                    f"the optimizer state {name!r} has the shape {tuple(state[name].shape)}, "
                    f"not {tuple(tensor.shape)}."
                )
            if tensor is not state[name]:
                with torch.no_grad():
                    tensor.copy_(state[name])


def build_optimizer(
    model: nn.Module,
    settings: OptimSettings,
    dial: Rates | None = None,
    *,
    groups: Sequence[Group] | None = None,
    precision: Literal["fp32", "bf16"] = "fp32",
) -> Optimizer:
    """The optimizer of a model's trainable parameters.

    Args:
        model: after `fully_shard`, where it is sharded.
        settings: what the user chose.
        dial: gives the rates and the decay that the settings leave open.
        groups: the parameters by role; None: `models.mup.parameter_groups(model)`.
        precision: of the run's products, which Muon's follow where the settings leave that open.

    Raises:
        ConfigError: a rate is given neither by the settings nor by a dial.
    """
    if groups is None:
        from malmoi.factory.models.mup import parameter_groups

        groups = parameter_groups(model)
    rate = _given("learning_rate", settings.learning_rate, dial.adamw_learning_rate if dial else None)
    decay = (
        settings.weight_decay if settings.weight_decay is not None else (dial.weight_decay if dial else 0.0)
    )
    parts, muon_parts = [], []
    for group in groups:
        rows = [(n, p) for n, p in zip(group.names, group.params, strict=True) if p.requires_grad]
        by_muon = settings.optimizer == "muon" and group.role == "hidden"
        matrices = [(n, p) for n, p in rows if by_muon and p.ndim == 2]
        others = [(n, p) for n, p in rows if not (by_muon and p.ndim == 2)]
        group_decay = decay if group.weight_decay else 0.0
        if matrices:
            muon_rate = _given(
                "muon_learning_rate", settings.muon_learning_rate, dial.muon_learning_rate if dial else None
            )
            names, params = [n for n, _ in matrices], [p for _, p in matrices]
            muon_parts.append(_Part("muon", names, params, muon_rate * group.muon_lr_scale, group_decay))
        if others:
            names, params = [n for n, _ in others], [p for _, p in others]
            parts.append(_Part(str(group.role), names, params, rate * group.lr_scale, group_decay))
    wanted = settings.newton_schulz_precision
    low = wanted == "bfloat16" or (wanted == "auto" and precision == "bf16")
    return Optimizer(parts, muon_parts, settings, torch.bfloat16 if low else torch.float32)


def _given(name: str, setting: float | None, default: float | None) -> float:
    value = setting if setting is not None else default
    if value is None:
        raise ConfigError(
            f"optim.{name} is not set, and this model has no depth to derive it from.",
            fix=f"Set optim.{name}.",
        )
    return value
