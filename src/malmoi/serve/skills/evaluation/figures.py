"""Shares of outcomes, with their 95 % intervals."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from malmoi.core.proportions import Proportion, clustered_proportion, wilson_proportion
from malmoi.serve.skills.evaluation.run import Outcome, Setting


@dataclass(frozen=True, slots=True)
class Figure:
    """A share of queries.

    Attributes:
        setting: which skills were on.
        name: what is measured.
        of: "all", a language or a kind.
        share: with its 95 % interval.
    """

    setting: Setting
    name: str
    of: str
    share: Proportion

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        share = asdict(self.share)
        return {"setting": self.setting, "name": self.name, "of": self.of, "value": self.share.value, **share}


def figures(outcomes: Sequence[Outcome], *, with_model: bool) -> list[Figure]:
    """The shares of one setting, for all queries, by language and by kind.

    Args:
        outcomes: of one setting.
        with_model: whether a model has read arguments; without one, only what needs none is measured.
    """
    if not outcomes:
        return []
    setting = outcomes[0].setting
    groups = {"all": list(outcomes)}
    for key in ("language", "kind"):
        for value in sorted({getattr(one, key) for one in outcomes}):
            groups[value] = [one for one in outcomes if getattr(one, key) == value]
    told: list[Figure] = []
    for of, group in groups.items():
        shares = _shares(group, with_model=with_model)
        told += [Figure(setting, name, of, share) for name, share in shares.items() if share.total]
    return told


def _shares(group: Sequence[Outcome], *, with_model: bool) -> dict[str, Proportion]:
    asked_for = [one for one in group if one.wanted]
    none = [one for one in group if not one.wanted]
    hit = [one for one in asked_for if one.is_operation_right]
    shares = {
        "a skill called": _share([bool(one.found) for one in asked_for]),
        "right skill": _share([one.is_skill_right for one in asked_for]),
        "right operation": _share([one.is_operation_right for one in asked_for]),
        "none for none": _share([not one.found for one in none]),
    }
    if with_model:
        whole = [one for one in hit if not one.needs_question]
        shares |= {
            "arguments valid": _share([one.is_valid for one in whole]),
            "arguments right": _share([one.are_arguments_right for one in whole]),
            "asks when it must": _share([one.asks for one in hit if one.needs_question]),
            "asks in vain": _share([one.asks for one in whole]),
            "task success": _share([one.is_success for one in asked_for]),
        }
    else:
        shares |= {
            "arguments filled": _within([(len(one.right), len(one.wanted_arguments)) for one in hit]),
            "of these right": _within([(sum(one.right.values()), len(one.right)) for one in hit]),
        }
    return shares


def _share(told: Sequence[bool]) -> Proportion:
    return wilson_proportion(sum(told), len(told))


def _within(counts: Sequence[tuple[int, int]]) -> Proportion:
    """Arguments of one query stand or fall together, so whole queries are drawn for the interval."""
    return clustered_proportion([(count, total) for count, total in counts if total])
