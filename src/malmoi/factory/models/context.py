"""A longer context for a model that exists: more positions, and slower rotary frequencies."""

from typing import Any

from malmoi.core.errors import InvalidInput


def extend_context(model: Any, context_length: int, rope_theta: float | None = None) -> None:
    """Change a model's context length and rotary base, in its configuration and in its rotary tables alike.

    A larger base turns slower, so that positions beyond those of the training look like ones between them
    (Xiong et al. 2023, arXiv 2309.16039); a short training at the new length follows.

    Args:
        model: a model of transformers with rotary embeddings.
        context_length: positions from now on.
        rope_theta: the new base; None: the one it has. Of models with several kinds of layers only full
            attention takes it: windows do not grow with the context.

    Raises:
        InvalidInput: the length or the base is not positive, or the model has no rotary embedding.
    """
    if context_length < 1 or (rope_theta is not None and rope_theta <= 0):
        raise InvalidInput(
            f"context_length {context_length} and rope_theta {rope_theta} must be positive.",
            field="context_length",
        )
    config = model.config.get_text_config()
    rotary = [module for module in model.modules() if hasattr(module, "original_max_seq_len")]
    if not rotary or not isinstance(getattr(config, "rope_parameters", None), dict):
        raise InvalidInput(
            f"{type(model).__name__} has no rotary embedding whose context could be extended.", field="model"
        )
    config.max_position_embeddings = context_length
    if rope_theta is not None:
        config.rope_parameters = _with_base(config.rope_parameters, float(rope_theta))
    for module in rotary:
        _rebuild(module, config)


def _with_base(parameters: dict[str, Any], base: float) -> dict[str, Any]:
    if "full_attention" in parameters:
        return {**parameters, "full_attention": {**parameters["full_attention"], "rope_theta": base}}
    return {**parameters, "rope_theta": base}


def _rebuild(module: Any, config: Any) -> None:
    """Give a rotary module what a new one of this configuration has; the module object stays the same."""
    fresh = type(module)(config=config)
    for name, buffer in fresh.named_buffers():
        getattr(module, name).data = buffer.to(getattr(module, name).device)
    for name, value in vars(fresh).items():
        if name.endswith(("attention_scaling", "max_seq_len_cached", "original_max_seq_len")):
            setattr(module, name, value)
