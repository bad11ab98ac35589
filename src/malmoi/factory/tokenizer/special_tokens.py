"""The control tokens that every Malmoi vocabulary holds from the day it is made.

They are the first `BLOCK` ids of the vocabulary, always at the same places. At the start, because then an id
means the same in every vocabulary, whatever its size: token files, chat templates and sentinels outlive a
vocabulary that is trained again, extended at its end or trimmed, and rows can be cut off a matrix without
moving them. The block is a multiple of 64, and a vocabulary that its text does not fill ends with a few more
reserved tokens, so that matrices of the vocabulary's size split evenly over devices and kernels.

Names are those of the models that brought them: three generations of HyperCLOVA X chat formats (role tokens;
ChatML with `<|stop|>`; think, tools and media tags), and the fill-in-the-middle sentinels. The list only ever
grows, at the cost of reserved ones.

A token here is never made from text: `Tokenizer.encode` reads the characters "<|im_end|>" as characters.
"""

from collections.abc import Mapping

END_OF_TEXT = "<|endoftext|>"
"""Follows each document; also what a context without a past begins with."""
PADDING = "<|pad|>"
FIM_PREFIX = "<|fim_prefix|>"
FIM_SUFFIX = "<|fim_suffix|>"
FIM_MIDDLE = "<|fim_middle|>"

GROUPS: Mapping[str, tuple[str, ...]] = {
    "text": (END_OF_TEXT, PADDING),
    "infilling": (FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE),
    "roles": ("<|user|>", "<|assistant|>", "<|endofturn|>"),
    "chatml": ("<|im_start|>", "<|im_end|>", "<|stop|>"),
    "think": ("<think>", "</think>"),
    "tools": (
        "<tools>", "</tools>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>",
        "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>",
    ),
    "media": (
        "<|mime_start|>", "<|mime_end|>",
        "<|image_start|>", "<|IMAGE_PAD|>", "<|image_end|>",
        "<|audio_start|>", "<|AUDIO_PAD|>", "<|audio_end|>",
        "<|video_start|>", "<|VIDEO_PAD|>", "<|video_end|>",
    ),
}  # fmt: skip
"""The named control tokens by what they are for, in the order of their ids."""

BLOCK = 128
"""Ids 0 to BLOCK - 1 are control tokens."""


def special_tokens() -> tuple[str, ...]:
    """All control tokens in the order of their ids: the named ones, then `<|reserved_N|>` up to `BLOCK`."""
    named = [token for group in GROUPS.values() for token in group]
    return (*named, *(_reserved(number) for number in range(BLOCK - len(named))))


def more_reserved(count: int) -> tuple[str, ...]:
    """Names of reserved tokens that follow those of the block, for the end of a vocabulary."""
    first = BLOCK - sum(map(len, GROUPS.values()))
    return tuple(_reserved(first + number) for number in range(count))


def _reserved(number: int) -> str:
    return f"<|reserved_{number}|>"
