"""Signing in at a company's identity provider by OpenID Connect. Optional; off unless its settings are there."""

from console.oidc.provider import Begun, OidcError, Provider
from console.oidc.settings import OidcSettings

__all__ = ["Begun", "OidcError", "OidcSettings", "Provider"]
