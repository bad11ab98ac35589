"""Search: analysed terms in the database's own full-text index, snippets made from the original text.

A room that wants to be searched declares a table of parts (a row a text) and a table of their terms (see
`open_terms`), and tells when which text is written.
"""

from malmoi.serve.search.index import Terms, open_terms
from malmoi.serve.search.snippet import Snippet, find_matches, make_snippet
from malmoi.serve.search.terms import (
    PartTerms,
    QueryWord,
    Term,
    index_terms,
    parse_query,
    query_parts,
    split_text,
)

__all__ = [
    "PartTerms",
    "QueryWord",
    "Snippet",
    "Term",
    "Terms",
    "find_matches",
    "index_terms",
    "make_snippet",
    "open_terms",
    "parse_query",
    "query_parts",
    "split_text",
]
