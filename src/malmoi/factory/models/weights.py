"""Weights of a folder, one tensor at a time: models larger than memory can be converted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from malmoi.core.errors import ModelFileInvalid

if TYPE_CHECKING:
    from torch import Tensor

ReadTensor: TypeAlias = "Callable[[str], Tensor]"


@contextmanager
def open_weights(folder: Path) -> Iterator[tuple[frozenset[str], ReadTensor]]:
    """The names of the tensors in a folder of safetensors, and a function that reads one.

    Raises:
        ModelFileInvalid: a file is missing or damaged, or a name is not in the files.
    """
    from safetensors import SafetensorError, safe_open

    place = _places(folder)
    with ExitStack() as stack:
        opened: dict[str, Any] = {}
        for name in sorted(set(place.values())):
            try:
                opened[name] = stack.enter_context(safe_open(folder / name, framework="pt"))
            except (OSError, SafetensorError) as error:
                raise ModelFileInvalid(f"{folder / name} cannot be read: {error}.") from error

        def read(name: str) -> Tensor:
            if name not in place:
                raise ModelFileInvalid(
                    f"{folder}: the weight {name} is missing.", fix="Save the model again."
                )
            return opened[place[name]].get_tensor(name)

        yield frozenset(place), read


def _places(folder: Path) -> Mapping[str, str]:
    """Tensor name -> file name."""
    from safetensors import SafetensorError, safe_open

    index = folder / "model.safetensors.index.json"
    single = folder / "model.safetensors"
    if index.is_file():
        try:
            found = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
            place = {str(key): str(name) for key, name in found.items()}
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise ModelFileInvalid(f"{index} is not an index of weights: {error}.") from error
        for name in place.values():
            if Path(name).name != name:
                raise ModelFileInvalid(f"{index} names a file outside its folder: {name!r}.")
        return place
    if not single.is_file():
        raise ModelFileInvalid(f"{folder}: there is no model.safetensors.")
    try:
        with safe_open(single, framework="pt") as file:
            return dict.fromkeys(file.keys(), single.name)
    except (OSError, SafetensorError) as error:
        raise ModelFileInvalid(f"{single} cannot be read: {error}.") from error
