"""Where a run stands, in one safetensors file: named tensors, and counts as JSON in its header.

The file is replaced by one rename, so a process that is killed leaves the old one or the new one.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from malmoi.core.errors import Conflict
from malmoi.core.files import write_bytes


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Replace the file.

    Args:
        path: of the file.
        tensors: by name.
        facts: JSON values; "key" says which run they belong to.

    Raises:
        DiskFull: there is no room; the old file is untouched.
    """
    from safetensors.torch import save

    whole = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(whole, metadata={"facts": json.dumps(facts)}))


def read_checkpoint(path: Path, tensors: Mapping[str, Tensor], *, key: str) -> dict[str, Any] | None:
    """Fill the tensors in place and give the facts; None where there is no file.

    Raises:
        Conflict: the file is no checkpoint, or one of another run.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    fix = f"Remove {path} to begin again."
    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads((file.metadata() or {}).get("facts", "{}"))
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    except (SafetensorError, json.JSONDecodeError) as error:
        raise Conflict(f"{path} is no checkpoint.", fix=fix) from error
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if facts.get("key") != key or shapes != {name: tensor.shape for name, tensor in found.items()}:
        raise Conflict(f"{path} was written by a run with other settings or another graph.", fix=fix)
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(found[name])
    return facts
