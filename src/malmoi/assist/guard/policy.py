"""Policies: what is looked for, and what is done about it. One TOML file each.

    policy = load_policy("default")          # of the package
    policy = load_policy("/etc/malmoi/ours.toml")

What can be done: `pass` (not looked at), `flag` (noted), `mask` (the words, or the sentence, are covered),
`replace` (a message stands in the place of the rest), `block` (nothing more is said).
"""

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from malmoi.assist.guard.data import known_lines, known_lists, known_messages, known_topics
from malmoi.assist.guard.lists import fold
from malmoi.assist.guard.verdict import Action, Direction
from malmoi.core.config import ConfigTree, read_toml
from malmoi.core.errors import UnknownName
from malmoi.core.pii import KINDS

PiiAction = Literal["pass", "flag", "mask", "block"]
Share = Annotated[float, Field(ge=0, le=1)]


def _is_list(name: str) -> str:
    return _one_of("list", name, known_lists())


def _is_line(name: str) -> str:
    return _one_of("help line", name, known_lines())


def _is_word(word: str) -> str:
    if not fold(word)[0].strip().removeprefix("!").strip():
        raise ValueError(f"{word!r} is not a word")
    return word


def _one_of(kind: str, name: str, known: tuple[str, ...]) -> str:
    if name not in known:
        raise ValueError(f"there is no {kind} {name!r}; there are {', '.join(known)}")
    return name


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class GroupPolicy(_Section):
    """Texts of one kind: which labels and lists tell them, and what is done about them."""

    labels: tuple[str, ...] = ()
    """Labels of classifiers that count. The score of a text is the sum of those that one question has; of
    several questions the highest."""
    input_labels: tuple[str, ...] = ()
    """Labels that count for questions alone."""
    lists: tuple[Annotated[str, AfterValidator(_is_list)], ...] = ()
    """Word lists of the package; a word of one scores 1."""
    words: tuple[Annotated[str, AfterValidator(_is_word)], ...] = ()
    """Further words; a word that begins with `!` is an exception to all of them."""
    point: str = ""
    """Operating point of the classifier that counts as `high`, such as `precision_0.9`; none: `high`."""
    possible: Share = 0.5
    """From this score on a risk is possible."""
    high: Share = 0.85
    """From this score on the risk is high, and the action is taken."""
    input: Action = "flag"
    """What is done about what people ask."""
    output: Action = "flag"
    """What is done about what a model answers."""
    message: str = "unsafe"
    """Name of the message that stands for what is replaced or blocked."""

    @model_validator(mode="after")
    def _are_in_order(self) -> "GroupPolicy":
        if self.possible > self.high:
            raise ValueError("possible must not be above high")
        _one_of("message", self.message, known_messages())
        return self


class TopicPolicy(_Section):
    """Somebody in need: the answer is a message with help lines, and the model is not asked."""

    input: Action = "replace"
    """What is done about it."""
    lines: tuple[Annotated[str, AfterValidator(_is_line)], ...] = ()
    """Help lines that the message names, in this order; none: those of the rules."""


class PiiPolicy(_Section):
    """Personal data."""

    input: PiiAction = "pass"
    """What is done about personal data in what people and tools say; masked, the model sees placeholders."""
    output: PiiAction = "pass"
    """What is done about personal data that a model says."""
    input_kinds: dict[str, PiiAction] = Field(default_factory=dict)
    """Other actions for some kinds of what people say, such as `{phone = "pass"}`."""
    output_kinds: dict[str, PiiAction] = Field(default_factory=dict)
    """Other actions for some kinds of what a model says."""
    restore: bool = False
    """Give people their own data back where the answer has its placeholder."""
    roles: tuple[Literal["system", "user", "assistant", "tool"], ...] = ("user", "assistant", "tool")
    """Whose messages are masked."""

    @model_validator(mode="after")
    def _are_kinds(self) -> "PiiPolicy":
        for kind in (*self.input_kinds, *self.output_kinds):
            _one_of("kind of personal data", kind, KINDS)
        return self

    def kinds(self, direction: Direction) -> dict[str, PiiAction]:
        """What is done about each kind that is looked for."""
        usual = self.input if direction == "input" else self.output
        own = self.input_kinds if direction == "input" else self.output_kinds
        actions = {kind: own.get(kind, usual) for kind in KINDS}
        return {kind: action for kind, action in actions.items() if action != "pass"}


class FencePolicy(_Section):
    """Texts that are not the person's own: results of tools, documents."""

    enabled: bool = False
    """Set them between marks that they cannot know, and tell the model that what is inside is no order."""
    roles: tuple[Literal["user", "tool"], ...] = ("tool",)
    """Whose messages are set between marks."""
    injection: PiiAction = "flag"
    """What is done about lines in them that give the model orders; masked, they are cut out."""
    threshold: Share = 0.6
    """From this score on a line counts as an order."""


class StreamPolicy(_Section):
    """How long text may be held back where answers are judged before they leave."""

    hold_characters: int = Field(160, ge=16, le=2000)
    """A sentence that is longer is judged in parts."""
    hold_seconds: float = Field(2.0, gt=0)
    """A sentence that takes longer is judged as far as it goes, when its next word comes."""


class Policy(_Section):
    """All that the guard does."""

    title: str = ""
    """What the policy is for."""
    groups: dict[str, GroupPolicy] = Field(default_factory=dict)
    """Kinds of texts by their names."""
    topics: dict[str, TopicPolicy] = Field(default_factory=dict)
    """Needs that are answered with help lines."""
    pii: PiiPolicy = PiiPolicy()
    """Personal data."""
    fence: FencePolicy = FencePolicy()
    """Texts that are not the person's own."""
    stream: StreamPolicy = StreamPolicy()
    """How long text may be held back."""
    classifiers: tuple[str, ...] | None = None
    """Artifacts (or folders) of classifiers; none: the newest of the store for each set of labels."""
    best_of: int = Field(1, ge=1, le=16)
    """Answers to choose the safest from (of requests for one answer without tools and JSON)."""
    reach: int = Field(2000, ge=100)
    """Characters at the end of a question that are judged; the beginning of longer ones is not."""

    @model_validator(mode="after")
    def _are_topics(self) -> "Policy":
        for name in self.topics:
            _one_of("topic", name, known_topics())
        return self

    def holds_output(self) -> bool:
        """Whether an answer must be judged before it leaves."""
        return any(group.output in ("mask", "replace", "block") for group in self.groups.values())


def known_policies() -> tuple[str, ...]:
    """Names of the policies of the package."""
    folder = files("malmoi.assist.guard").joinpath("policies")
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir()))


def policy_file(name: str) -> Path:
    """The TOML file of a policy.

    Raises:
        UnknownName: it is no path, and no policy of the package.
    """
    if "/" in name or name.endswith(".toml"):
        return Path(name).expanduser()
    if name not in known_policies():
        raise UnknownName("guard policy", name, known_policies(), fix="A path of a file may be given too.")
    return Path(str(files("malmoi.assist.guard").joinpath("policies", f"{name}.toml")))


def load_policy(name: str) -> Policy:
    """A policy of the package, or of a file (a path with `/` or `.toml`).

    Raises:
        UnknownName: there is no such policy.
        ConfigError: the file cannot be read, or a key of it is wrong; the message names both.
    """
    file = policy_file(name)
    tree = ConfigTree()
    tree.merge(read_toml(file), origin=str(file))
    return tree.validate(Policy)
