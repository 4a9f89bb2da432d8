"""A client of MCP 2025-11-25 and before: the official SDK, 1.x. Usage: PORTCULLIS_KEY=… old_era.py URL

With PORTCULLIS_LOGIN in place of the key it logs in where the server asks for it.
"""

import sys

import httpx
from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamable_http_client
from pydantic import AnyUrl

import login
import steps

wire = steps.Wire()


async def main() -> None:
    hooks = {"response": [wire.response]}
    auth = login.provider(sys.argv[1], httpx, lambda code, state, _iss: (code, state))
    async with httpx.AsyncClient(
        auth=auth, headers=steps.credential(), event_hooks=hooks, timeout=30, trust_env=False
    ) as http:
        async with streamable_http_client(sys.argv[1], http_client=http) as (reader, writer, session_id):
            async with ClientSession(reader, writer) as session:
                initialized = await session.initialize()
                connected = {
                    "protocol": initialized.protocolVersion,
                    "session": session_id() is not None,
                    "server": initialized.serverInfo.name,
                }
                await steps.serve(session, connected, wire, McpError, AnyUrl)


steps.run(main, wire)
