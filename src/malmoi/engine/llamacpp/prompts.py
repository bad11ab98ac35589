"""From a prompt to what the child is sent, without a second start token and without forged control tokens."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from malmoi.core.errors import ContextOverflow, InvalidInput, Unsupported
from malmoi.core.types import Chat
from malmoi.engine.base import Prompt

if TYPE_CHECKING:
    from malmoi.engine.templates import ChatTemplate, Rendered

# (text, add the start token) -> ids; control tokens inside the text are recognised.
Tokenise = Callable[[str, bool], Awaitable[tuple[int, ...]]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prompt as it is sent: text, to which the tokeniser adds what it always adds, or ids."""

    content: str | tuple[int, ...]
    rendered: "Rendered | None" = None


@dataclass(frozen=True, slots=True)
class PromptWriter:
    """Writes prompts for one model.

    Attributes:
        template: the chat template; None: the model has no chat.
        bos_token: text of the start token; empty: none.
        adds_bos: whether the tokeniser puts it in front by itself.
        context_length: tokens that fit; None: not known.
    """

    model: str
    template: "ChatTemplate | None" = None
    bos_token: str = ""
    adds_bos: bool = False
    context_length: int | None = None

    async def prepare(self, prompt: Prompt, tokenise: Tokenise) -> Prepared:
        """Render, cut and where necessary tokenise.

        Raises:
            Unsupported: a chat, and the model has no template.
            InvalidInput: it is empty, or not text.
            ContextOverflow: it is cut into more pieces than tokens fit.
        """
        if isinstance(prompt, Chat):
            if self.template is None:
                raise Unsupported(
                    f"{self.model} has no chat template: it only continues text.",
                    fix="Use /v1/completions, or a model that was trained to answer.",
                )
            rendered = self.template.render(prompt)
            segments = [segment for segment in rendered.segments if segment]
            if len(segments) <= 1:
                return Prepared(self._without_bos(checked("".join(segments))), rendered)
            return Prepared(await self._join(segments, tokenise), rendered)
        if isinstance(prompt, str):
            return Prepared(self._without_bos(checked(prompt)))
        if not prompt:
            raise _empty()
        return Prepared(tuple(prompt))

    async def _join(self, segments: list[str], tokenise: Tokenise) -> tuple[int, ...]:
        """Each segment tokenised by itself: text that was cut apart cannot become one control token."""
        # Each piece has a token at least and takes a round trip: a text of markers alone would take hours.
        if self.context_length is not None and len(segments) > self.context_length:
            raise ContextOverflow(len(segments), self.context_length)
        first, *rest = segments
        ids = list(await tokenise(self._without_bos(checked(first)), True))
        for segment in rest:
            ids += await tokenise(checked(segment), False)
        return tuple(ids)

    def _without_bos(self, text: str) -> str:
        """The start token is left to the tokeniser where that adds it."""
        if self.adds_bos and self.bos_token and text.startswith(self.bos_token):
            return text[len(self.bos_token) :]
        if not text and not self.adds_bos:
            raise _empty()
        return text


def checked(text: str) -> str:
    """The text, which must be writable as UTF-8.

    Raises:
        InvalidInput: it has half a surrogate pair.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"the prompt has half a character (a lone surrogate) at {error.start}.", field="prompt"
        ) from error
    return text


def _empty() -> InvalidInput:
    return InvalidInput("the prompt is empty.", field="prompt")
