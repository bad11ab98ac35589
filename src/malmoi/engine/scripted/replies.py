"""What the scripted engine says where no rule applies, and its made-up probabilities and vectors."""

import itertools
import json
import re
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import Unsupported
from malmoi.core.types import Chat, JsonSchema
from malmoi.engine.base import Sampling, TokenLogprob
from malmoi.engine.scripted.instance import minimal_instance
from malmoi.engine.scripted.script import Rule, ScriptedCall
from malmoi.engine.scripted.tokens import piece_id, split

_HANGUL = re.compile("[가-힣]")
_QUOTED = 400  # characters of the prompt that an echo repeats
_KOREAN = (
    "말씀하신 내용은 다음과 같습니다.\n\n> {text}\n\n"
    "저는 정해진 대로만 답하는 **연습용 엔진**입니다. 실제 모델을 고르시면 진짜 답을 드릴 수 있습니다.",
    "잘 받았습니다.\n\n> {text}\n\n지금은 **연습용 엔진**이 답하고 있어서, 보내신 글을 그대로 돌려 드립니다.",
)
_ENGLISH = (
    "You wrote:\n\n> {text}\n\n"
    "I am a **practice engine** that only follows a script. Choose a real model for a real answer.",
    "Received.\n\n> {text}\n\nThis is the **practice engine**: it hands back what you send.",
)


def digest(*parts: object) -> int:
    """A number below 2**64 that depends on `parts` alone, on every machine."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest(), "big")


def default_rule(prompt: str | Chat, last_user: str, sampling: Sampling) -> Rule:
    """The answer without a script: JSON for a schema, a call for a required tool, else an echo.

    Raises:
        Unsupported: a GBNF grammar (only a rule can answer it), or a schema without a small value.
    """
    if isinstance(prompt, Chat) and prompt.tools and prompt.tool_choice.mode in ("required", "function"):
        wanted = prompt.tool_choice.name
        tool = next((tool for tool in prompt.tools if wanted in (None, tool.name)), prompt.tools[0])
        return Rule(tool_calls=(ScriptedCall(name=tool.name, arguments=_json(tool.parameters)),))
    if sampling.json_schema is not None:
        return Rule(reply=_json(sampling.json_schema))
    if sampling.grammar is not None:
        raise Unsupported(
            "the scripted engine cannot follow a GBNF grammar by itself.", fix="Give the answer by a rule."
        )
    quoted = " ".join(last_user.split())[:_QUOTED]
    korean = _HANGUL.search(last_user) is not None
    replies = tuple(reply.replace("{text}", quoted) for reply in (_KOREAN if korean else _ENGLISH))
    thinking = isinstance(prompt, Chat) and prompt.thinking is True
    thought = "무엇을 물으셨는지 먼저 살펴봅니다." if korean else "First, what is being asked?"
    return Rule(reply=replies, reasoning=thought if thinking else "")


def _json(schema: JsonSchema) -> str:
    return json.dumps(minimal_instance(schema), ensure_ascii=False)


def choose_reply(rule: Rule, sampling: Sampling, last_user: str) -> str:
    """The rule's reply; of several, the one that the seed picks (no seed or temperature 0: the first)."""
    if isinstance(rule.reply, str):
        return rule.reply
    if not rule.reply:
        return ""
    if sampling.temperature == 0 or sampling.seed is None:
        return rule.reply[0]
    return rule.reply[digest("seed", sampling.seed, last_user) % len(rule.reply)]


def token_logprob(piece: str, top: int) -> TokenLogprob:
    """A made-up log-probability between -0.01 and -1.01; the chosen token is always the likeliest."""
    logprob = -0.01 - (digest("logprob", piece) % 1000) / 1000
    others = tuple((f"{piece}{rank}", logprob - 0.5 * rank) for rank in range(1, top))
    return TokenLogprob(piece, logprob, piece_id(piece), ((piece, logprob), *others) if top else ())


def embed_text(text: str, size: int) -> NDArray[np.float32]:
    """A unit vector of hashed tokens and pairs of them; texts that share words lie nearer. Shape (size,)."""
    vector = np.zeros(size, dtype=np.float32)
    pieces = [piece.strip().lower() for piece in split(text) if piece.strip()] or [""]
    for feature in [*pieces, *itertools.pairwise(pieces)]:
        place = digest("embed", feature)
        vector[(place >> 1) % size] += 1.0 if place & 1 else -1.0
    length = float(np.linalg.norm(vector))
    if length == 0.0:  # the features cancelled each other
        vector[digest("embed", text) % size] = length = 1.0
    return vector / np.float32(length)
