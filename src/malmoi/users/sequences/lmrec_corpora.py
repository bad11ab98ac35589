"""What the language model of LMRec reads: rows cut at random from the task's logs and from other text.

The task's corpus is made of the very logs that the model is fitted on, so it holds no event of a validation
or test case. Other logs could hold such events if they were of the same service: what is task-agnostic is by
definition from other services, so events of the task's services are left out of it.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput
from malmoi.core.store import Store
from malmoi.factory.corpus.documents import read_documents
from malmoi.factory.train.batch import IGNORED, Batch
from malmoi.factory.train.loop import hash_numbers
from malmoi.users.logs import Logs, load_logs
from malmoi.users.sequences.lmrec_texts import Renderer, Texts

Stream = NDArray[np.int32]


class Rows:
    """Batches of a language model, a pure function of seed and step.

    Nothing is to be foretold after the end of a history: what follows is another user, and a state that
    learns to foretell anybody's beginning forgets whose history it has read.

    Args:
        specific: tokens of the task's logs.
        agnostic: tokens of other text; None: there is none.
        specific_share: share of rows from the task's logs, on average.
        size: rows of a batch.
        length: tokens of a row.
        seed: of the cuts.
    """

    def __init__(
        self,
        specific: Stream,
        agnostic: Stream | None,
        *,
        specific_share: float,
        size: int,
        length: int,
        seed: int,
    ) -> None:
        self._streams = [specific] if agnostic is None else [specific, agnostic]
        self._share = 1.0 if agnostic is None else specific_share
        self._size, self._length, self._seed = size, length, seed

    def batch(self, step: int) -> Batch:
        """The rows of a step."""
        random = np.random.default_rng(hash_numbers(self._seed, step, 1))
        from_specific = random.random(self._size) < self._share
        inputs = np.zeros((self._size, self._length), np.int64)
        labels = np.full((self._size, self._length), IGNORED, np.int64)
        for row, specific in enumerate(from_specific):
            stream = self._streams[0 if specific else 1]
            start = int(random.integers(0, max(len(stream) - self._length, 1)))
            ids = stream[start : start + self._length + 1]
            plain = np.where(ids < 0, ~ids, ids)
            inputs[row, : len(ids) - 1] = plain[:-1]
            labels[row, : len(ids) - 1] = np.where(ids[:-1] < 0, IGNORED, plain[1:])
        return Batch(torch.from_numpy(inputs), torch.from_numpy(labels))


def read_agnostic(ref: str, renderer: Renderer, task: Logs, home: Path) -> Stream:
    """Tokens of the text that a setting `agnostic` names.

    Raises:
        UnknownName: there is no such file, folder or artifact.
        InvalidInput: it is of another kind, or nothing is left of it.
    """
    path = _find(ref, home)
    if (path / "events.npy").is_file():
        stream = agnostic_logs(load_logs(path), renderer, task)
    else:
        stream = renderer.text_stream(_documents(path))
    if len(stream) < 2:
        raise InvalidInput(
            f"agnostic: {ref} holds no text of other services than the task's.",
            fix="Name logs with other services, or plain text.",
        )
    return stream


def agnostic_logs(logs: Logs, renderer: Renderer, task: Logs) -> Stream:
    """Tokens of the events of services that the task's logs have no item of."""
    others = other_services(logs, task)
    texts: Texts = renderer.texts(others.items.texts)
    return renderer.log_stream(texts, others)


def other_services(logs: Logs, task: Logs) -> Logs:
    """The same users with only the events of services that the task's items are not of."""
    taken = {task.items.services[number] for number in np.unique(task.items.service)}
    foreign = np.array([name not in taken for name in logs.items.services], dtype=np.bool_)
    kept = foreign[logs.items.service[logs.events]]
    counted = np.concatenate([[0], np.cumsum(kept)])
    return Logs(logs.users, logs.items, counted[logs.offsets].astype(np.int64), logs.events[kept])


def _find(ref: str, home: Path) -> Path:
    path = Path(ref).expanduser()
    if path.exists():
        return path
    found = Store(home / "store").artifact(ref)
    if found.manifest.kind not in ("logs", "corpus"):
        raise InvalidInput(
            f"agnostic: {ref} is of kind {found.manifest.kind}.", fix="Name logs, a corpus or a text file."
        )
    return found.path


def _documents(path: Path) -> Iterator[str]:
    if path.is_dir():
        for document in read_documents(path):
            yield document.text
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        yield from (line.rstrip("\n") for line in file)
