"""Vectors of users that can be searched, refreshed, rolled back, and of which one person can be taken out."""

from malmoi.users.index.collection import Collection, collection_names, open_collection
from malmoi.users.index.version import Facts, Found

__all__ = ["Collection", "Facts", "Found", "collection_names", "open_collection"]
