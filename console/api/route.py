"""A route of the interface: guarded like a page, its request bounded before anything of it is read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response

from console.api.models.base import Problem
from console.guard import SAFE, GuardedRoute

PREFIX = "/api/v1"
MAX_BODY = 256 * 1024
"""Bytes of a request. The largest that makes sense is a scorecard."""
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "Cannot be read"},
    401: {"model": Problem, "description": "No key, or not a valid one"},
    403: {"model": Problem, "description": "The role may not"},
    422: {"model": Problem, "description": "A value cannot be used; the error names it"},
}
_MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "There is no such thing"}}
_SENT: dict[int | str, dict[str, Any]] = {
    411: {"model": Problem, "description": "A body of unknown length"},
    413: {"model": Problem, "description": "Too large"},
}


class ApiRoute(GuardedRoute):
    """Refuses a body that is too large or does not say how large it is."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            if request.method not in SAFE:
                length = request.headers.get("content-length")
                if length is None and "transfer-encoding" in request.headers:
                    raise HTTPException(411, "say how long the body is (Content-Length)")
                if length is not None and not (length.isascii() and length.isdigit() and int(length) <= MAX_BODY):
                    raise HTTPException(413, f"a body has at most {MAX_BODY} bytes")
            return await handle(request)

        return bounded


def add(
    router: APIRouter,
    method: str,
    path: str,
    endpoint: Callable[..., Any],
    model: Any = None,
    *,
    status: int = 200,
    more: dict[int | str, dict[str, Any]] | None = None,
) -> None:
    """Register ``endpoint`` at ``/api/v1`` + ``path``; ``model`` is what it answers with (``None``: no JSON)."""
    name = f"{endpoint.__module__.rpartition('.')[2]}_{endpoint.__name__}"
    responses = _PROBLEMS | (_MISSING if "{" in path else {}) | (_SENT if method not in SAFE else {}) | (more or {})
    router.add_api_route(
        PREFIX + path, endpoint, methods=[method], response_model=model, status_code=status, responses=responses,
        route_class_override=ApiRoute, tags=[path.split("/")[1]], operation_id=name,
    )  # fmt: skip
