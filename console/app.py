"""The console as one ASGI application. Every route says who may use it; one that does not cannot be registered."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from agent import tracing
from archive.database import DatabaseError
from archive.errors import ArchiveError, RecordingError
from console import api, security
from console.context import Context
from console.guard import GuardedRoute, identify
from console.oidc import Provider
from console.page import render

STATIC = Path(__file__).parent / "static"
NO_PAGE = "there is no such page"
NO_METHOD = "this page cannot be used in that way"
_log = logging.getLogger(__name__)
_PATHS = re.compile(r"(?:\b[a-z][\w+.-]*:/)?(?<![\w.])/[^\s'\"]+")
"""Absolute paths and addresses."""
PAGES = (
    "session",
    "oidc",
    "home",
    "queue",
    "call",
    "quality",
    "evidence",
    "dashboard",
    "live",
    "softphone",
    "compliance",
    "operations",
    "webhooks",
    "people",
    "audit",
)
"""Modules of ``console.pages``, each with a ``routes(router)``."""


def create_app(context: Context) -> FastAPI:
    """The pages and their assets over ``context``."""
    # FastAPI's own traces carry whole addresses: one-time links, what was searched for. Ours are cleaned of them.
    traced: Any = tracing.telemetry(tracing.provider())
    app = FastAPI(title="Callgate", docs_url=None, redoc_url=None, openapi_url=None, telemetry=traced)
    app.state.context = context
    app.state.provider = Provider(context.oidc) if context.oidc is not None else None
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
    plain = {"Not Found": NO_PAGE, "Method Not Allowed": NO_METHOD}  # what Starlette says of itself
    wants_page = not request.url.path.startswith("/api/")
    detail = str(error.detail)
    response = _error(request, error.status_code, plain.get(detail, detail) if wants_page else detail)
    response.headers.update(error.headers or {})
    return response


def _bad_request(request: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("query", "body", "path"))
    return _error(request, 422, f"{where or 'request'}: {first['msg']}")


def _archive_error(request: Request, error: ArchiveError) -> Response:
    """What the archive could not do. Its words name files and hosts of ours: they are for the log, not for a page."""
    _log.error("%s %s: %s", request.method, _template(request), error)
    if isinstance(error, DatabaseError):
        if error.row_at_fault:
            return _error(request, 400, "the database refused a value of the request")
        return _error(request, 503, "the database cannot be used right now; try again")
    if isinstance(error, RecordingError):
        return _error(request, 500, "the recording cannot be read")
    return _error(request, 400, _PATHS.sub("…", str(error)))


def _template(request: Request) -> str:
    """The route's path with its places unfilled: ids and searched words do not belong into a log."""
    return str(getattr(request.scope.get("route"), "path", "?"))


def _error(request: Request, status: int, message: str) -> Response:
    if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/"):
        if not hasattr(request.state, "nonce"):
            request.state.nonce = ""
        if not hasattr(request.state, "person"):  # no route was found: the page still knows who is looking
            with suppress(ArchiveError):
                request.state.person = identify(request)
        return render(request, "error.html", status, status_code=status, message=message)
    return JSONResponse({"error": message}, status)
