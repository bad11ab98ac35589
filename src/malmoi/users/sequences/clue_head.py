"""Training the next-item head of CLUE: cases out of logs, their features, and when to stop.

C cases, L events read, X distinct texts.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput
from malmoi.users.base import FitContext
from malmoi.users.cases import Cases
from malmoi.users.logs import Logs
from malmoi.users.sequences.clue_features import FeatureReader
from malmoi.users.sequences.next_item_head import HeadSettings, HeadTraining, NextItemHead
from malmoi.users.sequences.training import Watch, fit
from malmoi.users.sequences.user_encoder import gather_events
from malmoi.users.sequences.vocabulary import number_texts

_WATCHED_SHARE, _WATCHED_MOST = 0.1, 500
"""Users that decide when to stop, where no validation is given."""
_ROWS = 1024


def fit_head(
    settings: HeadSettings,
    reader: FeatureReader,
    logs: Logs,
    context: FitContext,
    identity: Mapping[str, Any],
) -> NextItemHead:
    """Train a head on what came next in the logs, the encoder frozen.

    It stops by the loss on `context.validation`; where that is none, by that on a tenth of the users, who are
    then not learned from.

    Raises:
        InvalidInput: no user has two events.
    """
    able = np.flatnonzero(logs.lengths >= 2)
    if not len(able):
        raise InvalidInput("no user has two events, so that nothing can be foretold.", fix="Give more logs.")
    cases = context.validation
    if cases is None and len(able) >= 20:
        watched = np.random.default_rng([context.seed, 3]).choice(
            able, size=min(_WATCHED_MOST, round(_WATCHED_SHARE * len(able))), replace=False
        )
        able = np.setdiff1d(able, watched)
        cases = Cases(logs, np.sort(watched), logs.offsets[np.sort(watched) + 1] - 1)
    at = choose_events(logs, able, settings.cases_per_user, context.seed)
    users = np.searchsorted(logs.offsets, at, side="right") - 1
    with context.progress.task("Read features", total=len(at), unit="cases") as task:
        features = _features(reader, logs, users, at, task.advance)
    with torch.random.fork_rng():
        torch.manual_seed(context.seed)
        head = NextItemHead(settings, reader.width)
    items = reader.item_features(reader.texts(logs.items.texts))
    head.measure(features, items)
    truth = torch.from_numpy(logs.events[at].astype(np.int64))
    watched_features = None
    if cases is not None and len(cases):
        rows = slice(0, 2000)
        watched_features = (
            _features(reader, cases.logs, cases.user[rows], cases.at[rows]),
            torch.from_numpy(cases.truth[rows].astype(np.int64)),
        )
    training = HeadTraining(head, features, truth, items, watched_features, settings, context.seed)
    fit(
        training, settings.training, context,
        watch=None if watched_features is None else Watch("loss", "lower"),
        identity=identity, title="Train the head",
    )  # fmt: skip
    return head


def choose_events(logs: Logs, users: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """Events to be foretold: of each user at most `most` that have something before them.

    Half of them are the newest, which are the most like what will be asked; the others are drawn, so that
    long histories teach what short ones are followed by.

    Returns:
        Positions in `logs.events`, ascending.
    """
    random = np.random.default_rng([seed, 4])
    chosen = []
    for user in users.tolist():
        first, stop = int(logs.offsets[user]) + 1, int(logs.offsets[user + 1])
        if stop - first <= most:
            chosen.append(np.arange(first, stop))
            continue
        newest = stop - -(-most // 2)
        drawn = random.choice(newest - first, size=most - (stop - newest), replace=False) + first
        chosen.append(np.concatenate([np.sort(drawn), np.arange(newest, stop)]))
    return np.concatenate(chosen).astype(np.int64)


def _features(
    reader: FeatureReader,
    logs: Logs,
    users: NDArray[np.int64],
    at: NDArray[np.int64],
    advance: Any = lambda amount: None,
) -> torch.Tensor:
    """Features of the histories before each event, (C, F)."""
    rows_of_texts, distinct = number_texts(logs.items.texts)
    vectors = reader.texts(distinct)
    found = []
    for start in range(0, len(at), _ROWS):
        stops = at[start : start + _ROWS]
        firsts = np.maximum(logs.offsets[users[start : start + _ROWS]], stops - reader.length)
        counts = stops - firsts
        table = np.full((len(stops), max(int(counts.max()), 1)), -1, dtype=np.int64)
        inside = np.arange(table.shape[1]) < counts[:, None]
        places = np.concatenate([np.arange(a, b) for a, b in zip(firsts, stops, strict=True)])
        table[inside] = rows_of_texts[logs.events[places]]
        events, sizes = gather_events(vectors, torch.from_numpy(table))
        found.append(reader.user_features(events, sizes))
        advance(len(stops))
    return torch.cat(found)
