"""The console as one ASGI application. Every route says who may use it; one that does not cannot be registered."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from archive.errors import ArchiveError
from console import api, security
from console.context import Context
from console.guard import GuardedRoute
from console.page import render

STATIC = Path(__file__).parent / "static"
PAGES = ("session", "home", "queue", "call", "dashboard", "live", "compliance", "operations", "people", "audit")
"""Modules of ``console.pages``, each with a ``routes(router)``."""


def create_app(context: Context) -> FastAPI:
    """The pages and their assets over ``context``."""
    # FastAPI's own traces carry whole addresses: one-time links, what was searched for. Its metrics carry routes only.
    quiet: Any = {"tracing": False, "logs": False}
    app = FastAPI(title="Callgate", docs_url=None, redoc_url=None, openapi_url=None, telemetry=quiet)
    app.state.context = context
    app.middleware("http")(security.headers)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    router = APIRouter(route_class=GuardedRoute)
    for name in PAGES:
        import_module(f"console.pages.{name}").routes(router)
    api.routes(router)
    app.include_router(router)
    app.state.guarded = router
    app.add_exception_handler(HTTPException, _http_error)  # type: ignore[arg-type]
    for status in (404, 405):  # Starlette's own: no such path, no such method
        app.add_exception_handler(status, _http_error)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _bad_request)  # type: ignore[arg-type]
    app.add_exception_handler(ArchiveError, _archive_error)  # type: ignore[arg-type]
    return app


def _http_error(request: Request, error: HTTPException) -> Response:
    return _error(request, error.status_code, str(error.detail))


def _bad_request(request: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("query", "body", "path"))
    return _error(request, 422, f"{where or 'request'}: {first['msg']}")


def _archive_error(request: Request, error: ArchiveError) -> Response:
    return _error(request, 400, str(error))


def _error(request: Request, status: int, message: str) -> Response:
    if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/"):
        if not hasattr(request.state, "nonce"):
            request.state.nonce = ""
        return render(request, "error.html", status, status_code=status, message=message)
    return JSONResponse({"error": message}, status)
