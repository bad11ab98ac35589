"""Export and import: conversations as files."""

from malmoi.apps.chat.transfer.transfer import Document, Transfer

__all__ = ["Document", "Transfer"]
