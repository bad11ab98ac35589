"""Texts to vectors without a language model: encoders that run on one processor core, in numpy.

`use` tells how alike sentences are, `e5` which passages answer a question, and `search` is both as one.
Vectors of different encoders are never compared with each other.
"""

from malmoi.engine.embed.base import MAX_CHARACTERS, TextEmbedder
from malmoi.engine.embed.e5.embedder import E5_SIZE, E5Embedder
from malmoi.engine.embed.search import SEARCH_SIZE, SearchEmbedder
from malmoi.engine.embed.use import EMBEDDING_SIZE, UseEmbedder

__all__ = [
    "E5_SIZE",
    "EMBEDDING_SIZE",
    "MAX_CHARACTERS",
    "SEARCH_SIZE",
    "E5Embedder",
    "SearchEmbedder",
    "TextEmbedder",
    "UseEmbedder",
]
