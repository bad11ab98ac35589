"""The table of devices, each figure from the source that the data file names."""

import tomllib
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field

from malmoi.core.errors import UnknownName


class Device(BaseModel):
    """One kind of device; None: not found, so an input."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: str
    title: str
    bf16_flops: float | None = Field(None, gt=0)
    """Dense BF16 operations a second."""
    memory_gb: float = Field(gt=0)
    bandwidth_gbs: float | None = Field(None, gt=0)
    link_gbs: float | None = Field(None, gt=0)
    """To the other devices of its node."""
    watts: float | None = Field(None, gt=0)
    per_node: int | None = Field(None, ge=1)
    source: str


def devices() -> dict[str, Device]:
    """All known devices by name."""
    raw = files("malmoi.factory.plan").joinpath("hardware.toml").read_text(encoding="utf-8")
    return {name: Device(name=name, **entry) for name, entry in tomllib.loads(raw).items()}


def find_device(name: str) -> Device:
    """The device of a name.

    Raises:
        UnknownName: with the nearest names.
    """
    known = devices()
    wanted = name.strip().lower().replace("_", "-").removeprefix("nvidia-").removeprefix("amd-")
    if wanted not in known:
        raise UnknownName("device", name, known)
    return known[wanted]
