"""How much two texts share: KLUE's ROUGE-W, and BLEU and chrF as sacrebleu computes them."""

import string
from difflib import SequenceMatcher

import numpy as np

from malmoi.core.intervals import Array, Statistic, additive, mean_of
from malmoi.evals.results import ItemResult
from malmoi.evals.statistic import Items

_PUNCTUATION = str.maketrans("", "", string.punctuation)
ORDERS = 6
"""Longest n-gram of characters that chrF counts."""


def right_texts(item: ItemResult) -> list[str]:
    """The gold text, and those of the field `answers`."""
    further = item.fields.get("answers", [])
    texts = [str(text) for text in further] if isinstance(further, list) else []
    return list(dict.fromkeys([item.gold, *texts])) if item.gold or not texts else texts


def _plain(text: str) -> str:
    return " ".join(text.lower().translate(_PUNCTUATION).split())


def _longest_run(answer: str, gold: str) -> float:
    if not gold:
        return float(not answer)
    size = SequenceMatcher(None, answer, gold).find_longest_match(0, len(answer), 0, len(gold)).size
    return 2 * size / (len(answer) + len(gold))


def rouge_w(items: Items) -> Statistic:
    """KLUE-MRC's ROUGE-W: F1 of the longest run of characters that the answer shares with a right one.

    What the benchmark's code computes under this name: the best over the right answers, in lower case,
    without ASCII punctuation.
    """
    return mean_of(
        [max(_longest_run(_plain(item.answer), _plain(gold)) for gold in right_texts(item)) for item in items]
    )


def chrf(items: Items) -> Statistic:
    """chrF2 over the corpus, 0 to 100 (Popović 2015): F2 of character n-grams up to six, without spaces."""
    columns = np.zeros((len(items), 3 * ORDERS))
    for row, item in enumerate(items):
        columns[row] = max((_gram_counts(item.answer, gold) for gold in right_texts(item)), key=_chrf_of_one)
    return additive(columns, _chrf)


def _gram_counts(answer: str, gold: str) -> Array:
    """(18,): of each order n-grams of the answer, of the gold text, and of both."""
    from collections import Counter

    texts = ["".join(text.split()) for text in (answer, gold)]
    counts = np.zeros(3 * ORDERS)
    for order in range(1, ORDERS + 1):
        given, wanted = (Counter(text[i : i + order] for i in range(len(text) - order + 1)) for text in texts)
        counts[3 * order - 3 : 3 * order] = given.total(), wanted.total(), (given & wanted).total()
    return counts


def _chrf_of_one(counts: Array) -> float:
    return float(_chrf(counts[None])[0])


def _chrf(sums: Array) -> Array:
    given, wanted, both = (sums[:, start::3] for start in range(3))
    there = (given > 0) & (wanted > 0)
    orders = there.sum(axis=1)
    zero = np.zeros_like(both)
    precision = np.divide(both, given, out=zero.copy(), where=there).sum(axis=1) / np.maximum(orders, 1)
    recall = np.divide(both, wanted, out=zero.copy(), where=there).sum(axis=1) / np.maximum(orders, 1)
    below = 4 * precision + recall
    score: Array = np.divide(5 * precision * recall, below, out=np.zeros_like(below), where=below > 0)
    return 100 * score


def bleu(items: Items) -> Statistic:
    """BLEU over the corpus, 0 to 100, with sacrebleu's standard tokens (13a) and smoothing."""
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(effective_order=True)
    columns = np.zeros((len(items), 10))
    for row, item in enumerate(items):
        score = metric.sentence_score(item.answer, right_texts(item))
        columns[row] = (*score.counts, *score.totals, score.sys_len, score.ref_len)

    def finish(sums: Array) -> Array:
        return np.array([_bleu(row) for row in sums])

    return additive(columns, finish)


def _bleu(sums: Array) -> float:
    from sacrebleu.metrics.bleu import BLEU

    counts = [round(value) for value in sums]
    if not counts[8]:
        return 0.0
    score = BLEU.compute_bleu(counts[:4], counts[4:8], counts[8], counts[9], smooth_method="exp")
    return float(score.score)
