"""The model that is planned: its sizes, from a depth, a number of parameters, or a recipe.

The sizes follow the dial (`malmoi.factory.models.dial`), and parameters and operations are counted by the
functions that the training loop uses (`malmoi.factory.models.flops`).
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from malmoi.core.errors import ConfigError, InvalidInput
from malmoi.factory.models.dial import HEAD_DIM, grouped_heads, shape_of, swiglu_size
from malmoi.factory.models.flops import count_parameters

MAX_DEPTH = 256


def model_settings(values: dict[str, Any]) -> Any:
    """`malmoi.factory.models.settings.ModelSettings`, by name: planning must not depend on transformers.

    Raises:
        ValidationError: a setting is wrong.
    """
    return import_module("malmoi.factory.models.settings").ModelSettings.model_validate(values)


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Sizes under the names that transformers uses, so that `flops` can read them."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    tie_word_embeddings: bool
    use_post_norm: bool

    @property
    def parameters(self) -> int:
        """All parameters."""
        return count_parameters(self).total

    @property
    def layer_parameters(self) -> float:
        """Parameters of one layer."""
        return count_parameters(self).body / self.num_hidden_layers


def shape_of_settings(settings: Any, vocab_size: int) -> ModelShape:
    """The sizes that a recipe's model settings imply."""
    shape = shape_of(settings.depth or settings.num_hidden_layers or 1)
    width = settings.hidden_size or shape.hidden_size
    heads = settings.num_attention_heads or max(1, width // HEAD_DIM)
    return ModelShape(
        vocab_size=vocab_size,
        hidden_size=width,
        intermediate_size=settings.intermediate_size or swiglu_size(width),
        num_hidden_layers=settings.num_hidden_layers or shape.num_hidden_layers,
        num_attention_heads=heads,
        num_key_value_heads=settings.num_key_value_heads or grouped_heads(heads),
        head_dim=width // heads,
        tie_word_embeddings=settings.tie_word_embeddings,
        use_post_norm=settings.use_post_norm,
    )


def shape_of_parameters(parameters: int, vocab_size: int, *, tied: bool = True) -> tuple[int, ModelShape]:
    """The depth whose model has nearest to so many parameters, and its sizes.

    Raises:
        InvalidInput: no depth comes near.
    """
    options = [
        (depth, shape_of_settings(model_settings({"depth": depth, "tie_word_embeddings": tied}), vocab_size))
        for depth in range(1, MAX_DEPTH + 1)
    ]
    depth, shape = min(options, key=lambda option: abs(option[1].parameters - parameters))
    if not 0.5 < shape.parameters / parameters < 2:
        raise InvalidInput(
            f"no depth of 1 to {MAX_DEPTH} gives a model near {parameters:,} parameters "
            f"(depth {depth} has {shape.parameters:,}).",
            field="params",
            fix="Choose a smaller --vocab-size for a small model, or name the sizes in a recipe.",
        )
    return depth, shape


def recipe_settings(tables: dict[str, Any], where: str) -> tuple[Any, int | None, dict[str, Any]]:
    """Model settings, vocabulary and the pretraining table of a recipe.

    Raises:
        ConfigError: the recipe has no pretraining stage, or its model settings are wrong.
    """
    from pydantic import ValidationError

    stages = tables.get("stages", {})

    def first(kind: str) -> dict[str, Any] | None:
        return next((t for n, t in stages.items() if isinstance(t, dict) and t.get("use", n) == kind), None)

    pretrain = first("pretrain")
    if pretrain is None:
        raise ConfigError(f"{where}: it has no stage of the kind pretrain to plan.")
    try:
        settings = model_settings(pretrain.get("model", {}))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise ConfigError(f"{where}: pretrain.model.{place}: {fault['msg']}.") from None
    size = (first("tokenizer") or {}).get("vocab_size")
    return settings, size if isinstance(size, int) else None, pretrain
