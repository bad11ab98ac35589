"""How a pretraining run begins: its model, its length, and that the tokens fit the model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from malmoi.core.errors import ConfigError, InvalidInput
from malmoi.factory.corpus.tokens import TokenSet
from malmoi.factory.models.build import build_model, load_model
from malmoi.factory.models.dial import MOST_DECAY, Dial, dial
from malmoi.factory.models.opening import open_any
from malmoi.factory.models.settings import model_config
from malmoi.factory.train.extension import Phase, plan_phases
from malmoi.factory.train.settings import PretrainSettings


@dataclass(frozen=True, slots=True)
class Plan:
    """The length of a run, decided."""

    batch_tokens: int
    num_steps: int
    phases: tuple[Phase, ...]
    dial: Dial | None
    """Rates by the model's depth; None where training goes on from another model."""


def open_model(
    settings: PretrainSettings, tokens: TokenSet, given: Path | None, *, seed: int, home: Path
) -> Any:
    """The model before its first step: built, or opened where training goes on from one.

    Args:
        settings: of the stage.
        tokens: what it will be trained on.
        given: folder of the model that an earlier stage has made; None: there is none.
        seed: of the initialisation.
        home: Malmoi's home directory.

    Raises:
        ConfigError: two models are given to begin with.
        InvalidInput: the tokens are not of the model's vocabulary.
    """
    if given is not None and settings.init is not None:
        raise ConfigError(
            "the stage takes a model both from an earlier stage and from init.", fix="Remove one of them."
        )
    if given is not None:
        model = load_model(given)
        _require_same_tokenizer(model, given, given.name, tokens)
        return model
    if settings.init is not None:
        model, tokenizer_folder = open_any(settings.init, home)
        _require_same_tokenizer(model, tokenizer_folder, settings.init, tokens)
        return model
    config = model_config(
        settings.model,
        vocab_size=tokens.vocab_size,
        context_length=settings.context_length,
        eot_id=tokens.eot_id,
    )
    return build_model(config, seed=seed)


def _require_same_tokenizer(model: Any, folder: Path, name: str, tokens: TokenSet) -> None:
    """Refuse tokens that mean something else to the model.

    Raises:
        InvalidInput: an id is outside the model's embedding, or stands for another token.
    """
    fix = "Tokenize the corpus with the model's own tokenizer."
    rows = int(model.get_input_embeddings().weight.shape[0])
    if tokens.vocab_size > rows:
        raise InvalidInput(
            f"the tokens in {tokens.folder} have a vocabulary of {tokens.vocab_size}, but the model {name} "
            f"has {rows} embeddings.",
            field="init",
            fix=fix,
        )
    theirs, ours = folder / "tokenizer.json", tokens.tokenizer_folder / "tokenizer.json"
    if not (theirs.is_file() and ours.is_file()):
        return
    from tokenizers import Tokenizer

    known = Tokenizer.from_file(str(theirs)).get_vocab()
    for token, number in sorted(Tokenizer.from_file(str(ours)).get_vocab().items(), key=lambda item: item[1]):
        if known.get(token) != number:
            raise InvalidInput(
                f"the tokens in {tokens.folder} were made by another tokenizer than the model {name}'s: "
                f"{token!r} is {number} there, and {known.get(token, 'unknown')} here.",
                field="init",
                fix=fix,
            )


def plan_run(settings: PretrainSettings, model: Any, tokens: TokenSet, *, built: bool) -> Plan:
    """Decide batch, length and phases.

    Args:
        settings: of the stage.
        model: before its first step.
        tokens: what it will be trained on.
        built: whether the model is new, so that its depth decides what the settings leave open.

    Raises:
        ConfigError: training goes on from a model, and batch or length are not given.
        InvalidInput: the tokens are shorter than a sequence, or the batch is no whole number of sequences.
    """
    extension = settings.extension
    longest = max(settings.context_length, extension.context_length if extension else 0)
    available = sum(tokens.source("train", name).num_tokens for name in tokens.names("train"))
    if available <= longest:
        raise InvalidInput(
            f"{tokens.folder} has {available} training tokens, fewer than one sequence of {longest} and its "
            "last target.",
            field="context_length",
            fix="Give more text, or a shorter context_length.",
        )
    wanted = settings.num_tokens
    if wanted is None and settings.num_bytes is not None:
        wanted = round(settings.num_bytes / _bytes_per_token(settings, tokens))
    found = _dial(settings, model, tokens, wanted) if built else None
    batch_tokens = settings.batch_tokens or (found.batch_tokens if found else None)
    num_tokens = wanted or (found.horizon_tokens if found else None)
    if batch_tokens is None or (settings.num_steps is None and num_tokens is None):
        raise ConfigError(
            "training that goes on from a model needs batch_tokens, and num_steps, num_tokens or num_bytes.",
            fix="Set them in the stage.",
        )
    if settings.batch_tokens is None:
        # The dial knows nothing of contexts: the next whole number of sequences.
        batch_tokens = -(-batch_tokens // longest) * longest
    num_steps = settings.num_steps or max(1, round((num_tokens or 0) / batch_tokens))
    theta = (getattr(model.config, "rope_parameters", None) or {}).get("rope_theta")
    phases = plan_phases(num_steps, batch_tokens, settings.context_length, extension, rope_theta=theta)
    return Plan(batch_tokens, num_steps, phases, found)


def _bytes_per_token(settings: PretrainSettings, tokens: TokenSet) -> float:
    """Of the mixture: each source counts by its weight."""
    names = tokens.names("train")
    weights = settings.weights or {name: tokens.sources[name].weight for name in names}
    total = sum(weights.get(name, 0.0) for name in names)
    return sum(
        weights.get(name, 0.0) / total * float(source.bytes.sum()) / source.num_tokens
        for name in names
        if (source := tokens.source("train", name)).num_tokens
    )


def _dial(settings: PretrainSettings, model: Any, tokens: TokenSet, horizon: int | None) -> Dial:
    """The dial of the model's depth for the length and batch of this run, where they are set."""
    if settings.num_steps is not None and settings.batch_tokens is not None:
        horizon = settings.num_steps * settings.batch_tokens
    found = dial(
        settings.model.depth or model.config.num_hidden_layers,
        vocab_size=tokens.vocab_size,
        context_length=settings.context_length,
        horizon_tokens=horizon,
    )
    if settings.batch_tokens is None:
        return found
    # AdamW's rate goes with the root of the batch (models/dial.py).
    factor = (settings.batch_tokens / found.batch_tokens) ** 0.5
    return found.model_copy(
        update={
            "batch_tokens": settings.batch_tokens,
            "horizon_tokens": horizon or found.horizon_tokens,
            "adamw_learning_rate": found.adamw_learning_rate * factor,
            "weight_decay": min(found.weight_decay * factor, MOST_DECAY),
        }
    )
