"""Who will answer a campaign: a calibrated probability from a user's vector.

A campaign is a few numbers that are learned from users who did answer and users who did not; the model of
users stays as it is. On disk one file, HOME/users/<collection>/campaigns/<name>.json.

The probes' logistic regression with an L2 penalty, on vectors of unit variance; then the two numbers
of Platt (1999), with the targets of Lin, Lin and Weng (2007), on scores that five models give to users whom
they have not seen, so that a probability means what it says.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from malmoi.core.errors import InvalidInput, UnknownName
from malmoi.core.files import write_json
from malmoi.users.index.collection import Collection

_FOLDS = 5
_PENALTY = 1.0
LEAST = 20
"""Users of each answer that are needed."""


class Campaign(BaseModel):
    """The chance of an answer is `sigmoid(scale * (weights . vector + intercept) + offset)`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: str
    positives: int
    negatives: int
    weights: tuple[float, ...]
    intercept: float
    scale: float
    offset: float

    def probability(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Of an answer, for each vector, (n,).

        Raises:
            InvalidInput: the vectors have another size.
        """
        table = np.asarray(vectors, dtype=np.float64)
        if table.ndim != 2 or table.shape[1] != len(self.weights):
            raise InvalidInput(f"the campaign was learned on vectors of {len(self.weights)} numbers.")
        scores = table @ np.array(self.weights) + self.intercept
        return _sigmoid(self.scale * scores + self.offset)


def fit_campaign(
    vectors: NDArray[np.float32], answers: NDArray[np.bool_], *, model: str, seed: int = 0
) -> Campaign:
    """Learn who answers.

    Args:
        vectors: of users, (n, D).
        answers: whether each answered, (n,).
        model: which model the vectors are of.
        seed: of the parts by which it is calibrated.

    Raises:
        InvalidInput: fewer than `LEAST` users answered, or did not.
    """
    table, truth = np.asarray(vectors, dtype=np.float64), np.asarray(answers, dtype=bool)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if min(positives, negatives) < LEAST:
        raise InvalidInput(
            f"{positives} users answered and {negatives} did not; {LEAST} of each are needed.",
            fix="Add the outcome of more users who are in the collection.",
        )
    fold = np.zeros(len(truth), dtype=np.int64)
    random = np.random.default_rng(seed)
    for group in (np.flatnonzero(truth), np.flatnonzero(~truth)):
        fold[random.permutation(group)] = np.arange(len(group)) % _FOLDS
    unseen = np.zeros(len(truth))
    for number in range(_FOLDS):
        held = fold == number
        slopes, begin = _fit(table[~held], truth[~held].astype(np.float64), _PENALTY)
        unseen[held] = table[held] @ slopes + begin
    high, low = (positives + 1) / (positives + 2), 1 / (negatives + 2)
    scale, offset = _fit(unseen[:, None], np.where(truth, high, low), 1e-6)
    weights, intercept = _fit(table, truth.astype(np.float64), _PENALTY)
    return Campaign(
        model=model,
        positives=positives,
        negatives=negatives,
        weights=tuple(weights.tolist()),
        intercept=intercept,
        scale=float(scale[0]),
        offset=offset,
    )


def learn_campaign(
    collection: Collection, name: str, answered: Sequence[str], silent: Sequence[str], *, seed: int = 0
) -> Campaign:
    """Learn a campaign from users of a collection, and keep it beside their vectors under `name`.

    Users who are not in the collection do not count. A campaign of the same name is replaced.

    Raises:
        InvalidInput: a user did both, there are too few, or the name is not possible.
    """
    both = set(answered) & set(silent)
    if both:
        raise InvalidInput(f"user {min(both)!r} is said to have answered and not to have answered.")
    path = _path(collection, name)
    version = collection.active
    one, yes = version.vectors_of(list(dict.fromkeys(answered)))
    other, no = version.vectors_of(list(dict.fromkeys(silent)))
    truth = np.array([True] * len(one) + [False] * len(other))
    campaign = fit_campaign(np.concatenate([yes, no]), truth, model=version.meta.model, seed=seed)
    write_json(path, campaign.model_dump(mode="json"))
    return campaign


def load_campaign(collection: Collection, name: str) -> Campaign:
    """The campaign of this name.

    Raises:
        UnknownName: there is none.
        InvalidInput: its file is broken.
    """
    known = campaign_names(collection)
    if name not in known:
        raise UnknownName("campaign", name, known, fix="Learn it first: malmoi users campaign.")
    try:
        return Campaign.model_validate_json(_path(collection, name).read_bytes())
    except (OSError, ValidationError) as error:
        raise InvalidInput(f"campaign {name!r} cannot be read.", fix="Learn it again.") from error


def campaign_names(collection: Collection) -> list[str]:
    """All campaigns of a collection, sorted."""
    return sorted(path.stem for path in (collection.folder / "campaigns").glob("[!.]*.json"))


def _path(collection: Collection, name: str) -> Path:
    is_plain = name.replace("-", "").replace("_", "").isalnum() and name.isascii()
    if not is_plain or len(name) > 64:
        raise InvalidInput(
            f"{name[:64]!r} is not a name for a campaign.",
            field="campaign",
            fix="Use up to 64 letters, digits, '-' and '_'.",
        )
    return collection.folder / "campaigns" / f"{name}.json"


def _fit(
    table: NDArray[np.float64], chances: NDArray[np.float64], penalty: float
) -> tuple[NDArray[np.float64], float]:
    """Slopes and intercept for the table as it is; the penalty is on those of columns of unit variance."""
    from malmoi.users.probes.classifiers import fit_logistic

    mean, spread = table.mean(axis=0), table.std(axis=0)
    spread = np.where(spread > 1e-12, spread, 1.0)
    weights, intercept = fit_logistic((table - mean) / spread, chances, penalty=penalty)
    slopes = weights / spread
    return slopes, intercept - float(slopes @ mean)


def _sigmoid(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-np.logaddexp(0, -scores)))
