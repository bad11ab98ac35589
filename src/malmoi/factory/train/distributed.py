"""Many processes that train one model: torchrun starts them, FSDP2 splits it, gloo or NCCL connects them.

Everything that the result depends on is decided without the number of ranks: the order of the data is a
function of the step, rank r takes its slice of the step's sequence numbers, and losses, counts and norms are
sums over all ranks. So two ranks follow the trajectory of one, up to the rounding of sums.

Every block is a group of its own (`fully_shard`), gathered just before it is used; the embedding, the last
norm and the output head (which may be the same tensor as the embedding) form the root's group.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from malmoi.core.errors import ConfigError, InvalidInput


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those that train together."""

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes files and shows progress."""
        return self.rank == 0

    @property
    def many(self) -> bool:
        """Whether there are other ranks."""
        return self.world_size > 1


ALONE = Ranks()


@contextmanager
def open_ranks(rank: int = 0, world_size: int = 1) -> Iterator[Ranks]:
    """Join the other ranks for as long as the block lasts; with one rank, no process group is made.

    A process group that is there already is used and left open. The accelerator is taken where there is one
    for every local rank (`LOCAL_RANK`, set by torchrun), else the processor.

    Raises:
        ConfigError: there are several ranks, but torchrun's variables are missing.
    """
    device = _device()
    if world_size == 1:
        yield Ranks(0, 1, device)
        return
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing and not dist.is_initialized():
        raise ConfigError(
            f"{world_size} ranks were asked for, but {' and '.join(missing)} is not set.",
            fix="Start with torchrun: torchrun --nproc-per-node N -m malmoi run RECIPE.",
        )
    ours = not dist.is_initialized()
    if ours:
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=_store(rank, world_size), rank=rank, world_size=world_size)
    try:
        yield Ranks(rank, world_size, device)
    finally:
        if ours:
            dist.destroy_process_group()


def _store(rank: int, world_size: int) -> dist.Store:
    """Where the ranks find each other, apart for each restart.

    torchrun with a fixed master address keeps one store for all restarts, and torch puts the addresses of the
    ranks under the same keys each time: restarted ranks would call for those that were killed, for ever.
    """
    by_agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = dist.TCPStore(address, port, world_size, is_master=rank == 0 and not by_agent)
    return dist.PrefixStore(f"malmoi/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def _device() -> torch.device:
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if torch.cuda.is_available() and local < torch.cuda.device_count():
        torch.cuda.set_device(local)
        return torch.device("cuda", local)
    return torch.device("cpu")


def shard(root: nn.Module, blocks: Sequence[nn.Module], ranks: Ranks) -> None:
    """Split the parameters of `root` over the ranks: one group a block, the rest with `root`.

    `root` is what the loop calls, so that the head, which the loss uses outside the model's own `forward`, is
    gathered with the embedding. With one rank nothing changes. Call it before the optimizer is built.
    """
    if not ranks.many:
        return
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(ranks.device.type, (ranks.world_size,))
    for block in blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(root, mesh=mesh)


def slice_of(numbers: range, ranks: Ranks) -> range:
    """This rank's part of a step's sequence numbers.

    Raises:
        InvalidInput: the sequences cannot be shared out evenly.
    """
    if len(numbers) % ranks.world_size:
        raise InvalidInput(
            f"a step has {len(numbers)} sequences, which {ranks.world_size} ranks cannot share evenly.",
            field="batch_tokens",
            fix=f"Choose a number of sequences that {ranks.world_size} divides, or another number of ranks.",
        )
    share = len(numbers) // ranks.world_size
    return numbers[ranks.rank * share : (ranks.rank + 1) * share]


def global_sums(values: Sequence[float], ranks: Ranks) -> list[float]:
    """The sums over all ranks, in float64."""
    if not ranks.many:
        return list(values)
    tensor = torch.tensor(values, dtype=torch.float64, device=ranks.device)
    dist.all_reduce(tensor)
    return tensor.tolist()


def agree(ok: bool, ranks: Ranks) -> bool:
    """Whether every rank says yes."""
    return global_sums([0.0 if ok else 1.0], ranks)[0] == 0.0


def broadcast_number(value: int, ranks: Ranks) -> int:
    """Rank 0's value, on every rank."""
    if not ranks.many:
        return value
    tensor = torch.tensor(value, dtype=torch.int64, device=ranks.device)
    dist.broadcast(tensor, src=0)
    return int(tensor.item())


def local(tensor: Tensor) -> Tensor:
    """The part of a sharded tensor that lies on this rank; another tensor as it is."""
    from torch.distributed.tensor import DTensor

    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def full(tensor: Tensor) -> Tensor:
    """The whole of a sharded tensor (every rank must ask for it); another tensor as it is."""
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def whole_model(model: Any, ranks: Ranks) -> Any:
    """A Hugging Face model whose parameters are all here; every rank must ask for it."""
    if not ranks.many:
        return model
    from transformers import AutoModelForCausalLM
    from transformers.initialization import no_init_weights

    weights = {name: full(parameter.detach()).cpu() for name, parameter in model.named_parameters()}
    with no_init_weights():
        whole = AutoModelForCausalLM.from_config(model.config, dtype=torch.float32)
    whole.load_state_dict(weights, strict=False, assign=True)
    whole.tie_weights()
    whole.generation_config = model.generation_config
    return whole


def total_norm(gradients: Sequence[Tensor], ranks: Ranks) -> float:
    """Euclidean length of all gradients together, over all ranks; NaN or infinite if any entry is.

    With many ranks every gradient must be sharded, else it would be counted once a rank.
    """
    norms = torch._foreach_norm([local(gradient) for gradient in gradients]) if gradients else []
    squared = float(torch.stack([norm.double() for norm in norms]).square().sum()) if norms else 0.0
    return global_sums([squared], ranks)[0] ** 0.5
