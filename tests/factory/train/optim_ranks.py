"""One rank of a sharded run, for test_optim.py: python optim_ranks.py FOLDER WORLD_SIZE RANK."""

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from malmoi.factory.models.mup import parameter_groups
from malmoi.factory.train.batch import Batch
from malmoi.factory.train.loss import language_model_loss
from malmoi.factory.train.optim import Optimizer, build_optimizer
from malmoi.factory.train.settings import OptimSettings

SEQUENCES, LENGTH = 4, 16


def build_model() -> torch.nn.Module:
    from transformers import HyperCLOVAXConfig, HyperCLOVAXForCausalLM

    torch.manual_seed(0)
    config = HyperCLOVAXConfig(
        vocab_size=67,
        hidden_size=32,
        intermediate_size=56,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        use_post_norm=True,
        tie_word_embeddings=True,
    )
    return HyperCLOVAXForCausalLM(config)


def step_of(model: torch.nn.Module, optimizer: Optimizer, step: int, world_size: int, rank: int) -> float:
    """The mean loss of all ranks; rank r takes its share of the step's sequences."""
    generator = torch.Generator().manual_seed(step)
    begin = torch.randint(0, 67, (SEQUENCES, 1), generator=generator)
    ids = (begin + torch.arange(LENGTH + 1) * 3) % 67
    share = SEQUENCES // world_size
    mine = ids[rank * share : (rank + 1) * share]
    loss, count = language_model_loss(model, Batch(mine[:, :-1], mine[:, 1:]), chunk_size=13)
    (loss / count).backward()  # FSDP2 averages the gradients over the ranks
    optimizer.step()
    optimizer.zero_grad()
    mean = loss.detach() / count / world_size
    dist.all_reduce(mean)
    return float(mean)


def losses_of(kind: str, folder: Path, world_size: int, rank: int) -> list[float]:
    """20 steps from the beginning, then 5 from the checkpoint that two ranks make."""
    mesh = init_device_mesh("cpu", (world_size,))
    model = build_model()
    for block in model.model.layers:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    settings = OptimSettings(optimizer=kind, learning_rate=0.003, muon_learning_rate=0.02, weight_decay=0.1)
    optimizer = build_optimizer(model, settings, groups=parameter_groups(model))
    losses = [step_of(model, optimizer, step, world_size, rank) for step in range(20)]
    tensors = {f"model.{name}": parameter.detach() for name, parameter in model.named_parameters()}
    tensors |= {f"optimizer.{name}": tensor for name, tensor in optimizer.state_dict().items()}
    if world_size == 2:
        dcp.save(tensors, checkpoint_id=folder / kind)
    else:
        dcp.load(tensors, checkpoint_id=folder / kind)
    return losses + [step_of(model, optimizer, step, world_size, rank) for step in range(20, 25)]


def main(folder: Path, world_size: int, rank: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet-{world_size}", world_size=world_size, rank=rank
    )
    losses = {kind: losses_of(kind, folder, world_size, rank) for kind in ("muon", "adamw")}
    if rank == 0:
        (folder / f"losses-{world_size}.json").write_text(json.dumps(losses))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
