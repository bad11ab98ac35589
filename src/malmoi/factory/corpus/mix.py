"""How much of the training data comes from each source.

Korean, English and other languages, and code get a third each by default (HyperCLOVA X technical report,
2.1). Within a group sources share by their weights, or by size. No source is repeated more than `max_epochs`
times while as many bytes are read as the corpus has: past about four epochs repeated text stops helping
(Muennighoff et al. 2023, "Scaling data-constrained language models"). What a source may not take goes to the
others of its group, and what a group may not take to the other groups.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from malmoi.factory.corpus.documents import Group, Mixture, MixtureSource

GROUPS: tuple[Group, ...] = ("korean", "other", "code")
_ROUNDS = 200
_EXACT = 1e-12


class MixtureSettings(BaseModel):
    """How sources are balanced."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    korean: float = Field(1.0, ge=0)
    """Share of Korean text, relative to `other` and `code`."""
    other: float = Field(1.0, ge=0)
    """Share of English and other languages."""
    code: float = Field(1.0, ge=0)
    """Share of program code."""
    max_epochs: float = Field(4.0, gt=0)
    """How often a source may be repeated while as many bytes are read as the corpus has."""


@dataclass(frozen=True, slots=True)
class SourceTotal:
    """What there is of a source, and what its settings say."""

    name: str
    group: Group
    license: str
    documents: int
    bytes: int
    weight: float | None = None
    epochs: float | None = None
    max_share: float | None = None


def balance(sources: Sequence[SourceTotal], settings: MixtureSettings) -> tuple[Mixture, list[str]]:
    """The mixture of `sources`, and notes on where it is not what the settings ask for.

    Sources without documents are left out.
    """
    present = [source for source in sources if source.documents and source.bytes]
    notes: list[str] = []
    shares = {group: float(getattr(settings, group)) for group in GROUPS}
    groups = {group: [s for s in present if s.group == group] for group in GROUPS}
    total = sum(source.bytes for source in present)
    missing = [group for group in GROUPS if not groups[group] and shares[group] > 0]
    notes += [f"no {group} documents: their share goes to the others" for group in missing]
    filled = {group: shares[group] for group in GROUPS if groups[group]}
    if filled and not sum(filled.values()):
        notes.append("every group that has documents has the share 0: they share by size instead")
        filled = {group: float(sum(s.bytes for s in groups[group])) for group in filled}
    members = {
        group: [_Member.of(source, total, settings) for source in _usable(groups[group], notes)]
        for group in filled
    }
    weights = _fill_groups(members, {g: share / sum(filled.values()) for g, share in filled.items()})
    reached = sum(weights.values())
    if present and reached < 1 - 1e-9:
        notes.append(
            f"with these limits the mixture is exhausted after {reached:.0%} of the corpus's bytes;"
            " weights are scaled up to 100 %"
        )
    scale = 1 / reached if reached > 0 else 0.0
    for group, share in filled.items():
        wanted = share / sum(filled.values())
        got = scale * sum(weights[member.name] for member in members[group])
        if got < wanted - 0.005:
            notes.append(
                f"{group}: {got:.1%} of the mixture instead of {wanted:.1%}, for what there is of it"
            )
    rows = tuple(
        MixtureSource(
            name=source.name,
            group=source.group,
            license=source.license,
            weight=weights[source.name] * scale,
            epochs=weights[source.name] * scale * total / source.bytes,
            documents=source.documents,
            bytes=source.bytes,
        )
        for source in present
    )
    return Mixture(sources=rows), notes


@dataclass(frozen=True, slots=True)
class _Member:
    """A source inside its group: `most` is its largest share of the mixture, `part` of the group."""

    name: str
    want: float
    most: float
    part: float

    @classmethod
    def of(cls, source: SourceTotal, total: int, settings: MixtureSettings) -> "_Member":
        epochs = source.epochs if source.epochs is not None else settings.max_epochs
        want = source.weight if source.weight is not None else float(source.bytes)
        return cls(source.name, want, epochs * source.bytes / total, source.max_share or 1.0)


def _usable(sources: Sequence[SourceTotal], notes: list[str]) -> list[SourceTotal]:
    """Sources whose weights are of one kind, and whose limits leave the group something."""
    given = [source for source in sources if source.weight is not None]
    usable = list(sources)
    if given and len(given) < len(sources):
        # Those without a weight share as if theirs were the mean of the given ones, by size among themselves.
        positive = [source.weight for source in given if source.weight]
        mean = sum(positive) / len(positive) if positive else 1.0
        rest = [source for source in sources if source.weight is None]
        size = sum(source.bytes for source in rest) / len(rest)
        usable = [
            source if source.weight is not None else _with(source, weight=mean * source.bytes / size)
            for source in sources
        ]
    if sum(source.max_share or 1.0 for source in usable if source.weight != 0) < 1:
        notes.append(f"{usable[0].group}: max_share leaves room that no source may fill; it is not applied")
        usable = [_with(source, max_share=None) for source in usable]
    return usable


def _with(source: SourceTotal, **changes: float | None) -> SourceTotal:
    from dataclasses import replace

    return replace(source, **changes)  # type: ignore[arg-type]


def _fill_groups(
    members: Mapping[Group, Sequence[_Member]], shares: Mapping[Group, float]
) -> dict[str, float]:
    """Weights of all sources: what a group cannot take is offered to the others in proportion."""
    taken: dict[Group, dict[str, float]] = {group: {} for group in members}
    wanted = dict(shares)
    full: set[Group] = set()
    for _ in range(len(members) + 1):
        for group in members:
            taken[group] = _fill(members[group], wanted[group])
        spare = 1.0 - sum(sum(row.values()) for row in taken.values())
        full |= {g for g in members if sum(taken[g].values()) < wanted[g] - _EXACT}
        open_ = [group for group in members if group not in full and shares[group] > 0]
        if spare <= _EXACT or not open_:
            break
        for group in full:
            wanted[group] = sum(taken[group].values())
        for group in open_:
            wanted[group] += spare * shares[group] / sum(shares[g] for g in open_)
    return {name: weight for row in taken.values() for name, weight in row.items()}


def _fill(members: Sequence[_Member], share: float) -> dict[str, float]:
    """A group's share among its sources: by what they want, up to what each may have.

    The limits `part` are of what the group gets in the end, which may be less than `share`; so it is lowered
    until both agree.
    """
    for _ in range(_ROUNDS):
        row = _pour(members, share)
        poured = sum(row.values())
        if poured >= share - _EXACT:
            break
        share = poured
    return row


def _pour(members: Sequence[_Member], share: float) -> dict[str, float]:
    row = {member.name: 0.0 for member in members}
    limits = {member.name: min(member.most, member.part * share) for member in members}
    left = share
    open_ = [member for member in members if member.want > 0]
    while open_ and left > _EXACT:
        want = sum(member.want for member in open_)
        over = [m for m in open_ if row[m.name] + left * m.want / want >= limits[m.name]]
        if not over:
            for member in open_:
                row[member.name] += left * member.want / want
            break
        for member in over:
            left -= limits[member.name] - row[member.name]
            row[member.name] = limits[member.name]
        open_ = [member for member in open_ if member not in over]
        # What was given to nobody yet is poured again among those that are left, from the start.
        left = share - sum(limits[m.name] for m in members if m.want > 0 and m not in open_)
        for member in open_:
            row[member.name] = 0.0
    return row
