"""What a model writes while it is trained: short continuations of given prompts.

Random numbers come from a generator of its own, so that sampling leaves the run's trajectory as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from malmoi.factory.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Sample:
    """A prompt and how the model went on."""

    prompt: str
    continuation: str


def write_samples(
    model: Any,
    tokenizer: "Tokenizer",
    prompts: Sequence[str],
    *,
    max_tokens: int = 48,
    temperature: float = 0.0,
    top_k: int = 50,
    seed: int = 0,
) -> list[Sample]:
    """Continue each prompt as the beginning of a document.

    Args:
        model: a causal language model of transformers.
        tokenizer: the model's.
        prompts: texts; an empty one asks for a document from nothing.
        max_tokens: of each continuation, which ends sooner at the end of the text or of the context.
        temperature: 0: the likeliest token each time.
        top_k: where the temperature is above 0, draw from so many likeliest tokens.
        seed: of the draws; each prompt begins anew with it.
    """
    was_training = model.training
    model.eval()
    try:
        samples = []
        for prompt in prompts:
            generator = torch.Generator().manual_seed(seed)
            begin = [tokenizer.eot_id, *tokenizer.encode(prompt)]
            ids = continue_ids(model, begin, max_tokens, temperature, top_k, generator, tokenizer.eot_id)
            samples.append(Sample(prompt, tokenizer.decode(ids)))
        return samples
    finally:
        model.train(was_training)


def continue_ids(
    model: Any,
    begin: Sequence[int],
    max_tokens: int,
    temperature: float,
    top_k: int,
    generator: torch.Generator,
    eot_id: int,
) -> list[int]:
    """The token ids after `begin`, up to but without the end of the text, by a cache of keys and values."""
    device = next(model.parameters()).device
    room = int(model.config.max_position_embeddings) - 1
    begin = list(begin)[-room:]
    ids: list[int] = []
    cache = None
    inputs = torch.tensor([begin], device=device)
    with torch.no_grad():
        while len(ids) < max_tokens and len(begin) + len(ids) <= room:
            output = model(input_ids=inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = output.past_key_values
            chosen = _choose(output.logits[0, -1].float().cpu(), temperature, top_k, generator)
            if chosen == eot_id:
                break
            ids.append(chosen)
            inputs = torch.tensor([[chosen]], device=device)
    return ids


def _choose(logits: Tensor, temperature: float, top_k: int, generator: torch.Generator) -> int:
    if temperature <= 0.0:
        return int(logits.argmax())
    values, places = logits.topk(min(top_k, logits.numel()))
    drawn = torch.multinomial(torch.softmax(values / temperature, dim=0), 1, generator=generator)
    return int(places[drawn])


def render_samples(samples: Sequence[Sample]) -> str:
    """Samples as lines of text: the prompt, an arrow, the continuation."""
    return "\n".join(f"{s.prompt} → {' '.join(s.continuation.split())}" for s in samples)
