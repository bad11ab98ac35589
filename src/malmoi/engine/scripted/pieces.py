"""An answer in pieces: cut into tokens, grouped, and made into chunks."""

from dataclasses import dataclass
from typing import Literal

from malmoi.core.types import Chat, FinishReason
from malmoi.engine.base import Chunk, Sampling, ToolCallDelta
from malmoi.engine.scripted.replies import choose_reply, digest, token_logprob
from malmoi.engine.scripted.script import Rule, ScriptedCall, prompt_texts
from malmoi.engine.scripted.tokens import encode, split


@dataclass(frozen=True, slots=True)
class Piece:
    """What is sent at once: one token, or the name of a called tool."""

    kind: Literal["text", "reasoning", "call"]
    text: str
    token_ids: tuple[int, ...]
    index: int = 0
    call_id: str | None = None


def cut_answer(
    rule: Rule, prompt: str | Chat, sampling: Sampling, prompt_ids: tuple[int, ...], room: int
) -> tuple[list[Piece], FinishReason]:
    """All that will be sent, cut at the stop strings and at the limit of tokens, and why it ends."""
    last_user, _ = prompt_texts(prompt)
    text = choose_reply(rule, sampling, last_user)
    cuts = [text.index(stop) for stop in sampling.stop if stop and stop in text]
    text = text[: min(cuts)] if cuts else text
    pieces: list[Piece] = []
    if isinstance(prompt, Chat) and prompt.thinking is not False:
        pieces += [Piece("reasoning", piece, encode(piece)) for piece in split(rule.reasoning)]
    pieces += [Piece("text", piece, encode(piece)) for piece in split(text)]
    calls = rule.tool_calls if not cuts else ()
    if calls and not isinstance(prompt, Chat):
        pieces += [Piece("text", p, encode(p)) for call in calls for p in split(_call_text(call))]
        calls = ()
    for index, call in enumerate(calls):
        arguments = call.arguments_text()
        call_id = call.id or f"call_{digest(prompt_ids, index, call.name, arguments):016x}"
        pieces.append(Piece("call", call.name, encode(call.name), index, call_id))
        pieces += [Piece("call", piece, encode(piece), index) for piece in split(arguments)]
    limit = room if sampling.max_tokens is None else min(room, sampling.max_tokens)
    if sampling.ignore_eos and pieces and sampling.max_tokens is not None:
        pieces = [pieces[place % len(pieces)] for place in range(limit)]
    kept: list[Piece] = []
    for piece in pieces:
        limit -= len(piece.token_ids)
        if limit < 0:
            return kept, "length"
        kept.append(piece)
    if sampling.ignore_eos and sampling.max_tokens is not None:
        return kept, "length"
    return kept, "tool_calls" if calls else "stop"


def _call_text(call: ScriptedCall) -> str:
    return f'{{"name": "{call.name}", "arguments": {call.arguments_text()}}}'


def groups_of(pieces: list[Piece], size: int) -> list[list[Piece]]:
    """Runs of at most `size` pieces of one kind; the name of a tool stands alone."""
    groups: list[list[Piece]] = []
    for piece in pieces:
        last = groups[-1] if groups else []
        alike = bool(last) and (last[0].kind, last[0].index) == (piece.kind, piece.index)
        if alike and len(last) < size and last[0].call_id is None and piece.call_id is None:
            last.append(piece)
        else:
            groups.append([piece])
    return groups


def chunk_of(group: list[Piece], sampling: Sampling) -> Chunk:
    """What a group is on its way out."""
    kind, text = group[0].kind, "".join(piece.text for piece in group)
    token_ids = tuple(token for piece in group for token in piece.token_ids)
    if kind == "reasoning":
        return Chunk(reasoning=text, token_ids=token_ids)
    if kind == "call":
        opening = group[0].call_id is not None
        delta = ToolCallDelta(
            index=group[0].index,
            id=group[0].call_id,
            name=text if opening else None,
            arguments="" if opening else text,
        )
        return Chunk(tool_calls=(delta,), token_ids=token_ids)
    top = sampling.top_logprobs
    logprobs = () if top is None else tuple(token_logprob(p.text, top) for p in group)
    return Chunk(text=text, token_ids=token_ids, logprobs=logprobs)
