"""Uses of frozen vectors: who will book, and whom to send a message."""

import numpy as np
from numpy.typing import NDArray

from malmoi.core.intervals import Statistic, bootstrap, percentiles, ratio, wilson
from malmoi.users.campaigns import fit_campaign
from malmoi.users.probes import floors
from malmoi.users.probes.classifiers import fit_classifier
from malmoi.users.probes.features import model_features
from malmoi.users.probes.figures import figures_of
from malmoi.users.uses.company import halves, of_services
from malmoi.users.uses.setting import Row, Setting, UseResult, compare_figures, normalised, ordered

_NEW = 0.3
_ELSEWHERE = ("search", "shop", "webtoon")

_NO_HEAD = {"kind": "none"}
"""Traits are read from the vectors alone, which the head of CLUE does not change."""


def booking(setting: Setting) -> UseResult:
    """Tell who of the new customers of a travel agency will book, by what they did at other services.

    The encoder learns from known customers without their labels, a linear classifier from the vectors and
    bookings of known customers; both are then asked about people whom neither has seen.
    """
    company = setting.company()
    logs = of_services(company.logs, _ELSEWHERE)
    known, new = halves(len(logs), _NEW, setting.seed)
    booked = np.asarray(company.traits["booking"], dtype=np.int64)
    clue = setting.fit("clue", logs.of_users(known), settings=_NO_HEAD)
    texts = setting.fit("mean-text", logs.of_users(known), settings={"decay": 1.0})
    features = {
        "CLUE": (model_features(clue, logs, known), model_features(clue, logs, new)),
        "mean of texts": (model_features(texts, logs, known), model_features(texts, logs, new)),
    }
    rows = np.concatenate([known, new])
    for name, table in floors(logs, rows).items():
        features[name] = (table[: len(known)], table[len(known) :])
    found, figures = [], {}
    for name, (learned, asked) in features.items():
        classifier = fit_classifier("linear", learned, booked[known], classes=2, seed=setting.seed)
        statistic = figures[name] = figures_of(classifier.chances(asked), booked[new])["auroc"]
        value = float(statistic(np.ones((1, len(new))))[0])
        drawn = bootstrap([statistic], len(new), seed=setting.seed)[0]
        low, high = percentiles(drawn) or (value, value)
        found.append(Row(name, value, low, high))
    return UseResult(
        "booking",
        f"{len(known):,} known customers; which of {len(new):,} new ones will book, by what they did at "
        f"{', '.join(_ELSEWHERE)}?",
        "AUROC",
        ordered(found),
        (
            f"{100 * booked[new].mean():.0f} % of the new ones book",
            *compare_figures(figures, len(new), "CLUE", [n for n in figures if n != "CLUE"], setting.seed),
        ),
    )


def audience(setting: Setting) -> UseResult:
    """Find the tenth of the users whom a message reaches best, knowing 200 who were asked before."""
    company = setting.company()
    logs = company.logs
    answers = np.asarray(company.traits["campaign"], dtype=bool)
    rest, asked = halves(len(logs), min(0.5, 200 / len(logs)), setting.seed)
    clue = setting.fit("clue", logs, settings=_NO_HEAD)
    texts = setting.fit("mean-text", logs, settings={"decay": 1.0})
    most = max(1, len(rest) // 10)
    chosen = {"everybody": np.ones(len(rest), dtype=bool)}
    for name, model in (("CLUE", clue), ("mean of texts", texts)):
        vectors = normalised(model_features(model, logs, np.arange(len(logs))))
        middle = vectors[asked[answers[asked]]].mean(0)
        chosen[f"like those who answered, {name}"] = _best(vectors[rest] @ middle, most)
        campaign = fit_campaign(
            vectors[asked].astype(np.float32), answers[asked], model=name, seed=setting.seed
        )
        chances = campaign.probability(vectors[rest].astype(np.float32))
        chosen[f"by chance to answer, {name}"] = _best(chances, most)
    figures = {name: _share(answers[rest], rows) for name, rows in chosen.items()}
    told: list[str] = []
    for way in ("by chance to answer", "like those who answered"):
        others = [f"{way}, mean of texts", "everybody"]
        told += compare_figures(figures, len(rest), f"{way}, CLUE", others, setting.seed)
    return UseResult(
        "audience",
        f"{len(asked)} were asked and {int(answers[asked].sum())} answered; who of the other {len(rest):,} "
        f"are the {most:,} to ask?",
        "share that answers",
        ordered([_reached(name, answers[rest][rows]) for name, rows in chosen.items()]),
        tuple(told),
    )


def _best(scores: NDArray[np.float64], most: int) -> NDArray[np.bool_]:
    """Whether each is one of the `most` with the highest scores."""
    chosen = np.zeros(len(scores), dtype=bool)
    chosen[np.argsort(-scores, kind="stable")[:most]] = True
    return chosen


def _share(answers: NDArray[np.bool_], chosen: NDArray[np.bool_]) -> Statistic:
    return lambda weights: ratio(weights @ (answers & chosen), weights @ chosen)


def _reached(name: str, answers: NDArray[np.bool_]) -> Row:
    low, high = wilson(float(answers.sum()), len(answers))
    return Row(name, float(answers.mean()), low, high)
