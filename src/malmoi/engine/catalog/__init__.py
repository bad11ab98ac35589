"""The catalog of models: what there is, what is installed, and how models come and go."""

from malmoi.engine.catalog.card import ModelCard
from malmoi.engine.catalog.catalog import Catalog
from malmoi.engine.catalog.progress import DownloadProgress, ProgressCallback

__all__ = ["Catalog", "DownloadProgress", "ModelCard", "ProgressCallback"]
