"""The families of chat formats: how to tell them apart, where their turns end, how their authors sample."""

from collections.abc import Collection
from dataclasses import dataclass, field

from malmoi.engine.base import Sampling
from malmoi.engine.templates.base import Style


@dataclass(frozen=True, slots=True)
class StyleFacts:
    """What is known of a style. The sampling is that of the model cards; None where they say nothing."""

    stop: tuple[str, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    keep_special: bool = False


def style_facts(style: Style) -> StyleFacts:
    """Stop strings and recommended sampling of a style."""
    hyperclova = Sampling(temperature=0.5, top_p=0.6, repetition_penalty=1.05)
    match style:
        case "qwen":
            # Qwen2.5 model cards, generation_config.json.
            sampling = Sampling(temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.05)
            return StyleFacts(("<|im_end|>", "<|endoftext|>"), sampling)
        case "chatml":
            return StyleFacts(("<|im_end|>",))
        case "gemma":
            return StyleFacts(("<end_of_turn>",), Sampling(temperature=1.0, top_p=0.95, top_k=64))
        case "hyperclovax-2024":
            return StyleFacts(("<|endofturn|>", "<|user|>", "<|assistant|>"), hyperclova)
        case "hyperclovax-seed":
            # `<|im_end|>` ends a block, not the turn: as a stop string it would cut the answer off after the
            # thought.
            return StyleFacts(("<|endofturn|>", "<|stop|>"), hyperclova, keep_special=True)
        case "hyperclovax-think":
            return StyleFacts(("<|im_end|>", "<|endofturn|>"), hyperclova)
        case "plain":
            return StyleFacts()


def detect_style(jinja_source: str, special_tokens: Collection[str] = ()) -> Style:
    """The style of a model, from its template; without one, from the control tokens of its vocabulary."""
    source = jinja_source or " ".join(special_tokens)
    blocks = "<|im_start|>" in source
    if "<start_of_turn>" in source:
        return "gemma"
    if blocks and ("tool/function_call" in source or "tool_list" in source or "assistant/think" in source):
        return "hyperclovax-seed"
    if "<arg_key>" in source:
        return "hyperclovax-think"
    if "<|endofturn|>" in source and "<|user|>" in source and not blocks:
        return "hyperclovax-2024"
    if "<tool_call>" in source:
        return "qwen"
    return "chatml" if blocks else "plain"
