"""A small OAuth authorization server: codes with PKCE (RFC 7636), dynamic registration (RFC 7591), metadata (RFC 8414),
resource indicators (RFC 8707), the issuer in its answers (RFC 9207), access tokens as JWT (RFC 9068) by ES256.

Usage: auth_server.py [FIRST_SCOPE…]. Prints `listening on ISSUER`, then one JSON line for what it did: {"registered"},
{"authorized"}, {"issued"}, {"refused"}, or {"asked"} for any other request. Nobody has to log in: everybody is `ada`.
With FIRST_SCOPEs, whoever asks for the first time is granted no other; whoever asks again gets all that was asked for.
"""

import base64
import hashlib
import json
import secrets
import socket
import sys
import time
from typing import Any
from urllib.parse import urlencode

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

KID = "2026"
# Somewhere in a path, as issuers of many tenants are.
TENANT = "/tenants/one"

key = ec.generate_private_key(ec.SECP256R1())
first_scopes = set(sys.argv[1:])
clients: dict[str, dict[str, Any]] = {}
codes: dict[str, dict[str, str]] = {}
issuer = ""


def tell(**what: Any) -> None:
    print(json.dumps(what), flush=True)


class Wrong(Exception):
    """The request is not what the standards want it to be."""


def require(holds: bool, why: str) -> None:
    if not holds:
        raise Wrong(why)


async def metadata(_: Request) -> Response:
    tell(asked="metadata")
    return JSONResponse(
        {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "registration_endpoint": f"{issuer}/register",
            "jwks_uri": f"{issuer}/keys",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "authorization_response_iss_parameter_supported": True,
        }
    )


async def keys(_: Request) -> Response:
    tell(asked="keys")
    public = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return JSONResponse({"keys": [{**public, "kid": KID, "alg": "ES256", "use": "sig"}]})


async def register(request: Request) -> Response:
    wanted = await request.json()
    client = {**wanted, "client_id": secrets.token_hex(8), "token_endpoint_auth_method": "none"}
    clients[client["client_id"]] = client
    tell(registered=client["client_id"])
    return JSONResponse(client, 201)


async def authorize(request: Request) -> Response:
    asked = dict(request.query_params)
    client = clients.get(asked.get("client_id", ""))
    require(client is not None, "unknown client")
    require(asked.get("redirect_uri") in client["redirect_uris"], "another redirect URI")
    require(asked.get("response_type") == "code", "only codes are given out")
    require(asked.get("code_challenge_method") == "S256", "PKCE by S256 is demanded")
    require(bool(asked.get("code_challenge") and asked.get("state")), "no challenge, or no state")
    require("resource" in asked, "for which resource?")
    scopes = asked.get("scope", "").split()
    if first_scopes and not client.get("has asked"):
        scopes = [scope for scope in scopes if scope in first_scopes]
    client["has asked"] = True
    code = secrets.token_urlsafe(24)
    codes[code] = {**asked, "scope": " ".join(scopes)}
    tell(authorized={"resource": asked["resource"], "asked": asked.get("scope"), "granted": " ".join(scopes)})
    answer = urlencode({"code": code, "state": asked["state"], "iss": issuer})
    return RedirectResponse(f"{asked['redirect_uri']}?{answer}", 302)


async def token(request: Request) -> Response:
    form = dict(await request.form())
    require(form.get("grant_type") == "authorization_code", "only codes are taken")
    granted = codes.pop(str(form.get("code")), None)
    require(granted is not None, "unknown code")
    verifier = hashlib.sha256(str(form.get("code_verifier")).encode()).digest()
    challenge = base64.urlsafe_b64encode(verifier).decode().rstrip("=")
    require(challenge == granted["code_challenge"], "another verifier")
    for field in ("client_id", "redirect_uri", "resource"):
        require(form.get(field) == granted[field], f"another {field}")
    now = int(time.time())
    claims = {
        "iss": issuer,
        "sub": "ada",
        "aud": granted["resource"],
        "iat": now,
        "exp": now + 300,
        "jti": secrets.token_hex(16),
        "client_id": granted["client_id"],
        "scope": granted["scope"],
    }
    text = jwt.encode(claims, key, "ES256", {"typ": "at+jwt", "kid": KID})
    tell(issued=claims)
    answer = {"access_token": text, "token_type": "Bearer", "expires_in": 300, "scope": granted["scope"]}
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


async def refuse(_: Request, wrong: Exception) -> Response:
    tell(refused=str(wrong))
    return JSONResponse({"error": "invalid_request", "error_description": str(wrong)}, 400)


async def elsewhere(request: Request) -> Response:
    tell(asked=request.url.path)
    return Response(status_code=404)


def main() -> None:
    global issuer
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    issuer = f"http://127.0.0.1:{listener.getsockname()[1]}{TENANT}"
    routes = [
        Route(f"/.well-known/oauth-authorization-server{TENANT}", metadata),
        Route(f"{TENANT}/keys", keys),
        Route(f"{TENANT}/register", register, methods=["POST"]),
        Route(f"{TENANT}/authorize", authorize),
        Route(f"{TENANT}/token", token, methods=["POST"]),
        Route("/{path:path}", elsewhere),
    ]
    app = Starlette(routes=routes, exception_handlers={Wrong: refuse})
    print(f"listening on {issuer}", flush=True)
    config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listener])


main()
