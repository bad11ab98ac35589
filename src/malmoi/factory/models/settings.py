"""What a model is made of: the recipe's settings become a transformers configuration."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from malmoi.core.errors import ConfigError
from malmoi.factory.models.dial import HEAD_DIM, grouped_heads, shape_of, swiglu_size

BASE_DEPTH = 4
"""Depth at which the residual branches are not scaled (see `mup.py`)."""


class ModelSettings(BaseModel):
    """A model to build; what is left out follows from `depth`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    architecture: Literal["hyperclovax", "llama"] = "hyperclovax"
    """The transformers class: HyperCLOVAXForCausalLM, or a plain LlamaForCausalLM to compare with."""
    depth: int | None = Field(4, ge=1, le=256)
    """The one dial: width, heads and all rates follow from it. None: give hidden_size and
    num_hidden_layers."""
    hidden_size: int | None = Field(None, ge=8)
    """Width of the residual stream; left out, it follows from depth, as do the next four."""
    num_hidden_layers: int | None = Field(None, ge=1)
    """Decoder blocks."""
    num_attention_heads: int | None = Field(None, ge=1)
    """Heads of queries."""
    num_key_value_heads: int | None = Field(None, ge=1)
    """Heads of keys and values; fewer than of queries is grouped-query attention."""
    intermediate_size: int | None = Field(None, ge=8)
    """Width inside the SwiGLU."""
    rope_theta: float = Field(10_000.0, gt=0)
    """The base of the rotary frequencies; raise it for long contexts."""
    tie_word_embeddings: bool = True
    """One matrix for reading and for predicting tokens; it is most of a small model."""
    use_post_norm: bool = True
    """Peri-LN: a second RMSNorm after each sublayer (arXiv 2502.02732)."""
    mup: bool = True
    """Scale initialisation, multipliers and rates with the width, so that rates found on a small model hold
    for a large one."""
    mup_base_width: int = Field(256, ge=8)
    """The width at which all of muP's factors are 1."""
    rms_norm_eps: float = Field(1e-6, gt=0)
    """Added to the mean square in RMSNorm."""

    @model_validator(mode="before")
    @classmethod
    def _plain_llama(cls, values: Any) -> Any:
        """Llama has neither multipliers nor post-norms: there the two switches are off unless set."""
        if isinstance(values, dict) and values.get("architecture") == "llama":
            return {"use_post_norm": False, "mup": False, **values}
        return values

    @model_validator(mode="after")
    def _possible(self) -> "ModelSettings":
        if self.architecture == "llama" and (self.use_post_norm or self.mup):
            raise ValueError(
                "Llama has no post-norms and no multipliers; set use_post_norm = false and mup = false"
            )
        if self.depth is None and (self.hidden_size is None or self.num_hidden_layers is None):
            raise ValueError("without depth, give both hidden_size and num_hidden_layers")
        return self


def model_config(settings: ModelSettings, *, vocab_size: int, context_length: int, eot_id: int) -> Any:
    """The transformers configuration of a model.

    Args:
        settings: the model's settings.
        vocab_size: rows of the embedding.
        context_length: positions that the model is trained for.
        eot_id: id of the token after each document; it ends generation.

    Returns:
        A `HyperCLOVAXConfig` or `LlamaConfig`.

    Raises:
        ConfigError: the heads do not divide the width, or the key-value heads do not divide the heads.
    """
    from transformers import HyperCLOVAXConfig, LlamaConfig

    from malmoi.factory.models.mup import EMBEDDING_STD

    shape = shape_of(settings.depth or settings.num_hidden_layers or 1)
    width = settings.hidden_size or shape.hidden_size
    layers = settings.num_hidden_layers or shape.num_hidden_layers
    heads = settings.num_attention_heads or max(1, width // HEAD_DIM)
    if width % heads or (width // heads) % 2:
        raise ConfigError(
            f"model: hidden_size {width} cannot be split over num_attention_heads {heads}.",
            fix="The width of a head, hidden_size / num_attention_heads, must be a whole even number.",
        )
    kv_heads = settings.num_key_value_heads or grouped_heads(heads)
    if heads % kv_heads:
        raise ConfigError(
            f"model: num_key_value_heads {kv_heads} does not divide num_attention_heads {heads}.",
            fix=f"Use a divisor of {heads}, such as {grouped_heads(heads)}.",
        )
    if vocab_size < 1 or not 0 <= eot_id < vocab_size:
        raise ConfigError(f"model: the end-of-text id {eot_id} is outside the vocabulary of {vocab_size}.")
    head_dim = width // heads
    common: dict[str, Any] = {
        "vocab_size": vocab_size,
        "hidden_size": width,
        "intermediate_size": settings.intermediate_size or swiglu_size(width),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "max_position_embeddings": context_length,
        "rms_norm_eps": settings.rms_norm_eps,
        "tie_word_embeddings": settings.tie_word_embeddings,
        "rope_parameters": {"rope_type": "default", "rope_theta": settings.rope_theta},
        "bos_token_id": None,
        "eos_token_id": eot_id,
        "pad_token_id": None,
        "attention_bias": False,
        "mlp_bias": False,
    }
    if settings.architecture == "llama":
        return LlamaConfig(**common)
    multipliers = {}
    if settings.mup:
        multipliers = {
            "embedding_multiplier": 1.0 / EMBEDDING_STD,
            "attention_multiplier": HEAD_DIM**0.5 / head_dim,
            "residual_multiplier": (BASE_DEPTH / max(layers, BASE_DEPTH)) ** 0.5,
            "logits_scaling": settings.mup_base_width / width,
        }
    return HyperCLOVAXConfig(use_post_norm=settings.use_post_norm, **multipliers, **common)
