"""MCP servers for tests: a good one, and every kind of bad one. Run as `python mcp_servers.py KIND`."""

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\nfake").decode()


def good() -> Any:
    """A server with tools of all kinds, made with the official SDK."""
    from mcp.server import MCPServer
    from mcp_types import ImageContent, TextContent, ToolAnnotations

    server = MCPServer("cafe")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def find_cafe(place: str, most: int = 3) -> dict[str, Any]:
        """Find cafes at a place."""
        return {"place": place, "cafes": [f"{place} {n}" for n in range(most)]}

    @server.tool()
    def order(item: str) -> str:
        """Order something."""
        return f"ordered {item}"

    @server.tool(annotations=ToolAnnotations(read_only_hint=True, destructive_hint=True))
    def contradiction() -> str:
        """A server that says both."""
        return "x"

    @server.tool(annotations=ToolAnnotations(read_only_hint=True), structured_output=False)
    def picture() -> list[Any]:
        """Draw."""
        return [
            TextContent(type="text", text="a plot"),
            ImageContent(type="image", data=PNG, mime_type="image/png"),
            ImageContent(type="image", data="!!", mime_type="image/png"),
            ImageContent(type="image", data=PNG, mime_type="text/html"),
        ]

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def broken() -> str:
        """Fail."""
        raise ValueError("the oven is cold")

    return server


def small() -> None:
    """A server of a few lines, for tests of processes: the SDK takes more than a second to be imported."""
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" not in asked:
            continue
        answer: dict[str, Any] = {"error": {"code": -32601, "message": "no such method"}}
        if asked["method"] == "initialize":
            about = {"serverInfo": {"name": "small", "version": "1"}, "capabilities": {"tools": {}}}
            answer = {"result": {"protocolVersion": asked["params"]["protocolVersion"], **about}}
        elif asked["method"] == "tools/list":
            schema = {"type": "object", "properties": {}}
            answer = {"result": {"tools": [{"name": name, "inputSchema": schema} for name in _SMALL]}}
        elif asked["method"] == "tools/call":
            told = json.dumps(_SMALL[asked["params"]["name"]]())
            answer = {"result": {"content": [{"type": "text", "text": told}]}}
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer}), flush=True)


def spawn() -> int:
    """Start a process that would outlive the server."""
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"]).pid


_SMALL: dict[str, Callable[[], Any]] = {
    "pid": lambda: {"pid": os.getpid(), "child": None},
    "spawn": lambda: {"pid": os.getpid(), "child": spawn()},
    "slow": lambda: time.sleep(60),
    "crash": lambda: os._exit(3),
}


@asynccontextmanager
async def http_server(
    key: str = "", host: str = "cafe.test"
) -> AsyncIterator[tuple[int, list[dict[str, str]]]]:
    """The good server over streamable HTTP, on the loopback; with a key, for nobody who does not have it."""
    import uvicorn

    seen: list[dict[str, str]] = []
    app = good().streamable_http_app(host=host)

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            seen.append({k.decode(): v.decode() for k, v in scope["headers"]})
            if key and seen[-1].get("authorization") != f"Bearer {key}":
                await send({"type": "http.response.start", "status": 401, "headers": []})
                await send({"type": "http.response.body", "body": b"who are you?"})
                return
        await app(scope, receive, send)

    server = uvicorn.Server(uvicorn.Config(noting, port=0, log_level="error", lifespan="on", ws="none"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    try:
        yield server.servers[0].sockets[0].getsockname()[1], seen
    finally:
        server.should_exit = True
        await task


def main(kind: str) -> None:
    if kind == "good":
        good().run("stdio")
    elif kind == "small":
        small()
    elif kind == "silent":
        time.sleep(300)
    elif kind == "crash":
        sys.exit(1)
    elif kind == "malformed":
        for _ in sys.stdin:
            print("this is no JSON", flush=True)
    elif kind == "burst":
        for _ in sys.stdin:
            while True:  # one line without an end
                sys.stdout.write("x" * 1_000_000)
    elif kind == "flood":
        for _ in sys.stdin:
            while True:  # messages without an end
                print(json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {}}))
    elif kind == "nohup":
        import signal

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(1)


if __name__ == "__main__":
    main(sys.argv[1])
