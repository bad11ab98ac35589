"""What one training or evaluation step is given: token ids and the tokens they should predict.

B batch, T time. Labels are shifted already: `labels[b, t]` is the token after `input_ids[b, t]`, and -100
where nothing is to be learned.
"""

from dataclasses import dataclass
from functools import cached_property

import torch

IGNORED = -100
"""A label that no loss counts."""


@dataclass(frozen=True)
class Batch:
    """B sequences of T tokens.

    `position_ids` and `document_ids` are there when attention must stay within a document: positions begin at
    0 in every document, and a token sees those before it that have the same document id in its row.
    """

    input_ids: torch.Tensor  # (B, T) int64
    labels: torch.Tensor  # (B, T) int64, IGNORED where there is no target
    position_ids: torch.Tensor | None = None  # (B, T) int64
    document_ids: torch.Tensor | None = None  # (B, T) int64

    @cached_property
    def num_targets(self) -> int:
        """How many labels count: what a loss sum is divided by."""
        return int((self.labels != IGNORED).sum())

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on `device`."""

        def moved(tensor: torch.Tensor | None) -> torch.Tensor | None:
            return None if tensor is None else tensor.to(device, non_blocking=True)

        return Batch(
            self.input_ids.to(device, non_blocking=True),
            self.labels.to(device, non_blocking=True),
            moved(self.position_ids),
            moved(self.document_ids),
        )
