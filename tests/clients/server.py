"""An MCP server of the official SDK, either generation. Usage: server.py

Prints `listening on URL`, then one JSON line for every HTTP request that reached it: what an upstream sees.
"""

import asyncio
import json
import socket
from collections import defaultdict
from typing import Any

import uvicorn

try:
    from mcp.server import MCPServer
    from mcp.server.mcpserver import Context
except ImportError:
    from mcp.server.fastmcp import Context
    from mcp.server.fastmcp import FastMCP as MCPServer

PATIENCE_SECONDS = 20

mcp = MCPServer("upstream")
acknowledged: dict[tuple[str, int], asyncio.Event] = defaultdict(asyncio.Event)


@mcp.tool()
def add(a: int, b: int) -> str:
    """Adds two numbers."""
    return str(a + b)


@mcp.tool()
def delete_everything() -> str:
    """What no test may ever reach without the right to it."""
    return "everything is gone"


@mcp.tool()
async def count(run: str, upto: int, ctx: Context) -> str:
    """Counts in notifications, each sent only after `acknowledge` was called for the one before."""
    for number in range(1, upto + 1):
        await ctx.report_progress(number, upto)
        await asyncio.wait_for(acknowledged[run, number].wait(), PATIENCE_SECONDS)
    return f"counted to {upto}"


@mcp.tool()
async def acknowledge(run: str, number: int, upto: int = 0) -> str:
    """Lets `count` go on."""
    acknowledged[run, number].set()
    return "noted"


@mcp.resource("notes://release")
def release_notes() -> str:
    """A resource."""
    return "The gate is shut."


@mcp.resource("file:///public/hours.md")
def opening_hours() -> str:
    """What everybody may read."""
    return "From nine to five."


@mcp.resource("file:///secret.md")
def secret() -> str:
    """What no test may ever read without the right to it."""
    return "Under the mat."


@mcp.prompt()
def review(topic: str) -> str:
    """A prompt."""
    return f"Please review {topic}."


class Recorder:
    """Prints each request before the SDK sees it."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        body = b""

        async def observed() -> Any:
            nonlocal body
            message = await receive()
            if message["type"] == "http.request":
                body += message.get("body", b"")
                if not message.get("more_body"):
                    self._record(scope, body)
            return message

        if scope["method"] != "POST":
            self._record(scope, body)
            return await self._app(scope, receive, send)
        return await self._app(scope, observed, send)

    @staticmethod
    def _record(scope: Any, body: bytes) -> None:
        headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
        query = scope["query_string"].decode("latin-1")
        request = {"method": scope["method"], "path": scope["path"], "query": query, "headers": headers}
        print(json.dumps({**request, "body": body.decode("utf-8", "replace")}), flush=True)


def main() -> None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    config = uvicorn.Config(Recorder(mcp.streamable_http_app()), log_level="error", timeout_graceful_shutdown=1)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


main()
