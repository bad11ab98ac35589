"""Render a conversation with a Jinja template: compile it once, run it inside its limits, cut the result."""

import re
from collections.abc import Callable, Collection
from datetime import datetime
from types import CodeType

from jinja2 import Template
from jinja2.exceptions import SecurityError

from malmoi.core.errors import InvalidInput, MalmoiError, ModelFileInvalid
from malmoi.core.types import Chat, Message, Tool
from malmoi.engine.base import Sampling
from malmoi.engine.templates.adapt import fold_system, fold_tools, merge_turns, with_choice
from malmoi.engine.templates.base import Rendered, Style
from malmoi.engine.templates.context import build_variables
from malmoi.engine.templates.environment import PromptEnvironment, Refusal
from malmoi.engine.templates.force import forced_prefix
from malmoi.engine.templates.guard import guard, literals
from malmoi.engine.templates.limits import Budget, LimitReached, Limits, budget_for
from malmoi.engine.templates.neutral import CUT, JOINT, Neutraliser, template_markers
from malmoi.engine.templates.styles import style_facts

BLOCK_ENDS = frozenset({"<|im_end|>"})  # in HyperCLOVA X SEED it ends a block, and the turn goes on
FIX = "Use another file of this model, or choose one of the built-in templates."

_OPENED_THOUGHT = re.compile(r"<think>\s*(?:</think>\s*)?\Z")
_OPENED_BLOCK = re.compile(r"<\|im_start\|>assistant((?:/think)?\n|)\Z")
_PROBE_SYSTEM = "system-probe-7f3a"
_PROBE_TOOL = "tool_probe_7f3a"


class JinjaTemplate:
    """A chat template in Jinja, from a model file or one of our own.

    Args:
        source: the template.
        name: for messages to people.
        style: how the model answers.
        special_tokens: texts that must not arise from content (`forging_tokens` of the model's vocabulary);
            the markers that the template writes itself are always among them.
        bos_token: text of the start token, which templates write themselves; empty: none.
        eos_token: text of the end token; empty: none.
        limits: how much work it may do.
        now: the clock behind the template's `strftime_now`.

    Raises:
        ModelFileInvalid: it is no valid template, too large, or already fails its limits on a greeting.
    """

    def __init__(
        self,
        source: str,
        *,
        name: str,
        style: Style,
        special_tokens: Collection[str] = (),
        bos_token: str = "",
        eos_token: str = "",
        limits: Limits | None = None,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._name = name
        self._style: Style = style
        self._facts = style_facts(style)
        self._bos_token = bos_token
        self._eos_token = eos_token
        self._limits = limits or Limits()
        self._now = now
        self._code, texts = self._compile(source)
        markers = template_markers(texts)
        self._writes_thoughts = "<think>" in markers
        self._neutraliser = Neutraliser(markers | frozenset(special_tokens))
        self._has_system = self._shows(
            Chat((Message("system", _PROBE_SYSTEM), Message("user", "?"))), _PROBE_SYSTEM
        )
        self._has_tools = self._shows(Chat((Message("user", "?"),), tools=(Tool(_PROBE_TOOL),)), _PROBE_TOOL)

    @property
    def name(self) -> str:
        """Its name, for messages to people."""
        return self._name

    @property
    def style(self) -> Style:
        """How the model answers; the first argument of `parser_for`."""
        return self._style

    @property
    def sampling(self) -> Sampling:
        """The sampling that the model's authors recommend."""
        return self._facts.sampling

    def render(self, chat: Chat, *, add_generation_prompt: bool = True) -> Rendered:
        """The prompt that makes the model answer `chat`.

        A conversation that the template refuses (a system message, two user turns in a row) is adapted where
        that keeps its meaning. Without a generation prompt, `tool_choice` forces nothing.

        Raises:
            InvalidInput: the template refuses the conversation, however adapted.
            ModelFileInvalid: the template goes beyond its limits.
        """
        if not chat.messages:
            raise InvalidInput(
                "there are no messages.", field="messages", fix="Send at least one user message."
            )
        offered = with_choice(chat)
        prompt = self._adapted(offered, add_generation_prompt)
        prefix = self._prefix(prompt) if add_generation_prompt else ""
        if add_generation_prompt and offered.tools:
            forced = forced_prefix(self._style, offered.tool_choice, prefix)
            prefix += forced
            prompt += self._neutraliser.guard(forced) if offered.tool_choice.name else forced
        segments = self._neutraliser.segments(prompt)
        return Rendered(
            segments=segments,
            stop=self._stop(),
            prefix=prefix,
            style=self._style,
            writes_bos=bool(self._bos_token) and prompt.startswith(self._bos_token),
            keep_special=self._facts.keep_special,
        )

    def _adapted(self, chat: Chat, add_generation_prompt: bool) -> str:
        plain = chat if self._has_tools else fold_tools(chat)
        plain = plain if self._has_system else fold_system(plain)
        first_error: InvalidInput | None = None
        tried: list[Chat] = []
        for adapt in (lambda c: c, merge_turns, lambda c: merge_turns(fold_system(c))):
            candidate = adapt(plain)
            if candidate in tried:
                continue
            tried.append(candidate)
            try:
                return self._run(candidate, add_generation_prompt)
            except InvalidInput as error:
                first_error = first_error or error
        assert first_error is not None
        raise first_error

    def _run(self, chat: Chat, add_generation_prompt: bool) -> str:
        """The prompt with its marks.

        Raises:
            InvalidInput: the template refuses, or stumbles over, these messages.
            ModelFileInvalid: it goes beyond its limits.
        """
        variables = build_variables(chat, self._neutraliser, add_generation_prompt=add_generation_prompt)
        budget = budget_for(self._limits, values=variables.values, chars=variables.chars)
        environment = PromptEnvironment(budget, self._limits, self._now)
        tokens = {"bos_token": self._bos_token, "eos_token": self._eos_token}
        try:
            template = Template.from_code(environment, self._code, environment.globals)
            return "".join(template.root_render_func(template.new_context({**tokens, **variables.names})))
        except (LimitReached, SecurityError, RecursionError, MemoryError, OverflowError) as error:
            raise self._hostile(error) from error
        except Refusal as error:
            raise InvalidInput(
                f"the chat template of {self._name} refuses these messages: {error}", field="messages"
            ) from error
        except MalmoiError:
            raise
        except Exception as error:
            # The template is a program from a file: it can stumble over its input in any way that Python
            # knows.
            raise InvalidInput(
                f"the chat template of {self._name} cannot write these messages: {error}", field="messages"
            ) from error

    def _compile(self, source: str) -> tuple[CodeType, list[str]]:
        if len(source) > self._limits.source:
            raise ModelFileInvalid(
                f"the chat template of {self._name} has {len(source)} characters; "
                f"{self._limits.source} are the most that is read.",
                fix=FIX,
            )
        environment = PromptEnvironment(Budget(steps=10_000, chars=1_000_000), self._limits, self._now)
        try:
            tree = environment.parse(source)
            texts = literals(tree)
            code = environment.compile(
                guard(tree, environment, max_nodes=self._limits.nodes), filename="<chat template>"
            )
        except Exception as error:
            # Parsing and compiling an unread file can fail in any way (syntax, recursion, a parser out of
            # memory);
            # whatever it is, the file is at fault.
            raise self._hostile(error) from error
        return code, texts

    def _shows(self, chat: Chat, text: str) -> bool:
        """Whether the template writes a role or the tools at all; some drop them silently, some refuse."""
        try:
            prompt = self._run(chat, add_generation_prompt=True)
        except InvalidInput:
            return False
        return text in prompt.replace(CUT, "").replace(JOINT, "")

    def _prefix(self, prompt: str) -> str:
        """What of the model's turn the prompt holds. Its marks are still in: content cannot look like it."""
        if self._style == "hyperclovax-seed":
            block = _OPENED_BLOCK.search(prompt, max(0, len(prompt) - 64))
            return block[1] if block else "\n"
        thought = _OPENED_THOUGHT.search(prompt, max(0, len(prompt) - 64)) if self._writes_thoughts else None
        return thought[0] if thought else ""

    def _stop(self) -> tuple[str, ...]:
        stop = list(self._facts.stop)
        ends_block = self._style == "hyperclovax-seed" and self._eos_token in BLOCK_ENDS
        if self._eos_token and self._eos_token not in stop and not ends_block:
            stop.append(self._eos_token)
        return tuple(stop)

    def _hostile(self, error: BaseException) -> ModelFileInvalid:
        reason = (str(error) or type(error).__name__).partition("\n")[0].rstrip(".")
        return ModelFileInvalid(f"the chat template of {self._name} cannot be used: {reason[:300]}.", fix=FIX)
