"""Search: analysed terms in the database's own full-text index, snippets made from the original text."""

from malmoi.apps.chat.search.index import SearchIndex

__all__ = ["SearchIndex"]
