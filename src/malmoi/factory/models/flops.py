"""How many parameters a model has, and how many operations a token costs."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ParameterCount:
    """Parameters: all, those of the embedding and output head, and the rest."""

    total: int
    embedding: int
    body: int


def count_parameters(config: Any) -> ParameterCount:
    """Parameters of a HyperCLOVA X or Llama model; a tied matrix counts once."""
    width, layers = config.hidden_size, config.num_hidden_layers
    embedding = config.vocab_size * width * (1 if config.tie_word_embeddings else 2)
    norms = 4 if getattr(config, "use_post_norm", False) else 2
    body = layers * (_layer_matrices(config) + norms * width) + width
    return ParameterCount(total=embedding + body, embedding=embedding, body=body)


def flops_per_token(config: Any, context_length: int) -> float:
    """Floating-point operations of forward and backward for one token.

    Each weight of a matrix costs one multiply-add forward and two backward: 6 operations (Kaplan et al.
    2020). Attention scores and their weighted sum cost 12 x layers x heads x head_dim x T for T positions,
    counted without the causal half, as Chowdhery et al. 2022 (PaLM, appendix B) and most reports of MFU do.
    """
    matrices = config.num_hidden_layers * _layer_matrices(config) + config.vocab_size * config.hidden_size
    attention = config.num_hidden_layers * config.num_attention_heads * config.head_dim * context_length
    return 6.0 * matrices + 12.0 * attention


def _layer_matrices(config: Any) -> int:
    width = config.hidden_size
    query = config.num_attention_heads * config.head_dim
    key_value = config.num_key_value_heads * config.head_dim
    return 2 * width * query + 2 * width * key_value + 3 * width * config.intermediate_size
