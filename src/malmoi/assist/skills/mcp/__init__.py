"""Skills on MCP servers: over streamable HTTP through the checked way out, or as a child process."""

from malmoi.assist.skills.mcp.provider import McpProvider

__all__ = ["McpProvider"]
