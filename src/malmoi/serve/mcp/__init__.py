"""The platform as an MCP server: search and read documents, run skills, list models.

Nothing of the MCP SDK is imported before the first request to `/mcp`.
"""

from malmoi.serve.mcp.endpoint import McpEndpoint
from malmoi.serve.mcp.routes import mcp_router

__all__ = ["McpEndpoint", "mcp_router"]
