"""Models by transformers: safetensors folders and GGUF files (dequantised), with exact scores.

The only package that imports torch; `open_torch` does so, not the import of this package. It is for
evaluation and for checkpoints under training, not for serving: everything is float32, and requests take turns
token by token in one thread.
"""

from malmoi.engine.torch.engine import TorchEngine
from malmoi.engine.torch.loading import open_torch

__all__ = ["TorchEngine", "open_torch"]
