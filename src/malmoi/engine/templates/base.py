"""What a chat template is: conversation in, prompt out."""

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, get_args, runtime_checkable

from malmoi.core.types import Chat
from malmoi.engine.base import Sampling

Style: TypeAlias = Literal[
    "qwen", "gemma", "hyperclovax-2024", "hyperclovax-seed", "hyperclovax-think", "chatml", "plain"
]
STYLES: tuple[Style, ...] = get_args(Style)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt, ready to be tokenised.

    Attributes:
        segments: the prompt, cut wherever content held the text of a control token. Tokenise each segment by
            itself (control tokens recognised inside a segment, no space or start token added) and join the
            ids: then no text of a user can become a control token. One segment in the usual case.
        stop: strings that end the model's turn.
        prefix: the beginning of the model's turn that the prompt already holds (an opened `<think>`, a forced
            tool call); the output parser must read it before the model's text.
        style: how the model writes reasoning and tool calls; chooses the output parser.
        writes_bos: the prompt begins with the start token; the tokeniser must not add a second one.
        keep_special: the output parser needs the text of control tokens (HyperCLOVA X SEED separates its
            blocks by `<|im_end|>`), so the engine must not drop them from the output.
    """

    segments: tuple[str, ...]
    stop: tuple[str, ...] = ()
    prefix: str = ""
    style: Style = "plain"
    writes_bos: bool = False
    keep_special: bool = False

    @property
    def text(self) -> str:
        """The whole prompt, as a person would read it."""
        return "".join(self.segments)


@runtime_checkable
class ChatTemplate(Protocol):
    """A way to write a conversation for one family of models."""

    @property
    def name(self) -> str:
        """Its name, for messages to people."""
        ...

    @property
    def style(self) -> Style:
        """How the model answers; the first argument of `parser_for`."""
        ...

    @property
    def sampling(self) -> Sampling:
        """The sampling that the family's authors recommend; None where they say nothing."""
        ...

    def render(self, chat: Chat, *, add_generation_prompt: bool = True) -> Rendered:
        """The prompt that makes the model answer `chat`.

        Raises:
            InvalidInput: the template refuses these messages or options.
            ModelFileInvalid: the template is hostile or broken.
        """
        ...
