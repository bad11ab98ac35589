"""In which precision the products are computed: decided once for a run, by what the processor has."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from malmoi.core.errors import Unsupported

PrecisionName = Literal["auto", "fp32", "bf16"]


def choose_precision(wanted: PrecisionName, device: torch.device) -> Literal["fp32", "bf16"]:
    """The precision for a run on `device`; "auto" is bfloat16 where its products are done in hardware.

    Raises:
        Unsupported: bf16 is wanted from an accelerator that has none.
    """
    if wanted == "fp32":
        return "fp32"
    able = _has_bf16(device)
    if wanted == "bf16":
        if device.type == "cuda" and not able:
            raise Unsupported("this accelerator has no bfloat16.", fix='Set precision = "fp32".')
        return "bf16"
    return "bf16" if able else "fp32"


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # avx512_bf16 or amx_bf16; without them torch computes bfloat16 products many times slower than float32.
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


@dataclass(frozen=True, slots=True)
class Precision:
    """The chosen precision on a device. Parameters, sums, softmax and norms stay in float32."""

    name: Literal["fp32", "bf16"]
    device: torch.device

    def forward(self) -> AbstractContextManager[object]:
        """The context of a forward pass."""
        if self.name == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)
