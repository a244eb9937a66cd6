"""Where campaigns send their news."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints

from console.api.models.base import Given, Sent

News = Literal["disposition", "promise"]


class EndpointOut(Given):
    """``url`` is ``null`` where the campaign tells nobody. ``counts`` are deliveries by state."""

    campaign: str
    url: str | None
    events: list[str]
    counts: dict[str, int]
    last_error: str | None
    last_delivered: datetime | None


class NewEndpoint(Sent):
    url: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^https?://[^\s]+$", max_length=500)]
    events: Annotated[list[News], Field(min_length=1, max_length=2)] = Field(
        default_factory=lambda: list(get_args(News))
    )


class DeliveryOut(Given):
    """One piece of news on its way; what it tells goes to its receiver alone. ``host`` leaves out the path."""

    id: int
    event_id: str
    campaign: str
    kind: str
    host: str
    state: str
    tries: int
    error: str | None
    created_at: datetime
    next_at: datetime | None


class DeliveryList(Given):
    """Newest first; ``next`` is the ``before`` of the page after this one."""

    deliveries: list[DeliveryOut]
    next: int | None
