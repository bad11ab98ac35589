"""From `Sampling` to the body of llama.cpp's /completion."""

from collections.abc import Mapping, Sequence
from typing import Any

from malmoi.core.errors import InvalidInput, UnknownName
from malmoi.engine.base import Sampling

# What the last event, or the whole answer, has to hold; without this it repeats the prompt and all settings.
_LAST_FIELDS = ("timings", "stop_type", "tokens_evaluated", "tokens_predicted", "tokens_cached")
_WHOLE_FIELDS = ("content", "tokens", "completion_probabilities", *_LAST_FIELDS)
_MAX_SEED = 2**32 - 2  # 2**32 - 1 means "random" there

# What llama.cpp itself takes when nothing is said.
_USUAL = Sampling(temperature=0.8, top_p=0.95, top_k=40, min_p=0.05)


def with_defaults(defaults: Sampling) -> Sampling:
    """The model's recommended sampling, completed by llama.cpp's own where its authors say nothing at all."""
    if (defaults.temperature, defaults.top_p, defaults.top_k, defaults.min_p) == (None,) * 4:
        return _USUAL
    return Sampling(
        temperature=1.0 if defaults.temperature is None else defaults.temperature,
        top_p=1.0 if defaults.top_p is None else defaults.top_p,
        top_k=0 if defaults.top_k is None else defaults.top_k,
        min_p=0.0 if defaults.min_p is None else defaults.min_p,
        repetition_penalty=defaults.repetition_penalty,
        presence_penalty=defaults.presence_penalty,
        frequency_penalty=defaults.frequency_penalty,
    )


def build_body(
    prompt: str | Sequence[int],
    sampling: Sampling,
    *,
    defaults: Sampling,
    adapters: Sequence[str],
    context_length: int,
    stop: Sequence[str] = (),
    grammar: str | None = None,
    keep_special: Sequence[str] = (),
    stream: bool = True,
) -> dict[str, Any]:
    """The body of one request.

    Args:
        prompt: text (the start token is added by the tokeniser, control tokens are recognised) or ids.
        sampling: what was asked for.
        defaults: for what was not, see `with_defaults`.
        adapters: names of the adapters in the order in which they were loaded.
        context_length: tokens that a request may have.
        stop: further strings that end the text.
        grammar: constrains the text.
        keep_special: control tokens whose text is to stay in the output.
        stream: events, or one whole answer.

    Raises:
        InvalidInput: a value that llama.cpp would misunderstand.
        UnknownName: an adapter that is not loaded.
    """
    body: dict[str, Any] = {
        "prompt": prompt if isinstance(prompt, str) else list(prompt),
        "stream": stream,
        "n_predict": _max_tokens(sampling.max_tokens),
        "cache_prompt": sampling.cache_prompt,
        "return_tokens": True,
        "response_fields": _LAST_FIELDS if stream else _WHOLE_FIELDS,
        "seed": -1 if sampling.seed is None else sampling.seed % (_MAX_SEED + 1),
    }
    for field, name in (
        ("temperature", "temperature"),
        ("top_p", "top_p"),
        ("top_k", "top_k"),
        ("min_p", "min_p"),
        ("repetition_penalty", "repeat_penalty"),
        ("presence_penalty", "presence_penalty"),
        ("frequency_penalty", "frequency_penalty"),
    ):
        value = getattr(sampling, field)
        if value is None:
            value = getattr(defaults, field)
        if value is not None:
            body[name] = value
    if (
        any(body.get(name) for name in ("presence_penalty", "frequency_penalty"))
        or body.get("repeat_penalty", 1.0) != 1.0
    ):
        # Over the whole context, as the papers and other engines define it.
        body["repeat_last_n"] = context_length
    stops = [text for text in (*sampling.stop, *stop) if text]
    if stops:
        body["stop"] = list(dict.fromkeys(stops))
    if sampling.top_logprobs is not None:
        if sampling.top_logprobs < 0:
            raise InvalidInput("top_logprobs must not be negative.", field="top_logprobs")
        body["n_probs"] = max(sampling.top_logprobs, 1)
    if sampling.logit_bias:
        body["logit_bias"] = [[token, bias] for token, bias in sampling.logit_bias.items()]
    if sampling.ignore_eos:
        body["ignore_eos"] = True
    if grammar is not None:
        body["grammar"] = grammar
    if keep_special:
        body["preserved_tokens"] = list(keep_special)
    if adapters:
        body["lora"] = _scales(sampling.adapters, adapters)
    elif sampling.adapters:
        raise UnknownName("adapter", next(iter(sampling.adapters)), adapters)
    return body


def _scales(wanted: Mapping[str, float], adapters: Sequence[str]) -> list[dict[str, Any]]:
    """The scale of every adapter, 0 for those that were not asked for."""
    for name in wanted:
        if name not in adapters:
            raise UnknownName("adapter", name, adapters)
    return [{"id": index, "scale": wanted.get(name, 0.0)} for index, name in enumerate(adapters)]


def _max_tokens(max_tokens: int | None) -> int:
    if max_tokens is None:
        return -1
    if max_tokens < 1:
        raise InvalidInput("max_tokens must be at least 1.", field="max_tokens")
    return max_tokens
