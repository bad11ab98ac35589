"""Reading one answer: llama.cpp's events in, chunks out."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from malmoi.core.types import Chat
from malmoi.engine.base import Chunk, Prompt, Sampling
from malmoi.engine.llamacpp import replies

if TYPE_CHECKING:
    from malmoi.engine.parsers import OutputParser, ParsedDelta
    from malmoi.engine.templates import Rendered


class AnswerReader:
    """State of one answer. A chat's text goes through the parser of its template's style.

    Args:
        prompt: what was asked; only a `Chat` is parsed.
        rendered: the chat as it was rendered.
        sampling: what was asked for.
    """

    def __init__(self, prompt: Prompt, rendered: "Rendered | None", sampling: Sampling) -> None:
        self._wanted_logprobs = sampling.top_logprobs
        self._parser: OutputParser | None = None
        self._called_tools = False
        self._reasoning_tokens = 0
        self.finished = False
        if rendered is not None and isinstance(prompt, Chat):
            from malmoi.engine.parsers import parser_for

            self._parser = parser_for(
                rendered.style,
                tools=prompt.tools,
                thinking=prompt.thinking,
                prefix=rendered.prefix,
                tool_choice=prompt.tool_choice,
            )

    def read(self, event: Mapping[str, Any]) -> Iterator[Chunk]:
        """The chunks of one event, or of a whole answer; the last has finish reason and usage."""
        last = replies.is_last(event)
        text = replies.read_text(event, cut=last and event.get("stop_type") == "limit")
        token_ids = tuple(event.get("tokens") or ())
        logprobs = replies.read_logprobs(event, self._wanted_logprobs)
        if self._parser is None:
            if text or token_ids or logprobs:
                yield Chunk(text=text, token_ids=token_ids, logprobs=logprobs)
        else:
            deltas = self._parser.push(text) if text else []
            if last:
                deltas += self._parser.finish()
            chunks = [self._chunk(delta) for delta in deltas]
            if any(chunk.reasoning for chunk in chunks):
                self._reasoning_tokens += len(token_ids)
            if token_ids or logprobs:
                first = chunks[0] if chunks else Chunk()
                chunks[:1] = [
                    Chunk(
                        text=first.text,
                        reasoning=first.reasoning,
                        tool_calls=first.tool_calls,
                        token_ids=token_ids,
                        logprobs=logprobs,
                    )
                ]
            yield from chunks
        if last:
            self.finished = True
            yield Chunk(
                finish_reason=replies.read_finish(event, called_tools=self._called_tools),
                usage=replies.read_usage(event, reasoning_tokens=self._reasoning_tokens),
            )

    def _chunk(self, delta: "ParsedDelta") -> Chunk:
        self._called_tools = self._called_tools or bool(delta.tool_calls)
        return Chunk(text=delta.text, reasoning=delta.reasoning, tool_calls=tuple(delta.tool_calls))
