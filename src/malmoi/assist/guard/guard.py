"""The guard of a gateway: what is asked is checked before the model runs, and every answer on its way out.

guard = Guard(load_policy("strict"), home)
checked = await guard.check(prompt)          # the prompt as the model may see it, or a reply instead
answer = guard.answer(checked)               # one for each answer (assist/guard/answer.py)
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from malmoi.assist.guard.answer import AnswerGuard
from malmoi.assist.guard.classifiers import Classifiers
from malmoi.assist.guard.data import Language, message, read_table
from malmoi.assist.guard.fence import Fence, cut_orders, find_orders
from malmoi.assist.guard.jsontext import map_strings
from malmoi.assist.guard.judge import Judge
from malmoi.assist.guard.policy import Policy
from malmoi.assist.guard.report import Report
from malmoi.assist.guard.sentences import language_of, sentences
from malmoi.assist.guard.vault import Vault
from malmoi.assist.guard.verdict import Reason, hardest
from malmoi.core.pii import find_pii
from malmoi.core.types import Chat, Message
from malmoi.engine.base import Prompt

_SHORT = 20_000  # characters that are looked through in some 20 ms
_SIDE_BY_SIDE = 2  # longer requests that are looked through at a time, each in a thread


@dataclass(slots=True)
class Checked:
    """A request that was looked at.

    Attributes:
        prompt: as the model may see it.
        reply: what is answered instead of asking the model; None: the model is asked.
        report: what was found, and what was done.
        vault: what was covered in it.
        language: of the guard's messages.
    """

    prompt: Prompt
    reply: str | None = None
    report: Report = field(default_factory=Report)
    vault: Vault = field(default_factory=Vault)
    language: Language = "ko"


class Guard:
    """Guards requests and answers by one policy. Safe for concurrent use.

    Args:
        policy: what is looked for, and what is done about it.
        home: Malmoi's home directory, where classifiers are.
        classifiers: used instead of those of `home`.
    """

    def __init__(
        self, policy: Policy, home: Path | None = None, *, classifiers: Classifiers | None = None
    ) -> None:
        self.policy = policy
        self.judge = Judge(policy, classifiers or Classifiers(home, policy.classifiers))
        self._covering = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def check(self, prompt: Prompt) -> Checked:
        """Look at what is asked. Prompts of token ids pass: they cannot be read here.

        Raises:
            MalmoiError: a classifier cannot be read.
        """
        if isinstance(prompt, tuple):
            return Checked(prompt)
        question = _question(prompt)
        checked = Checked(prompt, language=language_of(question[-self.policy.reach :]))
        await self._judge_question(checked, question)
        if checked.reply is None and not checked.report.is_blocked:
            if sum(map(len, _texts(prompt))) <= _SHORT:
                self._cover(checked)
            else:  # other requests must go on
                async with self._covering:
                    await asyncio.to_thread(self._cover, checked)
        return checked

    def answer(self, checked: Checked, *, wants_filter: bool = False) -> AnswerGuard:
        """The guard of one answer to a checked request."""
        return AnswerGuard(
            self.judge,
            checked.vault,
            checked.report.copy(),
            language=checked.language,
            wants_filter=wants_filter,
        )

    async def _judge_question(self, checked: Checked, question: str) -> None:
        """Needs first, then groups. Only the end of a long question is judged."""
        start = max(0, len(question) - self.policy.reach)
        part = question[start:]
        need = self.judge.needs(part)
        if need is not None:
            self._take(checked, [need])
            if need.action in ("replace", "block"):
                return
        spans = list(sentences(part))
        texts = [part[a:b] for a, b in spans]
        if self.judge.asks_models:
            verdicts = await asyncio.to_thread(self.judge.judge, texts, "input")
        else:
            verdicts = self.judge.judge(texts, "input")
        found = [
            replace(reason, start=start + a + reason.start, end=start + a + reason.end)
            for (a, _), verdict in zip(spans, verdicts, strict=True)
            for reason in verdict.reasons
        ]
        self._take(checked, found)
        masked = [reason for reason in found if reason.action == "mask"]
        if masked and checked.reply is None:
            covered = list(question)
            for reason in masked:
                covered[reason.start : reason.end] = ["○"] * (reason.end - reason.start)
            checked.prompt = _with_question(checked.prompt, "".join(covered))

    def _take(self, checked: Checked, reasons: Sequence[Reason]) -> None:
        """Note what was found; the first thing that must not be answered gives the reply."""
        report = checked.report
        report.reasons.setdefault("input", []).extend(reasons)
        report.action = hardest([report.action, *(reason.action for reason in reasons)])
        hard = [reason for reason in reasons if reason.action in ("replace", "block")]
        if not hard or checked.reply is not None:
            return
        first = next((reason for reason in hard if reason.action == "block"), hard[0])
        report.message = self._message(first, checked.language)
        checked.reply = "" if first.action == "block" else report.message

    def _message(self, reason: Reason, language: Language) -> str:
        topic = self.policy.topics.get(reason.group)
        if topic is not None and reason.source.startswith("rule:"):
            usual = read_table("rules", "topics.toml")["topics"][reason.group]["lines"]
            return message(reason.group, language, topic.lines or tuple(usual))
        group = self.policy.groups.get(reason.group)
        if group is not None:
            return message(group.message, language)
        return message("injection" if reason.group == "injection" else "personal_data", language)

    def _cover(self, checked: Checked) -> None:
        """Personal data, then orders and fences of what is not the person's own."""
        prompt = checked.prompt
        if isinstance(prompt, str):
            checked.vault = Vault([prompt])
            checked.prompt = self._hidden(checked, prompt, own=True)
            return
        assert isinstance(prompt, Chat)
        checked.vault = Vault(_texts(prompt))
        fence = Fence()
        messages = tuple(self._safe_message(checked, fence, one) for one in prompt.messages)
        if checked.reply is not None:
            return
        if messages != prompt.messages:
            if any(fence.nonce in one.content for one in messages):
                messages = _with_instruction(messages, fence.instruction())
            checked.prompt = replace(prompt, messages=messages)

    def _safe_message(self, checked: Checked, fence: Fence, one: Message) -> Message:
        content, reasoning, calls = one.content, one.reasoning, one.tool_calls
        own = one.role == "user"
        if one.role in self.policy.pii.roles:
            content = self._hidden(checked, content, own=own)
            reasoning = self._hidden(checked, reasoning, own=False)
            calls = tuple(
                replace(call, arguments=self._hidden_arguments(checked, call.arguments)) for call in calls
            )
        if one.role in self.policy.fence.roles and (
            self.policy.fence.enabled or self.policy.fence.injection != "pass"
        ):
            content = self._fenced(checked, fence, content)
        if (content, reasoning, calls) == (one.content, one.reasoning, one.tool_calls):
            return one
        return replace(one, content=content, reasoning=reasoning, tool_calls=calls)

    def _hidden_arguments(self, checked: Checked, arguments: str) -> str:
        """Arguments of a call that was made before: JSON stays JSON, what is none is covered as text."""

        def hidden(text: str) -> str:
            return self._hidden(checked, text, own=False)

        def hidden_number(number: str) -> str:
            covered = hidden(number)
            return number if covered == number else json.dumps(covered, ensure_ascii=False)

        try:
            json.loads(arguments)
        except (ValueError, RecursionError):
            return hidden(arguments)
        return map_strings(arguments, hidden, change_number=hidden_number)

    def _hidden(self, checked: Checked, text: str, *, own: bool) -> str:
        actions = self.policy.pii.kinds("input")
        if not actions:
            return text
        found = [
            Reason("pii", 1.0, f"pii:{one.kind}", one.start, one.end, actions[one.kind])
            for one in find_pii(text, frozenset(actions))
        ]
        if found:
            self._take(checked, found)
        masked = frozenset(kind for kind, action in actions.items() if action == "mask")
        return checked.vault.hide(text, masked, own=own) if masked else text

    def _fenced(self, checked: Checked, fence: Fence, text: str) -> str:
        settings = self.policy.fence
        if settings.injection != "pass":
            orders = [
                replace(order, action=settings.injection) for order in find_orders(text, settings.threshold)
            ]
            if orders:
                self._take(checked, orders)
            if settings.injection == "mask":
                text = cut_orders(text, orders)
        return fence.around(text) if settings.enabled else text


def _texts(prompt: str | Chat) -> list[str]:
    """All texts of a request that the guard looks through."""
    if isinstance(prompt, str):
        return [prompt]
    texts = [text for one in prompt.messages for text in (one.content, one.reasoning)]
    return texts + [call.arguments for one in prompt.messages for call in one.tool_calls]


def _question(prompt: str | Chat) -> str:
    """What the person says: the last user message, or the last paragraph of a text to continue."""
    if isinstance(prompt, str):
        return prompt.rstrip().rpartition("\n\n")[2]
    return next((one.content for one in reversed(prompt.messages) if one.role == "user"), "")


def _with_question(prompt: Prompt, question: str) -> Prompt:
    """The prompt with other words in the place of what the person says."""
    if isinstance(prompt, str):
        end = prompt[len(prompt.rstrip()) :]
        before, gap, _ = prompt.rstrip().rpartition("\n\n")
        return f"{before}{gap}{question}{end}"
    assert isinstance(prompt, Chat)
    last = max(place for place, one in enumerate(prompt.messages) if one.role == "user")
    messages = list(prompt.messages)
    messages[last] = replace(messages[last], content=question)
    return replace(prompt, messages=tuple(messages))


def _with_instruction(messages: tuple[Message, ...], instruction: str) -> tuple[Message, ...]:
    first, *rest = messages
    if first.role == "system":
        return (replace(first, content=f"{first.content}\n\n{instruction}"), *rest)
    return (Message("system", instruction), *messages)
