"""The versioned interface for programs: ``/api/v1``, JSON in and out, described by ``/api/v1/openapi.json``."""

from __future__ import annotations

from fastapi import APIRouter

from console.api import (
    audit,
    calls,
    dashboards,
    description,
    evidence,
    live,
    metrics,
    people,
    quality,
    review,
    webhooks,
)


def routes(router: APIRouter) -> None:
    """Every route of the interface, and ``/metrics``."""
    for part in (description, calls, evidence, review, quality, dashboards, live, people, webhooks, audit, metrics):
        part.routes(router)
