"""Fit the weights of the order of found passages (`assist/retrieval/words/ordering.toml`).

    malmoi documents evaluate --data DATA --split dev --features dev.jsonl
    python scripts/fit_ordering.py dev.jsonl

A conditional logit: the likelihood that a passage with the answer is drawn, by the softmax over all that
were found for a question, with half of PENALTY times the squared weights taken off. Prints the weights, and
how good they are in cross-validation by document and on the questions that they were fitted on.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

PENALTY = 0.3
FOLDS = 5
AT = 5


def fit(rows: list[Any]) -> np.ndarray:
    """The weights, by Newton's method with steps that are halved until they lead down."""
    used = [(x, good) for x, good in rows if good.any()]
    weights = np.zeros(used[0][0].shape[1])

    def loss(tried: np.ndarray) -> float:
        total = PENALTY / 2 * float(tried @ tried)
        for x, good in used:
            scores = x @ tried
            drawn = np.exp(scores - scores.max())
            total -= float(np.log(drawn @ good / drawn.sum()))
        return total

    for _ in range(50):
        slope, curve = PENALTY * weights, PENALTY * np.eye(len(weights))
        for x, good in used:
            scores = x @ weights
            drawn = np.exp(scores - scores.max())
            drawn /= drawn.sum()
            answers = drawn * good / (drawn @ good)
            slope += x.T @ (drawn - answers)
            mean = x.T @ drawn
            curve += (x.T * drawn) @ x - np.outer(mean, mean)
        step = np.linalg.solve(curve, slope)
        before = loss(weights)
        while np.abs(step).max() > 1e-8 and loss(weights - step) > before:
            step /= 2
        weights = weights - step
        if np.abs(step).max() < 1e-6:
            break
    return weights


def recall(rows: list[Any], weights: np.ndarray) -> list[float]:
    """For each question whether one of the first hits answers."""
    return [float(good[np.argsort(-(x @ weights), kind="stable")[:AT]].any()) for x, good in rows]


def main(paths: list[Path]) -> None:
    """Read the files, and print the weights."""
    found = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    names = list(found[0]["features"])
    rows = [
        (np.array([row["features"][name] for name in names]).T, np.array(row["answers"], dtype=bool))
        for row in found
    ]
    folds = [int(hashlib.sha256(row["document"].encode()).hexdigest(), 16) % FOLDS for row in found]
    left_out: list[float] = []
    for fold in range(FOLDS):
        inside = [row for row, own in zip(rows, folds, strict=True) if own != fold]
        left_out += recall([row for row, own in zip(rows, folds, strict=True) if own == fold], fit(inside))
    weights = fit(rows)
    lines = [
        f"# {len(rows)} questions; recall@{AT} in cross-validation {np.mean(left_out):.3f}, "
        f"on the questions themselves {np.mean(recall(rows, weights)):.3f}",
        "[weights]",
        *(f"{name} = {weight:.2f}" for name, weight in zip(names, weights, strict=True)),
    ]
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
