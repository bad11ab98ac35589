"""Text to token ids and back: what a control token is, only a template may say."""

from collections.abc import Sequence
from typing import Any

from malmoi.core.errors import ContextOverflow, InvalidInput
from malmoi.core.types import Chat
from malmoi.engine.base import Prompt
from malmoi.engine.templates import ChatTemplate, Rendered


class Encoder:
    """The tokenizer of one model.

    Attributes:
        ends: the ids that end a text.
        vocab_size: how many ids the model knows.
    """

    def __init__(
        self, model: Any, tokenizer: Any, template: ChatTemplate | None, *, context_length: int
    ) -> None:
        self._tokenizer = tokenizer
        self._template = template
        self._context_length = context_length
        self._bos = _added_bos(tokenizer)
        self.ends = _end_ids(model, tokenizer)
        self.vocab_size = int(model.get_output_embeddings().weight.shape[0])

    def prompt_ids(self, prompt: Prompt) -> tuple[list[int], Rendered | None]:
        """The ids of a prompt, and a conversation as its template wrote it.

        Raises:
            InvalidInput: a token id is not one of the model's.
        """
        if isinstance(prompt, Chat):
            assert self._template is not None
            rendered = self._template.render(prompt)
            ids = [] if rendered.writes_bos else list(self._bos)
            for segment in rendered.segments:
                ids += self._tokenizer.encode(segment, add_special_tokens=False)
            return ids, rendered
        if isinstance(prompt, str):
            return self.text_ids(prompt), None
        if any(not 0 <= token < self.vocab_size for token in prompt):
            raise InvalidInput(f"token ids lie between 0 and {self.vocab_size - 1}.", field="prompt")
        return list(prompt), None

    def text_ids(self, text: str) -> list[int]:
        """Text from anywhere: the text of a control token in it stays text."""
        ids = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return [*self._bos, *ids]

    def start_id(self) -> int:
        """The token that stands for "nothing before"."""
        for token in (self._tokenizer.bos_token_id, self._tokenizer.eos_token_id, *sorted(self.ends)):
            if token is not None:
                return int(token)
        raise InvalidInput("this model has no start token: the context must not be empty.", field="context")

    def pairs_ids(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[list[int], int]]:
        """`pair_ids` of many; a context that comes several times is cut into tokens once."""
        lengths: dict[str, int] = {}
        rows = []
        for context, continuation in pairs:
            stripped = context.rstrip()
            if stripped not in lengths:
                lengths[stripped] = len(self.text_ids(stripped))
            rows.append(self.pair_ids(context, continuation, start=lengths[stripped]))
        return rows

    def pair_ids(self, context: str, continuation: str, *, start: int | None = None) -> tuple[list[int], int]:
        """The ids of both together, and where the continuation begins.

        Args:
            context: spaces at its end count to the continuation.
            continuation: what is scored.
            start: tokens of the context without those spaces, if they are known.

        Raises:
            InvalidInput: there is nothing to score.
            ContextOverflow: both together are too long.
        """
        stripped = context.rstrip()
        continuation = context[len(stripped) :] + continuation
        whole = self.text_ids(stripped + continuation)
        start = len(self.text_ids(stripped)) if start is None else start
        if start == 0:
            whole, start = [self.start_id(), *whole], 1
        if len(whole) < 2:
            raise InvalidInput("the continuation is empty.", field="continuation")
        if len(whole) > self._context_length:
            raise ContextOverflow(len(whole), self._context_length)
        # Where both grow together to fewer tokens, the last token is the continuation's.
        return whole, min(start, len(whole) - 1)

    def decode(self, token_ids: Sequence[int], *, keep_special: bool = True) -> str:
        """The text of token ids; control tokens have none unless `keep_special`."""
        return str(
            self._tokenizer.decode(
                token_ids, skip_special_tokens=not keep_special, clean_up_tokenization_spaces=False
            )
        )


def _end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """The ids that end a text, by the model's configuration and its tokenizer's."""
    ends: set[int] = set()
    for told in (model.generation_config.eos_token_id, model.config.eos_token_id, tokenizer.eos_token_id):
        if told is not None:
            ends.update([told] if isinstance(told, int) else told)
    return frozenset(ends)


def _added_bos(tokenizer: Any) -> tuple[int, ...]:
    """The start token, if the tokenizer puts one in front by itself."""
    ids = tokenizer("a")["input_ids"]
    return (ids[0],) if ids and ids[0] == tokenizer.bos_token_id else ()
