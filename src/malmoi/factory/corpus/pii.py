"""The step that takes personal data out of every document."""

from collections.abc import Mapping
from dataclasses import replace

from malmoi.core.pii import PiiSettings, remove_pii
from malmoi.factory.corpus.documents import Document


class RemovePii:
    """The change that takes personal data out of every document."""

    name = "pii"

    def __init__(self, settings: PiiSettings) -> None:
        self.settings = settings

    def change(self, document: Document) -> tuple[Document, Mapping[str, int]]:
        """The document without personal data, and a count by kind."""
        text, counts = remove_pii(document.text, self.settings)
        return (replace(document, text=text) if counts else document), counts
