"""Where a fit stands, in one file: weights, the optimizer's memory, the best weights so far, and the counts.

    work/training.safetensors   tensors "model.*", "optimizer.*", "best.*"; the counts as JSON in its header

The file is replaced by one rename, so a process that is killed leaves the old one or the new one.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from malmoi.core.errors import Conflict
from malmoi.core.files import write_bytes

FILE = "training.safetensors"


class State(BaseModel):
    """The counts of a fit."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    identity: str
    """Digest of all that must be the same for a fit to go on from here."""
    step: int = 0
    """Steps done."""
    best_step: int = 0
    """The step whose weights validated best; 0: none has been validated."""
    best_figure: float | None = None
    """What it reached there."""
    finished: bool = False
    """Whether nothing is left to do."""


def identity_of(values: Mapping[str, Any]) -> str:
    """Digest of JSON values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def save_state(folder: Path, state: State, tensors: Mapping[str, Tensor]) -> None:
    """Write the file.

    Raises:
        DiskFull: there is no room; the old file is untouched.
    """
    from safetensors.torch import save

    whole = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    write_bytes(folder / FILE, save(whole, metadata={"state": state.model_dump_json()}))


def load_state(folder: Path, identity: str) -> tuple[State, dict[str, Tensor]] | None:
    """What `save_state` wrote; None where there is nothing.

    Raises:
        Conflict: it belongs to other settings or logs, or is no such file.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / FILE
    if not path.is_file():
        return None
    fix = f"Remove {path} to begin again, or use the old settings."
    try:
        with safe_open(path, framework="pt") as file:
            state = State.model_validate_json((file.metadata() or {}).get("state", ""))
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, ValidationError) as error:
        raise Conflict(f"{path} is no checkpoint of a fit.", fix=fix) from error
    if state.identity != identity:
        raise Conflict(f"{path} was written by a fit with other settings or logs.", fix=fix)
    return state, tensors


def fill(tensors: Mapping[str, Tensor], saved: Mapping[str, Tensor], prefix: str) -> None:
    """Copy the saved tensors of a prefix into tensors of the same names.

    Raises:
        Conflict: the names or shapes are not the same.
    """
    found = {name.removeprefix(prefix): value for name, value in saved.items() if name.startswith(prefix)}
    if {n: t.shape for n, t in tensors.items()} != {n: t.shape for n, t in found.items()}:
        raise Conflict("the checkpoint is of another model.", fix=f"Remove {FILE} to begin again.")
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(found[name])
