"""Which identity provider people sign in at, and which of its groups holds which role. From the environment alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from agent.errors import ConfigurationError
from console.permissions import ROLES, Role

PREFIX = "CALLGATE_OIDC_"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """``roles`` maps a value of the claim ``role_claim`` (dots go into nested claims) to a role of ours; the first that
    a person holds, in the order written, is theirs, and whoever holds none gets in nowhere. ``name_claim`` gives the
    name that the records show. ``public_url`` is where browsers find this console."""

    issuer: str
    client_id: str
    public_url: str
    roles: Mapping[str, Role]
    client_secret: str | None = field(default=None, repr=False)
    role_claim: str = "groups"
    name_claim: str = "preferred_username"
    scopes: str = "openid profile email"
    label: str = ""

    @property
    def loopback(self) -> bool:
        """Whether the provider runs on this machine, where plain HTTP is no risk: a trial or a test."""
        return (urlsplit(self.issuer).hostname or "") in _LOOPBACK

    @property
    def redirect_uri(self) -> str:
        return f"{self.public_url.rstrip('/')}/sign-in/oidc/callback"

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> OidcSettings | None:
        """``None`` where ``CALLGATE_OIDC_ISSUER`` is not set. Raises ``ConfigurationError`` naming the variable."""
        issuer = environment.get(f"{PREFIX}ISSUER", "").strip()
        if not issuer:
            return None
        parts = urlsplit(issuer)
        plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if not parts.hostname or not (parts.scheme == "https" or plain) or parts.query or parts.fragment:
            raise ConfigurationError(f"{PREFIX}ISSUER must be an https:// address, as the provider names itself")
        client_id = environment.get(f"{PREFIX}CLIENT_ID", "").strip()
        if not client_id:
            raise ConfigurationError(f"{PREFIX}CLIENT_ID must be set beside {PREFIX}ISSUER")
        public_url = environment.get("CALLGATE_PUBLIC_URL", "").strip()
        if urlsplit(public_url).scheme not in ("http", "https"):
            raise ConfigurationError(
                "CALLGATE_PUBLIC_URL must be set beside CALLGATE_OIDC_ISSUER: people come back there"
            )
        scopes = environment.get(f"{PREFIX}SCOPES", "").split() or ["openid", "profile", "email"]
        if "openid" not in scopes:
            raise ConfigurationError(f"{PREFIX}SCOPES must hold openid")
        return OidcSettings(
            issuer=issuer,
            client_id=client_id,
            public_url=public_url,
            roles=_roles(environment.get(f"{PREFIX}ROLES", "")),
            client_secret=environment.get(f"{PREFIX}CLIENT_SECRET") or None,
            role_claim=environment.get(f"{PREFIX}ROLE_CLAIM", "").strip() or "groups",
            name_claim=environment.get(f"{PREFIX}NAME_CLAIM", "").strip() or "preferred_username",
            scopes=" ".join(scopes),
            label=environment.get(f"{PREFIX}LABEL", "").strip()[:40] or parts.hostname,
        )

    def role_of(self, claims: Mapping[str, Any]) -> Role | None:
        """The role of a person with these claims; ``None``: none of theirs is mapped."""
        held = values_of(claims, self.role_claim)
        return next((role for group, role in self.roles.items() if group in held), None)


def values_of(claims: Mapping[str, Any], path: str) -> frozenset[str]:
    """The texts that a claim holds: one text, or a list of them. A claim whose own name has dots in it comes first."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    values = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return frozenset(value for value in values if isinstance(value, str))


def _roles(text: str) -> dict[str, Role]:
    name = f"{PREFIX}ROLES"
    try:
        found: Any = json.loads(text)
    except ValueError:
        raise ConfigurationError(f'{name} must be a JSON object such as {{"loan-qa": "reviewer"}}') from None
    if not isinstance(found, dict) or not found:
        raise ConfigurationError(f"{name} maps no group to a role: nobody could sign in")
    roles: dict[str, Role] = {}
    for group, role in found.items():
        if role not in ROLES:
            raise ConfigurationError(f"{name}: {role!r} is no role; there are {', '.join(ROLES)}")
        roles[group] = role
    return roles
