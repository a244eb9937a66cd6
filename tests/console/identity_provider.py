"""A small OpenID Connect provider over real HTTP: discovery, keys, authorization, token and UserInfo endpoints.

It keeps to the rules: a code is good once, for the client, address and PKCE challenge that it was made for. What a test
wants broken it says in ``claims`` (which go over the right ones; ``None`` leaves a claim out) and ``sign``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

KEYS = [RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"}) for kid in ("first", "second")]
Sign = Callable[[dict[str, Any]], str]


@dataclass
class IdentityProvider:
    client_id: str = "callgate"
    client_secret: str = "s3cret&of/the=client"
    claims: dict[str, Any] = field(default_factory=dict)
    """Over the ID token's own claims."""
    info: dict[str, Any] | None = None
    """What UserInfo tells; ``None``: there is no such endpoint."""
    metadata: dict[str, Any] = field(default_factory=dict)
    sign: Sign | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    """The parameters of each authorization request."""

    def __post_init__(self) -> None:
        self.key = KEYS[0]
        self._codes: dict[str, dict[str, str]] = {}
        handler = type("Handler", (_Handler,), {"provider": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}/realm"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def rotate(self) -> None:
        self.key = KEYS[1]

    def rs256(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    # the endpoints ---------------------------------------------------------------------------------------------

    def discovery(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "none", "HS256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }
        if self.info is not None:
            found["userinfo_endpoint"] = f"{self.issuer}/userinfo"
        return found | self.metadata

    def authorize(self, asked: dict[str, str]) -> str:
        """Where the browser is sent back to; the person at the provider has said yes."""
        self.asked.append(asked)
        assert asked["response_type"] == "code" and asked["client_id"] == self.client_id
        assert "openid" in asked["scope"].split() and asked["code_challenge_method"] == "S256"
        assert len(asked["state"]) >= 32 and len(asked["nonce"]) >= 32
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state'], 'iss': self.issuer})}"

    def token(self, sent: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        wanted = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        if authorization != f"Basic {wanted}":
            return 401, {"error": "invalid_client"}
        asked = self._codes.pop(sent.get("code", ""), None)
        digest = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            asked is None
            or sent.get("grant_type") != "authorization_code"
            or sent.get("redirect_uri") != asked["redirect_uri"]
            or challenge != asked["code_challenge"]
        ):
            return 400, {"error": "invalid_grant"}
        now, access = int(time.time()), secrets.token_urlsafe(16)
        half = hashlib.sha256(access.encode()).digest()[:16]
        claims: dict[str, Any] = {
            "iss": self.issuer, "sub": "u-1", "aud": self.client_id, "iat": now, "exp": now + 300,
            "nonce": asked["nonce"], "preferred_username": "wei.chen", "groups": ["loan-qa"],
            "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
        }  # fmt: skip
        claims = {key: value for key, value in (claims | self.claims).items() if value is not None}
        return 200, {
            "access_token": access, "token_type": "Bearer", "expires_in": 300,
            "id_token": (self.sign or self.rs256)(claims),
        }  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    provider: IdentityProvider

    def do_GET(self) -> None:
        url, provider = urlsplit(self.path), self.provider
        asked = {key: values[0] for key, values in parse_qs(url.query).items()}
        if url.path == "/realm/.well-known/openid-configuration":
            self._json(200, provider.discovery())
        elif url.path == "/realm/keys":
            self._json(200, {"keys": [provider.key.as_dict(private=False)]})
        elif url.path == "/realm/authorize":
            self.send_response(302)
            self.send_header("Location", provider.authorize(asked))
            self.end_headers()
        elif url.path == "/realm/userinfo" and self.headers.get("authorization", "").startswith("Bearer "):
            self._json(200, provider.info or {})
        else:
            self._json(404, {"error": "not_found"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        sent = {key: values[0] for key, values in parse_qs(body).items()}
        self._json(*self.provider.token(sent, self.headers.get("authorization", "")))

    def _json(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return None
