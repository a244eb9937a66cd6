"""The identity provider's side of a sign-in: where to send somebody, and what may be believed of who comes back.

Authorization code flow with PKCE (RFC 7636, S256), state and nonce (OpenID Connect Core 1.0, 3.1). Authlib speaks to
the provider and checks the token's claims; which algorithms, which issuer and which audience are good is decided here,
not by what the provider or the token says of itself (RFC 8725, 3.1 and 3.8).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import httpx

from agent.errors import ConfigurationError
from console.oidc.settings import OidcSettings

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures by a key pair. ``none`` and those by a shared secret are refused whatever the provider offers."""
LEEWAY_S = 60
"""Seconds by which the provider's clock may be ahead or behind."""
KEEP_S = 3600.0
"""Seconds for which the provider's description and keys are kept; an unknown key is asked for at once."""
TIMEOUT_S = 10.0
MAX_ANSWER = 1024 * 1024


class OidcError(Exception):
    """A sign-in at the provider cannot be believed or was refused. One line, without anything of the person."""


@dataclass(frozen=True, slots=True)
class Begun:
    """Where to send the browser, and the secrets to keep until it comes back."""

    url: str
    state: str
    nonce: str
    verifier: str


class Provider:
    """One identity provider. Safe to share between threads; asks the provider nothing before the first sign-in."""

    def __init__(self, settings: OidcSettings, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises ``ConfigurationError`` where Authlib is not installed."""
        try:
            import authlib.integrations.httpx_client  # type: ignore[import-untyped]  # noqa: F401
        except ImportError as e:
            raise ConfigurationError("signing in by OpenID Connect needs: pip install 'callgate[oidc]'") from e
        self.settings, self._clock = settings, clock
        self._lock = Lock()
        self._tls = ssl.create_default_context()  # made once: it reads every authority there is
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}

    def begin(self) -> Begun:
        """Raises ``OidcError`` where the provider cannot be asked."""
        from authlib.common.security import generate_token  # type: ignore[import-untyped]

        endpoint = self._endpoint("authorization_endpoint")
        state, nonce, verifier = (generate_token(48) for _ in range(3))
        with self._client() as client:
            url, _ = client.create_authorization_url(endpoint, state=state, code_verifier=verifier, nonce=nonce)
        return Begun(url, state, nonce, verifier)

    def finish(self, code: str, nonce: str, verifier: str) -> Mapping[str, Any]:
        """The claims of who came back with ``code``. Raises ``OidcError`` for whatever cannot be believed."""
        from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]

        endpoint = self._endpoint("token_endpoint")
        try:
            with self._client() as client:
                token = client.fetch_token(
                    endpoint, grant_type="authorization_code", code=code, code_verifier=verifier,
                    redirect_uri=self.settings.redirect_uri,
                )  # fmt: skip
        except AuthlibBaseError as e:
            raise OidcError("the identity provider did not accept the sign-in") from e
        except Exception as e:  # httpx or httpx2, whichever Authlib found, each with errors of its own
            raise OidcError("the identity provider did not answer") from e
        if not isinstance(token.get("id_token"), str):
            raise OidcError("the identity provider sent no ID token")
        claims = self._believed(token["id_token"], nonce, token.get("access_token"))
        told = self.settings.role_of(claims) is not None and self.settings.name_claim in claims
        if not told and token.get("access_token"):
            claims = {**claims, **self._user_info(str(token["access_token"]), claims["sub"])}
        return claims

    def _believed(self, id_token: str, nonce: str, access_token: str | None) -> dict[str, Any]:
        """The ID token's claims, once its signature, issuer, audience, times and nonce are right."""
        from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]
        from joserfc.errors import InvalidKeyIdError, JoseError

        client_id = self.settings.client_id
        try:
            try:
                token = self._decoded(id_token)
            except InvalidKeyIdError:  # signed by a key that came after we last asked
                self._forget("jwks_uri")
                token = self._decoded(id_token)
            options = {
                "iss": {"essential": True, "value": self.settings.issuer},
                "aud": {"essential": True, "value": client_id},
                "exp": {"essential": True},
            }
            params = {"client_id": client_id, "nonce": nonce, "access_token": access_token}
            claims = CodeIDToken(token.claims, token.header, options, params)
            claims.validate(leeway=LEEWAY_S)
        except (JoseError, ValueError, KeyError, TypeError) as e:
            raise OidcError("the identity provider's ID token cannot be believed") from e
        audience = [claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"]
        if client_id not in audience or not claims["sub"]:
            raise OidcError("the identity provider's ID token is for somebody else")
        return dict(claims)

    def _decoded(self, id_token: str) -> Any:
        from joserfc import jwt
        from joserfc.jwk import KeySet
        from joserfc.jws import JWSRegistry

        keys = self._fetched("jwks_uri", self._endpoint("jwks_uri"))
        registry = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
        return jwt.decode(id_token, KeySet.import_key_set(keys), registry=registry)  # type: ignore[arg-type]

    def _user_info(self, access_token: str, subject: str) -> dict[str, Any]:
        """What the provider tells only at its UserInfo endpoint; believed only of the same person (Core 1.0, 5.3.2)."""
        if not self._metadata().get("userinfo_endpoint"):
            return {}
        found = self._get(self._endpoint("userinfo_endpoint"), {"Authorization": f"Bearer {access_token}"})
        if found.get("sub") != subject:
            raise OidcError("the identity provider told of somebody else")
        return found

    def _client(self) -> Any:
        from authlib.integrations.httpx_client import OAuth2Client

        secret = self.settings.client_secret
        offered = self._metadata().get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        method = "client_secret_basic" if "client_secret_basic" in offered else "client_secret_post"
        return OAuth2Client(
            self.settings.client_id, secret, token_endpoint_auth_method=method if secret else "none",
            scope=self.settings.scopes, redirect_uri=self.settings.redirect_uri, code_challenge_method="S256",
            timeout=TIMEOUT_S, trust_env=not self.settings.loopback, verify=self._tls,
        )  # fmt: skip

    def _metadata(self) -> dict[str, Any]:
        """What the provider says of itself (OpenID Connect Discovery 1.0, 4)."""
        issuer = self.settings.issuer
        found = self._fetched("metadata", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            self._forget("metadata")
            raise OidcError("the identity provider names itself otherwise than CALLGATE_OIDC_ISSUER does")
        return found

    def _endpoint(self, name: str) -> str:
        url = self._metadata().get(name)
        if not isinstance(url, str) or urlsplit(url).scheme != ("http" if self._plain(url) else "https"):
            raise OidcError(f"the identity provider names no usable {name}")
        return url

    def _plain(self, url: str) -> bool:
        return self.settings.loopback and urlsplit(url).hostname == urlsplit(self.settings.issuer).hostname

    def _fetched(self, key: str, url: str) -> dict[str, Any]:
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and self._clock() - kept[0] < KEEP_S:
            return kept[1]
        found = self._get(url, {})
        with self._lock:
            self._kept[key] = self._clock(), found
        return found

    def _forget(self, key: str) -> None:
        with self._lock:
            self._kept.pop(key, None)

    def _get(self, url: str, headers: Mapping[str, str]) -> dict[str, Any]:
        try:
            with (
                httpx.Client(timeout=TIMEOUT_S, trust_env=not self.settings.loopback, verify=self._tls) as client,
                client.stream("GET", url, headers={"Accept": "application/json", **headers}) as answer,
            ):
                answer.raise_for_status()
                body = bytearray()
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > MAX_ANSWER:
                        raise OidcError("the identity provider's answer is too large")
            found = httpx.Response(200, content=bytes(body)).json()
        except (httpx.HTTPError, ValueError) as e:
            raise OidcError("the identity provider did not answer") from e
        if not isinstance(found, dict):
            raise OidcError("the identity provider's answer cannot be read")
        return found
