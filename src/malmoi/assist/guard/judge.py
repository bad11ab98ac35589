"""Judging texts: needs, word lists and classifiers, put together by a policy. Rules come before models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from malmoi.assist.guard.data import read_list
from malmoi.assist.guard.lists import WordList
from malmoi.assist.guard.topics import find_needs
from malmoi.assist.guard.verdict import Direction, Reason, Verdict

if TYPE_CHECKING:
    from malmoi.assist.guard.classifiers import Classifiers, Opinion
    from malmoi.assist.guard.policy import GroupPolicy, Policy
    from malmoi.engine.classify import LabelGroup

_CACHED = 512  # sentences that are remembered: several answers to one prompt, a history sent again


class Judge:
    """Judges sentences by a policy.

    Args:
        policy: what counts, and what is done about it.
        classifiers: the models to ask.
    """

    def __init__(self, policy: Policy, classifiers: Classifiers) -> None:
        self.policy = policy
        self._classifiers = classifiers
        self._lists = {
            name: WordList([*(entry for one in group.lists for entry in read_list(one)), *group.words])
            for name, group in policy.groups.items()
        }
        self._seen: dict[str, Opinion] = {}

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that installed classifiers tell, if the policy asks any."""
        return self._classifiers.labels if self._needs_models() else ()

    @property
    def asks_models(self) -> bool:
        """Whether judging takes a model, and so is better done in a thread."""
        return bool(self.labels)

    def can_judge(self, group: str, direction: Direction = "output") -> bool:
        """Whether anything here can tell texts of this group."""
        policy = self.policy.groups.get(group)
        if policy is None:
            return False
        return bool(policy.lists or policy.words or set(self.labels) & set(_labels(policy, direction)))

    def judge(self, texts: Sequence[str], direction: Direction) -> list[Verdict]:
        """A verdict for each text.

        Raises:
            MalmoiError: a classifier cannot be read.
        """
        wanted = {
            name: group
            for name, group in self.policy.groups.items()
            if (group.input if direction == "input" else group.output) != "pass"
        }
        opinions = self._opinions(texts, wanted, direction)
        return [
            self._verdict(text, wanted, opinion, direction)
            for text, opinion in zip(texts, opinions, strict=True)
        ]

    def needs(self, text: str) -> Reason | None:
        """The first need that is told in a question, for which the policy does something."""
        actions = {name: topic.input for name, topic in self.policy.topics.items() if topic.input != "pass"}
        for need in find_needs(text, actions):
            action = actions[need.topic]
            return Reason(need.topic, 1.0, f"rule:{need.topic}", need.start, need.end, action)
        return None

    def _needs_models(self) -> bool:
        return any(group.labels or group.input_labels for group in self.policy.groups.values())

    def _opinions(
        self, texts: Sequence[str], wanted: dict[str, GroupPolicy], direction: Direction
    ) -> list[Opinion | None]:
        if not any(_labels(group, direction) for group in wanted.values()) or not self.labels:
            return [None] * len(texts)
        seen = self._seen  # other threads may begin a new one
        asked = [text for text in dict.fromkeys(texts) if text.strip() and text not in seen]
        new = dict(zip(asked, self._classifiers.predict(asked), strict=True)) if asked else {}
        opinions = [new.get(text) or seen.get(text) for text in texts]
        if len(seen) + len(new) > _CACHED:
            self._seen = dict(list(new.items())[-_CACHED:])
        else:
            seen.update(new)
        return opinions

    def _verdict(
        self, text: str, wanted: dict[str, GroupPolicy], opinion: Opinion | None, direction: Direction
    ) -> Verdict:
        reasons: list[Reason] = []
        scores: dict[str, float] = {}
        for name, group in wanted.items():
            action = group.input if direction == "input" else group.output
            spans = self._lists[name].find(text)
            reasons += [
                Reason(name, 1.0, f"list:{(*group.lists, 'words')[0]}", start, end, action)
                for start, end in spans
            ]
            scores[name] = 1.0 if spans else 0.0
            for source, score in self._told(group, direction, opinion):
                scores[name] = max(scores[name], score)
                if score >= group.high:
                    reasons.append(Reason(name, score, f"classifier:{source}", 0, len(text), action))
        return Verdict(tuple(reasons), scores)

    def _told(
        self, group: GroupPolicy, direction: Direction, opinion: Opinion | None
    ) -> Iterator[tuple[str, float]]:
        """What each question of the classifiers says of a group: the sum of its labels there, as a score."""
        if opinion is None:
            return
        wanted = set(_labels(group, direction))
        for question in self._classifiers.groups:
            labels = [label for label in question.labels if label in wanted]
            if labels:
                chance = min(1.0, sum(opinion.chances[label] for label in labels))
                yield "+".join(labels), _scaled(question, labels, chance, group)


def _scaled(question: LabelGroup, labels: Sequence[str], chance: float, group: GroupPolicy) -> float:
    """A probability, stretched so that the operating point that the policy names lies at `high`."""
    for point in question.points if group.point else ():
        if point.name == group.point and set(point.flagged) == set(labels) and 0 < point.threshold < 1:
            if chance < point.threshold:
                return group.high * chance / point.threshold
            return group.high + (1 - group.high) * (chance - point.threshold) / (1 - point.threshold)
    return chance


def _labels(group: GroupPolicy, direction: Direction) -> tuple[str, ...]:
    return (*group.labels, *group.input_labels) if direction == "input" else group.labels
