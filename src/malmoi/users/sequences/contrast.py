"""The contrastive loss of CLUE: a user's two views find each other among those of all users of the batch.

B users of this rank, G of all ranks, D numbers a vector.

    logits = exp(s) e_a e_b^T;   loss = 1/2 (CE(logits, diagonal) + CE(logits^T, diagonal))

Source: the objective of CLUE (arXiv 2111.11294) after the published description: the same user in two
services against the other users. Ours, for want of the paper's: the symmetric form and the learnable scale
of CLIP (Radford et al. 2021, arXiv 2103.00020, section 2.3) with another beginning, and what is masked: pairs
that no encoder could tell apart are no negatives.
"""

import math
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional

FIRST_SCALE = 1.0
"""Of s. CLIP begins at ln(1 / 0.07); untrained vectors then have a loss far above ln B, and the quickest way
down is to make all of them alike (measured: the loss stayed at ln B for 150 steps)."""
LARGEST_SCALE = math.log(100.0)
_SPEED = 10.0  # s is 10 times its parameter, so that it can get from 1 to 4.6 in some hundred steps


@dataclass(frozen=True, slots=True)
class Views:
    """What the loss must know of a batch beside its vectors.

    Attributes:
        user: number of each row's user, (B,) int64.
        texts: digest of each view's texts, (B, 2) int64: equal digests are equal histories.
    """

    user: Tensor
    texts: Tensor


class Scale(nn.Module):
    """The inverse temperature, exp(s), learned; s stays at or below ln 100."""

    def __init__(self) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor(FIRST_SCALE / _SPEED))

    def forward(self) -> Tensor:
        """The scale; a parameter that the last step has moved too far is moved back before it is used."""
        with torch.no_grad():  # as CLIP does; a clamp inside the graph would stop its gradient for ever
            self.log.clamp_(max=LARGEST_SCALE / _SPEED)
        return (_SPEED * self.log).exp()


def contrastive_loss(a: Tensor, b: Tensor, views: Views, scale: Tensor) -> tuple[Tensor, int]:
    """The loss summed over this rank's users, and their number.

    With several ranks the candidates are those of all ranks, and the gradient reaches all of them: the sum of
    the ranks' gradients is that of the whole batch in one process.

    A user who comes twice in a batch counts once, and never as a negative of the same user. A user one of
    whose views has the same texts as one of the row's is no negative either.

    Args:
        a: vectors of the first views, (B, D), of length 1.
        b: of the second views.
        views: users and texts.
        scale: exp(s).
    """
    a_all, b_all = gather(a), gather(b)
    users, texts = gather(views.user), gather(views.texts)
    first = len(a) * (dist.get_rank() if _many() else 0)
    rows = torch.arange(first, first + len(a), device=a.device)
    # A row is kept where no earlier row has its user.
    same_user = users[rows, None] == users[None, :]  # (B, G)
    places = torch.arange(len(users), device=a.device)
    kept = ~(same_user & (places[None, :] < rows[:, None])).any(1)
    own = texts[rows]
    twins = (own[:, None, :, None] == texts[None, :, None, :]).flatten(2).any(-1)  # (B, G)
    hidden = (same_user | twins).scatter(1, rows[:, None], value=False)
    with torch.autocast(a.device.type, enabled=False):  # a scale of 100 leaves no digits for bfloat16
        forward = _cross_entropy(scale * a.float() @ b_all.float().T, hidden, rows)
        backward = _cross_entropy(scale * b.float() @ a_all.float().T, hidden, rows)
    loss = 0.5 * (forward + backward)
    return (loss * kept).sum(), int(kept.sum())


def _cross_entropy(logits: Tensor, hidden: Tensor, truth: Tensor) -> Tensor:
    return functional.cross_entropy(logits.masked_fill(hidden, -math.inf), truth, reduction="none")


def gather(x: Tensor) -> Tensor:
    """The rows of all ranks in their order, with gradient; alone, `x` itself. All ranks have as many rows."""
    return _Gather.apply(x) if _many() else x


class _Gather(torch.autograd.Function):
    """all_gather whose backward adds up what every rank's loss wants of this rank's rows."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.rows = len(x)
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, *gradients: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        first = dist.get_rank() * ctx.rows
        return total[first : first + ctx.rows]


def _many() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
