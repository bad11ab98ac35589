"""The encoder of CLUE: texts to item vectors, item vectors to a user's vector.

U texts of T tokens, B histories of L events, width d.

    h = mean over T of ItemTransformer(E[ids] + positions)          (U, d)
    z = mean over L of ServiceTransformer(h[events] + positions)    (B, d)
    e = normalize(W z)                                              (B, D)

Source: Shin et al. 2023, "Scaling Law for Recommendation Models: Towards General-purpose User
Representations", AAAI, arXiv 2111.11294, after the published description (its figure 1: two transformers,
mean pooling twice). Ours: blocks that normalise first (Xiong et al. 2020, arXiv 2002.04745), learned
positions, counted back from the newest event so that a longer past does not move the recent one, and W.
"""

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from malmoi.users.base import UserModelSettings


class EncoderSettings(UserModelSettings):
    """Sizes of the encoder."""

    width: int = Field(128, ge=8)
    """Length of item and user vectors inside."""
    heads: int = Field(4, ge=1)
    """Of attention; they divide the width."""
    item_layers: int = Field(2, ge=1)
    """Blocks of the item transformer."""
    service_layers: int = Field(2, ge=1)
    """Blocks of the service transformer."""
    item_length: int = Field(16, ge=1, le=512)
    """Tokens of an item's text that are read."""
    history_length: int = Field(32, ge=1, le=4096)
    """Newest events of a history that are read."""
    dropout: float = Field(0.1, ge=0.0, lt=1.0)
    """Of each block's two results."""
    projected: int = Field(128, ge=2)
    """Length of the vectors that are contrasted."""


class Block(nn.Module):
    """One pre-norm transformer block without a causal mask."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.before_attention = nn.LayerNorm(width)
        self.attention_in = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.before_mlp = nn.LayerNorm(width)
        self.mlp_in = nn.Linear(width, 4 * width)
        self.mlp_out = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Shapes: x (B, L, d); mask (B, 1, 1, L), True where there is something; result (B, L, d)."""
        b, length, width = x.shape
        parts = self.attention_in(self.before_attention(x)).view(b, length, 3, self.heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4)  # each (B, heads, L, d / heads)
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self._drop(self.attention_out(seen.transpose(1, 2).reshape(b, length, width)))
        return x + self._drop(self.mlp_out(functional.gelu(self.mlp_in(self.before_mlp(x)))))

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


class Tower(nn.Module):
    """Positions, blocks, a last norm, and the mean over what is there."""

    def __init__(self, length: int, layers: int, settings: EncoderSettings) -> None:
        super().__init__()
        self.positions = nn.Embedding(length, settings.width)
        self.blocks = nn.ModuleList(
            Block(settings.width, settings.heads, settings.dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(settings.width)

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """Shapes: x (B, L, d); positions (B, L) or (L,); mask (B, L); result (B, d)."""
        x = x + self.positions(positions)
        for block in self.blocks:
            x = block(x, mask[:, None, None, :])
        there = mask[:, :, None].to(x.dtype)
        return (self.norm(x) * there).sum(1) / there.sum(1)


class UserEncoder(nn.Module):
    """Item transformer, service transformer and projection.

    Args:
        settings: sizes.
        vocab_size: rows of the token embedding.

    Raises:
        ValueError: the heads do not divide the width (`CLUESettings` says so to people).
    """

    def __init__(self, settings: EncoderSettings, vocab_size: int) -> None:
        super().__init__()
        if settings.width % settings.heads:
            raise ValueError(f"{settings.heads} heads do not divide the width {settings.width}")
        self.settings = settings
        self.tokens = nn.Embedding(vocab_size, settings.width)
        self.item_tower = Tower(settings.item_length, settings.item_layers, settings)
        self.service_tower = Tower(settings.history_length, settings.service_layers, settings)
        self.projection = nn.Linear(settings.width, settings.projected, bias=False)
        self.apply(_initialize)

    def items(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Vectors of texts, h. Shapes: ids (U, T) and lengths (U,); result (U, d)."""
        longest = int(lengths.max())
        ids = ids[:, :longest]
        places = torch.arange(longest, device=ids.device)
        return self.item_tower(self.tokens(ids), places, places < lengths[:, None])

    def users(self, vectors: Tensor, counts: Tensor) -> Tensor:
        """Vectors of histories, z; one without events is one event of zeros.

        Shapes: item vectors (B, L, d), oldest first and padded on the right; counts (B,); result (B, d).
        """
        counts = counts.clamp(min=1)
        places = torch.arange(vectors.shape[1], device=vectors.device)
        mask = places < counts[:, None]
        age = (counts[:, None] - 1 - places).clamp(min=0)  # 0: the newest event
        return self.service_tower(vectors, age, mask)

    def project(self, users: Tensor) -> Tensor:
        """What is contrasted, e: (B, d) to (B, D), of length 1."""
        return functional.normalize(self.projection(users), dim=-1)


def gather_events(items: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of `items` for every event. Shapes: items (U, d); at (B, L), -1: none; (B, L, d) and (B,)."""
    there = at >= 0
    vectors = items[at.clamp(min=0).reshape(-1)].view(*at.shape, -1)
    return vectors * there[:, :, None], there.sum(1)


def _initialize(module: nn.Module) -> None:
    """Normal with deviation 0.02, as GPT-2 and most encoders since; ours for want of the paper's."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
