"""Logs of three services in which a person's interests are the same everywhere, for the tests of CLUE."""

from typing import Any

import numpy as np

from malmoi.users.logs import Items, Logs

SMALL: dict[str, Any] = {
    "encoder": {
        "width": 16,
        "heads": 2,
        "item_layers": 1,
        "service_layers": 1,
        "item_length": 8,
        "history_length": 8,
        "dropout": 0.0,
        "projected": 8,
    },
    "vocab_size": 448,
    "batch_size": 32,
    "training": {"num_steps": 30, "learning_rate": 5e-3, "max_norm": 0.1, "precision": "fp32"},
    "head": {
        "hidden": 16,
        "size": 8,
        "sketch": 16,
        "dropout": 0.0,
        "cases_per_user": 4,
        "training": {"num_steps": 150, "learning_rate": 1e-2, "precision": "fp32", "validate_every": 50},
    },
}
"""Settings that are fitted in about a second."""


def small_logs(num_users: int = 96, *, seed: int = 0, interests: int = 6, items: int = 12) -> Logs:
    """Users with one interest each; an item's first word names its interest."""
    random = np.random.default_rng(seed)
    ids, texts, services, interest = [], [], [], []
    for service in range(3):
        for number in range(items):
            ids.append(f"{service}-{number}")
            texts.append(f"주제{number % interests} 물건{number // interests} {'가나다'[service]}")
            services.append(service)
            interest.append(number % interests)
    catalog = Items(tuple(ids), tuple(texts), ("book", "shop", "travel"), np.array(services, dtype=np.int16))
    wanted = np.array(interest)
    sequences = []
    for _ in range(num_users):
        weight = np.where(wanted == random.integers(interests), 1.0, 0.02)
        size = int(random.integers(2, 9))
        sequences.append(random.choice(len(ids), size=size, replace=False, p=weight / weight.sum()))
    return logs_of(catalog, sequences)


def logs_of(catalog: Items, sequences: Any) -> Logs:
    """Logs of users u0, u1 ... with these rows of items."""
    offsets = np.concatenate([[0], np.cumsum([len(sequence) for sequence in sequences])]).astype(np.int64)
    events = np.concatenate([np.asarray(sequence, dtype=np.int32) for sequence in sequences])
    return Logs(tuple(f"u{number}" for number in range(len(sequences))), catalog, offsets, events)
