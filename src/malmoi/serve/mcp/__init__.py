"""The platform as an MCP server: search and read documents, run skills, list models.

Nothing of the MCP SDK is imported before the first request to `/mcp`, and the bridge for desktop clients
(`bridge.py`) imports nothing of the server.
"""
