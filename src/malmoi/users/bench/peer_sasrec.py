"""SASRec by rectools, run by the Python of an environment of its own; it knows nothing of this package.

    python peer_sasrec.py LOGS.npz OUT.npy '{"epochs": 3, ...}'

Reads `offsets` and `events`, trains, writes for every user the positions of its ten best new items, and
prints one line of JSON: seconds of training and of ranking, and the versions.
"""

import json
import sys
import warnings
from time import perf_counter

warnings.simplefilter("ignore")


def main(logs: str, out: str, settings: dict[str, int | float]) -> None:
    """Train, rank, and say how long it took."""
    import numpy as np
    import pandas as pd
    import rectools
    import torch
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    torch.set_num_threads(int(settings["threads"]))
    torch.manual_seed(int(settings["seed"]))
    with np.load(logs, allow_pickle=False) as arrays:
        offsets, events = arrays["offsets"], arrays["events"]
    users = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    # It orders by time: an event is a day after the one before.
    days = (np.arange(len(events)) - offsets[users]).astype("timedelta64[D]")
    table = pd.DataFrame(
        {
            Columns.User: users,
            Columns.Item: events,
            Columns.Weight: 1.0,
            Columns.Datetime: np.datetime64("2000-01-01", "ns") + days,
        }
    )
    dataset = Dataset.construct(table)
    model = SASRecModel(
        n_blocks=int(settings["layers"]),
        n_heads=int(settings["heads"]),
        n_factors=int(settings["width"]),
        dropout_rate=float(settings["dropout"]),
        session_max_len=int(settings["length"]),
        loss="softmax",
        lr=float(settings["learning_rate"]),
        batch_size=int(settings["batch"]),
        epochs=int(settings["epochs"]),
        recommend_torch_device="cpu",
    )
    began = perf_counter()
    model.fit(dataset)
    trained = perf_counter()
    found = model.recommend(np.unique(users), dataset, k=10, filter_viewed=True)
    ranked = perf_counter()
    best = np.full((len(offsets) - 1, 10), -1, dtype=np.int64)
    best[found[Columns.User], found[Columns.Rank] - 1] = found[Columns.Item]
    np.save(out, best, allow_pickle=False)
    versions = {"rectools": rectools.__version__, "torch": torch.__version__}
    print(json.dumps({"train": trained - began, "rank": ranked - trained, "versions": versions}))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
