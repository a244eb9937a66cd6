"""The start page: sends everybody to the page their work is on."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from console.guard import needs
from console.page import person_of
from console.permissions import Role

START: dict[Role, str] = {
    "operator": "/operations",
    "reviewer": "/queue",
    "supervisor": "/dashboard",
    "compliance": "/compliance",
    "auditor": "/queue",
    "admin": "/people",
}


def routes(router: APIRouter) -> None:
    router.get("/")(home)


@needs("account")
def home(request: Request) -> Response:
    return RedirectResponse(START[person_of(request).role], 303)
