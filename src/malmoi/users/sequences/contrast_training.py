"""What the training loop needs of CLUE's encoder: batches of pairs, the loss, and several processes."""

from collections.abc import Mapping, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from malmoi.users.sequences.cached_gradients import in_chunks
from malmoi.users.sequences.contrast import Scale, Views, contrastive_loss
from malmoi.users.sequences.pairs import PairBatch, PairSource
from malmoi.users.sequences.user_encoder import UserEncoder, gather_events
from malmoi.users.sequences.vocabulary import TokenTable


class Contrast(nn.Module):
    """What is trained: the encoder and the scale of its logits."""

    def __init__(self, encoder: UserEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.scale = Scale()


class ContrastTraining:
    """A `Trainable` of `users.sequences.training`.

    With a process group (`torch.distributed`) a step's batch is shared by its ranks, each user is contrasted
    with those of all ranks, and `gradients` must be given to the loop.

    Args:
        module: encoder and scale.
        table: tokens of all texts.
        source: the batches.
        chunk: rows of a chunk of the cached gradients; None: everything is kept.
    """

    def __init__(self, module: Contrast, table: TokenTable, source: PairSource, *, chunk: int | None) -> None:
        self.module: nn.Module = module
        self.batch_size = source.batch_size
        self._contrast = module
        self._ids = torch.from_numpy(table.ids)
        self._lengths = torch.from_numpy(table.lengths)
        self._source = source
        self._chunk = chunk
        many = dist.is_available() and dist.is_initialized()
        self.rank: int = dist.get_rank() if many else 0
        self.world_size: int = dist.get_world_size() if many else 1

    def parts(self, step: int) -> Sequence[PairBatch]:
        """One part: this rank's rows."""
        return [self._source.step(step, self.rank, self.world_size)]

    def loss(self, part: PairBatch) -> Mapping[str, Tensor]:
        """The mean over this rank's users; "flops" counts the multiplications and additions of the step."""
        total, count = self.loss_sum(part)
        return {"loss": total / max(count, 1), "flops": torch.tensor(self.flops(part))}

    def loss_sum(self, part: PairBatch) -> tuple[Tensor, int]:
        """The loss summed over this rank's users, and their number."""
        a, b = self.vectors(part)
        views = Views(torch.from_numpy(part.user), torch.from_numpy(part.digests))
        return contrastive_loss(a, b, views, self._contrast.scale())

    def vectors(self, part: PairBatch) -> tuple[Tensor, Tensor]:
        """What is contrasted, (B, D) each; every distinct text is encoded once."""
        encoder = self._contrast.encoder
        rows = torch.from_numpy(part.texts)
        items = in_chunks(encoder.items, self._chunk, self._ids[rows], self._lengths[rows])

        def of_views(at: Tensor) -> Tensor:
            return encoder.project(encoder.users(*gather_events(items, at)))

        a, b = (in_chunks(of_views, self._chunk, torch.from_numpy(side)) for side in (part.a, part.b))
        return a, b

    def validate(self) -> Mapping[str, float]:
        """Nothing: the loss of another batch size would be another scale, and a user held out is lost."""
        return {}

    def gradients(self, parts: Sequence[PairBatch]) -> Mapping[str, float]:
        """Forward and backward of this rank, then the sum over all ranks: what one process would have."""
        # The loop seeds every rank alike; dropout should differ.
        torch.manual_seed((torch.initial_seed() + self.rank) % 2**63)
        total, count = self.loss_sum(parts[0])
        total.backward()
        figures = torch.tensor(
            [float(total.detach()), float(count), self.flops(parts[0])], dtype=torch.float64
        )
        dist.all_reduce(figures)
        for parameter in self.module.parameters():
            if parameter.grad is None:  # every rank must take part in every sum
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)
            parameter.grad /= max(float(figures[1]), 1.0)
        return {"loss": float(figures[0] / figures[1].clamp(min=1)), "flops": float(figures[2])}

    def flops(self, part: PairBatch) -> float:
        """6 x weights x positions, forward and backward (Kaplan et al. 2020, arXiv 2001.08361, 2.1)."""
        encoder = self._contrast.encoder
        item, service = (
            sum(parameter.numel() for parameter in tower.blocks.parameters())
            for tower in (encoder.item_tower, encoder.service_tower)
        )
        tokens = len(part.texts) * int(self._lengths[torch.from_numpy(part.texts)].max())
        return 6.0 * (item * tokens + service * (part.a.size + part.b.size))
