"""The interface's own description, as OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse

from console.api.route import PREFIX, add
from console.guard import GuardedRoute, needs

VERSION = "1"


def routes(router: APIRouter) -> None:
    add(router, "GET", "/openapi.json", openapi)


@needs("account")
def openapi(request: Request) -> JSONResponse:
    """This document."""
    app = request.app
    cached: dict[str, Any] | None = getattr(app.state, "openapi", None)
    if cached is None:
        cached = app.state.openapi = describe(app.state.guarded)
    return JSONResponse(cached)


def describe(router: APIRouter) -> dict[str, Any]:
    """The document over the routes of ``router`` that lie under ``/api/v1``."""
    ours = [route for route in router.routes if isinstance(route, GuardedRoute) and route.path.startswith(PREFIX)]
    document: dict[str, Any] = get_openapi(
        title="Callgate", version=VERSION, routes=ours,
        description="Calls, reviews, numbers, people and the audit chain. Send `Authorization: Bearer KEY`; what a key "
        "may do is its role's, and each operation names the permission it needs as `x-permission`.",
    )  # fmt: skip
    document.setdefault("components", {})["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"key": []}]
    for route in ours:
        for method in route.methods or ():
            document["paths"][route.path][method.lower()]["x-permission"] = route.permission
    return document
