"""How both clients log in where a server asks for it: the SDK's own OAuth client, with a browser that clicks at once."""

import os
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import OAuthClientMetadata

REDIRECT = "http://127.0.0.1:1/callback"


class Memory:
    """Remembers for as long as the client runs."""

    def __init__(self) -> None:
        self._tokens: Any = None
        self._client: Any = None

    async def get_tokens(self) -> Any:
        return self._tokens

    async def set_tokens(self, tokens: Any) -> None:
        self._tokens = tokens

    async def get_client_info(self) -> Any:
        return self._client

    async def set_client_info(self, client_info: Any) -> None:
        self._client = client_info


def provider(url: str, http: Any, result: Any) -> Any:
    """What logs in, or nothing where nobody is to log in. `result` makes of code, state and issuer what the SDK wants."""
    if "PORTCULLIS_LOGIN" not in os.environ:
        return None
    answer: dict[str, list[str]] = {}

    async def browse(page: str) -> None:
        async with http.AsyncClient(trust_env=False) as browser:
            location = (await browser.get(page)).headers["location"]
        if not location.startswith(f"{REDIRECT}?"):
            raise RuntimeError(f"sent to {location}")
        answer.clear()
        answer.update(parse_qs(urlsplit(location).query))

    async def come_back() -> Any:
        return result(*(answer[field][0] for field in ("code", "state", "iss")))

    wanted = {"client_name": "journeys", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}
    client = OAuthClientMetadata.model_validate(wanted)
    return OAuthClientProvider(url, client, Memory(), redirect_handler=browse, callback_handler=come_back)
