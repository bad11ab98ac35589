"""Choose how to read a model's turn, and read it."""

from dataclasses import dataclass, field, replace

from malmoi.core.errors import UnknownName
from malmoi.core.types import Tool, ToolChoice
from malmoi.engine.parsers.base import NewId, ParsedDelta, random_id
from malmoi.engine.parsers.blocks import BlockRules, BlockTurn, finish_blocks, read_blocks
from malmoi.engine.parsers.marks import StopState, cut_at_stop
from malmoi.engine.parsers.tagged import Rules, Turn, finish_tagged, read_tagged
from malmoi.engine.templates.base import STYLES
from malmoi.engine.templates.styles import style_facts


@dataclass(frozen=True, slots=True)
class ParserRules:
    """How to read the turns of one request. Never changes while they are read."""

    body: Rules | BlockRules
    stops: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParserState:
    """How far a turn is read."""

    body: Turn | BlockTurn
    stop: StopState = field(default_factory=StopState)


def rules_for(
    style: str,
    *,
    tools: tuple[Tool, ...] = (),
    tool_choice: ToolChoice | None = None,
    new_id: NewId = random_id,
) -> ParserRules:
    """The rules of a style (`ChatTemplate.style`).

    With `tool_choice` "none", and without tools, nothing is taken for a call.

    Raises:
        UnknownName: there is no such style.
    """
    known = next((name for name in STYLES if name == style), None)
    if known is None:
        raise UnknownName("output style", style, STYLES)
    stops = style_facts(known).stop
    forbidden = tool_choice is not None and tool_choice.mode == "none"
    offered = {} if forbidden else {tool.name: tool for tool in tools}
    if style == "hyperclovax-seed":
        return ParserRules(BlockRules(offered, new_id), stops)
    body = Rules(offered, "pairs" if style == "hyperclovax-think" else "json", new_id)
    return ParserRules(body, stops)


def start(rules: ParserRules) -> ParserState:
    """The state before the first character."""
    return ParserState(Turn() if isinstance(rules.body, Rules) else BlockTurn())


def step(rules: ParserRules, state: ParserState, text: str) -> tuple[ParserState, tuple[ParsedDelta, ...]]:
    """Read more of a turn: the new state, and what is certain now. Pure."""
    stop, text = cut_at_stop(state.stop, text, rules.stops)
    body, deltas = _read(rules, state.body, text)
    return ParserState(body, stop), deltas


def finish(rules: ParserRules, state: ParserState) -> tuple[ParserState, tuple[ParsedDelta, ...]]:
    """No more text comes: the final state, and what was held back. Pure."""
    body, deltas = _read(rules, state.body, state.stop.held)
    match rules.body, body:
        case Rules(), Turn():
            body, last = finish_tagged(rules.body, body)
        case BlockRules(), BlockTurn():
            body, last = finish_blocks(rules.body, body)
        case _:
            raise AssertionError("rules and state belong to different styles")
    return ParserState(body, replace(state.stop, held="", stopped=True)), (*deltas, *last)


class Parser:
    """The pure functions above with their state, for one turn.

    Args:
        rules: of the request.
        prefix: what the prompt already holds of the turn (`Rendered.prefix`); read before the model's text.
    """

    def __init__(self, rules: ParserRules, prefix: str = "") -> None:
        self._rules = rules
        self._state, self._early = step(rules, start(rules), prefix)

    def push(self, text: str) -> list[ParsedDelta]:
        """What is certain after `text`."""
        self._state, deltas = step(self._rules, self._state, text)
        return self._with_early(deltas)

    def finish(self) -> list[ParsedDelta]:
        """What was held back, when no more text comes."""
        self._state, deltas = finish(self._rules, self._state)
        return self._with_early(deltas)

    def _with_early(self, deltas: tuple[ParsedDelta, ...]) -> list[ParsedDelta]:
        early, self._early = self._early, ()
        return [*early, *deltas]


def parser_for(
    style: str,
    *,
    tools: tuple[Tool, ...] = (),
    thinking: bool | None = None,
    prefix: str | None = None,
    tool_choice: ToolChoice | None = None,
    new_id: NewId = random_id,
) -> Parser:
    """A parser for one turn.

    Args:
        style: `ChatTemplate.style`.
        tools: the tools that were offered.
        thinking: whether the prompt opened a thought; only used without `prefix`.
        prefix: `Rendered.prefix`; none: what the built-in template of this style leaves there.
        tool_choice: of the request.
        new_id: gives a call its id.

    Raises:
        UnknownName: there is no such style.
    """
    rules = rules_for(style, tools=tools, tool_choice=tool_choice, new_id=new_id)
    return Parser(rules, usual_prefix(style, thinking) if prefix is None else prefix)


def usual_prefix(style: str, thinking: bool | None) -> str:
    """What the built-in template of a style leaves of the model's turn at the end of a prompt."""
    match style, thinking:
        case "hyperclovax-seed", None:
            return ""
        case "hyperclovax-seed", _:
            return "/think\n" if thinking else "\n"
        case "hyperclovax-think", _:
            return "<think>\n" if thinking else "<think>\n\n</think>\n\n"
        case (("qwen" | "chatml"), False):
            return "<think>\n\n</think>\n\n"
    return ""


def _read(
    rules: ParserRules, body: Turn | BlockTurn, text: str
) -> tuple[Turn | BlockTurn, tuple[ParsedDelta, ...]]:
    match rules.body, body:
        case Rules(), Turn():
            return read_tagged(rules.body, body, text)
        case BlockRules(), BlockTurn():
            return read_blocks(rules.body, body, text)
    raise AssertionError("rules and state belong to different styles")
