"""Texts to vectors without a language model: two encoders that run on one processor core, in numpy.

`use` tells how alike sentences are; `e5` finds the passages that answer a question. Their vectors are never
compared with each other.
"""

from malmoi.engine.embed.base import MAX_CHARACTERS, TextEmbedder
from malmoi.engine.embed.e5.embedder import E5_SIZE, E5Embedder
from malmoi.engine.embed.use import EMBEDDING_SIZE, UseEmbedder

__all__ = ["E5_SIZE", "EMBEDDING_SIZE", "MAX_CHARACTERS", "E5Embedder", "TextEmbedder", "UseEmbedder"]
