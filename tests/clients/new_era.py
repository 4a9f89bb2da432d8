"""A client of MCP 2026-07-28: the official SDK, 2.x. Usage: PORTCULLIS_KEY=… new_era.py URL

With PORTCULLIS_LOGIN in place of the key it logs in where the server asks for it.
"""

import sys

import httpx2
from mcp import Client, MCPError
from mcp.client.auth import AuthorizationCodeResult
from mcp.client.streamable_http import streamable_http_client

import login
import steps

REVISION = "2026-07-28"
wire = steps.Wire()


async def main() -> None:
    hooks = {"response": [wire.response]}
    auth = login.provider(
        sys.argv[1], httpx2, lambda code, state, iss: AuthorizationCodeResult(code=code, state=state, iss=iss)
    )
    async with httpx2.AsyncClient(
        auth=auth, headers=steps.credential(), event_hooks=hooks, timeout=30, trust_env=False
    ) as http:
        transport = streamable_http_client(sys.argv[1], http_client=http)
        # `auto` asks `server/discover`; pinning the revision would send nothing at all.
        async with Client(transport, mode="auto", cache=None) as client:
            if client.protocol_version != REVISION:
                raise RuntimeError(f"the SDK fell back to {client.protocol_version}")
            server = client.server_info.name if client.server_info else None
            await steps.serve(client, {"protocol": client.protocol_version, "server": server}, wire, MCPError)


steps.run(main, wire)
