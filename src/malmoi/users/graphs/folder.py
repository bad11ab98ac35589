"""A fitted user-item model on disk: settings as JSON, items as Parquet, tensors in one safetensors file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from torch import Tensor

from malmoi.core.errors import ModelFileInvalid
from malmoi.core.files import write_json
from malmoi.users.base import UserModelSettings
from malmoi.users.logs import Items, load_items, save_items

S = TypeVar("S", bound=UserModelSettings)
_TENSORS = "weights.safetensors"


def save_model(
    folder: Path, kind: str, settings: UserModelSettings, items: Items, tensors: Mapping[str, Tensor]
) -> None:
    """Fill an existing empty folder."""
    from safetensors.torch import save_file

    write_json(folder / "model.json", {"kind": kind, "settings": settings.model_dump(mode="json")})
    save_items(items, folder)
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, folder / _TENSORS)


def load_model(
    folder: Path, kind: str, settings_type: type[S], shapes: Mapping[str, int]
) -> tuple[S, Items, dict[str, Tensor]]:
    """What `save_model` wrote.

    Args:
        folder: to read.
        kind: that it must be of.
        settings_type: of the kind.
        shapes: name -> dimensions of each tensor that must be there; names in "item_..." have a row an item.

    Raises:
        ModelFileInvalid: a file is missing or broken, or they do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        facts = json.loads((folder / "model.json").read_bytes())
        if facts["kind"] != kind:
            raise ValueError(f"it is a {facts['kind']}")
        settings = settings_type.model_validate(facts["settings"])
        items = load_items(folder)
        tensors = load_file(folder / _TENSORS)
        for name, dimensions in shapes.items():
            if name not in tensors or tensors[name].ndim != dimensions:
                raise ValueError(f"{_TENSORS} has no {name} of {dimensions} dimensions")
            if name.startswith("item_") and len(tensors[name]) != len(items):
                raise ValueError(f"{name} has {len(tensors[name])} rows, but there are {len(items)} items")
    except (OSError, KeyError, TypeError, ValueError, ValidationError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise ModelFileInvalid(
            f"{folder} holds no {kind}: {reason}.", fix=f"Fit it again: malmoi users fit {kind}."
        ) from error
    return settings, items, tensors
