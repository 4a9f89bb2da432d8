"""Makes keys and tokens with a library that is not ours, and judges tokens with it. Usage: jose_peer.py LIBRARY

LIBRARY is `pyjwt`, `joserfc` or `jose` (the C program). Reads a list of commands on standard input, writes the list of
their answers:

{"do": "sign", "alg", "header", "claims"} makes a key and signs with it -> {"token", "secret"} for HS256, else {"token",
"private", "public" (JWKs), "private_pem", "public_pem", "thumbprint"}; what a library cannot write is null.
{"do": "verify", "alg", "token", "audience", and one of "jwks", "jwk", "pem", "secret"} -> {"claims"} or {"refused"}.
"""

import base64
import json
import secrets
import subprocess
import sys
import tempfile
from typing import Any

import joserfc.errors
import joserfc.jwk
import joserfc.jwt
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

Json = dict[str, Any]


class Refused(Exception):
    """The library does not believe the token."""


def headers(command: Json) -> Json:
    return {"alg": command["alg"], **command["header"]}


def header_of(token: str) -> Json:
    part = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


class PyJwt:
    MAKE = {
        "EdDSA": lambda: ed25519.Ed25519PrivateKey.generate(),
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "RS256": lambda: rsa.generate_private_key(65537, 2048),
        "PS256": lambda: rsa.generate_private_key(65537, 2048),
    }

    def sign(self, command: Json) -> Json:
        alg, claims = command["alg"], command["claims"]
        if alg == "HS256":
            secret = secrets.token_hex(24)
            return {"token": jwt.encode(claims, secret, alg, command["header"]), "secret": secret}
        key = self.MAKE[alg]()
        writes = jwt.get_algorithm_by_name(alg)
        private_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public_pem = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return {
            "token": jwt.encode(claims, private_pem, alg, command["header"]),
            "private": writes.to_jwk(key, as_dict=True),
            "public": writes.to_jwk(key.public_key(), as_dict=True),
            "private_pem": private_pem.decode(),
            "public_pem": public_pem.decode(),
            "thumbprint": None,
        }

    def verify(self, command: Json) -> Json:
        token, alg = command["token"], command["alg"]
        if "jwks" in command:
            key = jwt.PyJWKSet.from_dict(command["jwks"])[header_of(token)["kid"]]
        elif "jwk" in command:
            key = jwt.PyJWK.from_dict(command["jwk"], alg)
        else:
            key = command.get("pem") or command["secret"]
        try:
            return jwt.decode(token, key, algorithms=[alg], audience=command["audience"])
        except jwt.InvalidTokenError as error:
            raise Refused(repr(error)) from error


class Joserfc:
    MAKE = {
        "EdDSA": lambda: joserfc.jwk.OKPKey.generate_key("Ed25519"),
        "ES256": lambda: joserfc.jwk.ECKey.generate_key("P-256"),
        "RS256": lambda: joserfc.jwk.RSAKey.generate_key(2048),
        "PS256": lambda: joserfc.jwk.RSAKey.generate_key(2048),
    }
    TYPES = {
        "EdDSA": joserfc.jwk.OKPKey,
        "ES256": joserfc.jwk.ECKey,
        "RS256": joserfc.jwk.RSAKey,
        "PS256": joserfc.jwk.RSAKey,
        "HS256": joserfc.jwk.OctKey,
    }

    def sign(self, command: Json) -> Json:
        alg, claims = command["alg"], command["claims"]
        if alg == "HS256":
            secret = secrets.token_hex(24)
            key = joserfc.jwk.OctKey.import_key(secret)
            return {"token": joserfc.jwt.encode(headers(command), claims, key, [alg]), "secret": secret}
        key = self.MAKE[alg]()
        return {
            "token": joserfc.jwt.encode(headers(command), claims, key, [alg]),
            "private": key.as_dict(private=True),
            "public": key.as_dict(private=False),
            "private_pem": key.as_pem(private=True).decode(),
            "public_pem": key.as_pem(private=False).decode(),
            "thumbprint": key.thumbprint(),
        }

    def verify(self, command: Json) -> Json:
        alg = command["alg"]
        if "jwks" in command:
            key = joserfc.jwk.KeySet.import_key_set(command["jwks"])
        else:
            given = command.get("jwk") or command.get("pem") or command["secret"]
            key = self.TYPES[alg].import_key(given)
        try:
            claims = joserfc.jwt.decode(command["token"], key, [alg]).claims
            wanted = {"essential": True, "value": command["audience"]}
            joserfc.jwt.JWTClaimsRegistry(aud=wanted, exp={"essential": True}).validate(claims)
            return claims
        except joserfc.errors.JoseError as error:
            raise Refused(repr(error)) from error


class Jose:
    """The C program. It looks at signatures alone, and knows neither PEM nor Ed25519."""

    def run(self, arguments: list[str], text: str, key: str | None = None) -> str:
        """It reads keys from files alone."""
        with tempfile.NamedTemporaryFile("w", suffix=".jwk") as file:
            if key is not None:
                file.write(key)
                file.flush()
                arguments = [*arguments, "-k", file.name]
            done = subprocess.run(["jose", *arguments], input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Refused(done.stderr or f"exit code {done.returncode}")
        return done.stdout

    def sign(self, command: Json) -> Json:
        alg = command["alg"]
        secret = secrets.token_hex(24)
        if alg == "HS256":
            k = base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")
            private = json.dumps({"kty": "oct", "k": k})
        else:
            private = self.run(["jwk", "gen", "-i-"], json.dumps({"alg": alg}))
        template = json.dumps({"protected": headers(command)})
        claims = json.dumps(command["claims"])
        token = self.run(["jws", "sig", "-c", "-I-", "-s", template], claims, private).strip()
        if alg == "HS256":
            return {"token": token, "secret": secret}
        return {
            "token": token,
            "private": json.loads(private),
            "public": json.loads(self.run(["jwk", "pub", "-i-"], private)),
            "private_pem": None,
            "public_pem": None,
            "thumbprint": self.run(["jwk", "thp", "-i-"], private).strip(),
        }

    def verify(self, command: Json) -> Json:
        if "secret" in command:
            k = base64.urlsafe_b64encode(command["secret"].encode()).decode().rstrip("=")
            key = {"kty": "oct", "k": k}
        else:
            key = command.get("jwks") or command["jwk"]
        return json.loads(self.run(["jws", "ver", "-i-", "-O-"], command["token"], json.dumps(key)))


def answer(library: Any, command: Json) -> Json:
    if command["do"] == "sign":
        return library.sign(command)
    try:
        return {"claims": library.verify(command)}
    except Refused as refused:
        return {"refused": str(refused)}


library = {"pyjwt": PyJwt, "joserfc": Joserfc, "jose": Jose}[sys.argv[1]]()
json.dump([answer(library, command) for command in json.load(sys.stdin)], sys.stdout)
