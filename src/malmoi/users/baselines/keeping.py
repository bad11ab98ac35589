"""A counting model on disk: one folder, no pickles.

model.json                          kind, settings
items.parquet                       item, service, text
NAME.npy                            an array
NAME.data.npy .indices.npy .indptr.npy    a sparse matrix, by rows; as many rows as columns
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from malmoi.core.errors import InvalidInput
from malmoi.core.files import write_json
from malmoi.users.base import UserModelSettings
from malmoi.users.logs import Items, load_items, save_items

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

S = TypeVar("S", bound=UserModelSettings)
_PARTS = ("data", "indices", "indptr")


class Kind(Protocol):
    """A class of models as far as keeping them goes."""

    kind: str


def save_counts(
    folder: Path,
    kind: str,
    settings: UserModelSettings,
    items: Items,
    *,
    arrays: Mapping[str, NDArray[Any]] | None = None,
    matrices: Mapping[str, "csr_matrix"] | None = None,
) -> None:
    """Fill an existing empty folder."""
    save_items(items, folder)
    for name, array in (arrays or {}).items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    for name, matrix in (matrices or {}).items():
        for part in _PARTS:
            np.save(folder / f"{name}.{part}.npy", getattr(matrix, part), allow_pickle=False)
    write_json(folder / "model.json", {"kind": kind, "settings": settings.model_dump(mode="json")})


def load_settings(folder: Path, kind: str, settings: type[S]) -> tuple[S, Items]:
    """What every counting model has.

    Raises:
        InvalidInput: the folder does not hold a whole model of this kind.
    """
    try:
        written = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        found, values = written["kind"], settings.model_validate(written["settings"])
        items = load_items(folder)
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise InvalidInput(f"{folder} does not hold a whole {kind} model: {error}.", fix=_AGAIN) from error
    if found != kind:
        raise InvalidInput(f"{folder} holds a model of kind {found}, not {kind}.")
    return values, items


def load_array(folder: Path, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """An array, mapped and not read.

    Raises:
        InvalidInput: it is missing, or does not have this shape.
    """
    array = _read(folder / f"{name}.npy", mapped=True)
    if array.shape != shape:
        raise InvalidInput(f"{folder / name}.npy has the shape {array.shape}, not {shape}.", fix=_AGAIN)
    return array


def load_matrix(folder: Path, name: str, size: int) -> "csr_matrix":
    """A sparse matrix of `size` rows and columns.

    Raises:
        InvalidInput: a part is missing, or the parts do not make such a matrix.
    """
    from scipy.sparse import csr_matrix

    data, indices, indptr = (_read(folder / f"{name}.{part}.npy") for part in _PARTS)
    try:
        matrix = csr_matrix((data, indices, indptr), shape=(size, size))
        matrix.check_format(full_check=True)
    except ValueError as error:
        raise InvalidInput(f"{folder / name}: {error}.", fix=_AGAIN) from error
    return matrix


def _read(path: Path, *, mapped: bool = False) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}.", fix=_AGAIN) from error
    return array


_AGAIN = "Fit the model again."
