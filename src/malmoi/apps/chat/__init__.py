"""The chat app: conversations as trees, replies that go on without their reader, search, personas, import."""

from malmoi.apps.chat.app import ChatApp

app = ChatApp()
"""What the entry point `malmoi.apps` names."""

__all__ = ["ChatApp", "app"]
