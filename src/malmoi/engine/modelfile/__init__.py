"""Checked readers of model files: nothing loads a file that has not passed `check_model`."""

from malmoi.engine.modelfile.check import check_model, check_model_async
from malmoi.engine.modelfile.info import (
    FolderInfo,
    GgufInfo,
    ModelFileInfo,
    SafetensorsInfo,
    SpecialToken,
)

__all__ = [
    "FolderInfo",
    "GgufInfo",
    "ModelFileInfo",
    "SafetensorsInfo",
    "SpecialToken",
    "check_model",
    "check_model_async",
]
