"""Where campaigns send their news: what is asked. What is answered are ``console.webhooks``' own values."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints

from console.api.models.base import Given, Sent
from console.webhooks import Delivery

News = Literal["disposition", "promise"]


class NewEndpoint(Sent):
    url: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^https?://[^\s]+$", max_length=500)]
    events: Annotated[list[News], Field(min_length=1, max_length=2)] = Field(
        default_factory=lambda: list(get_args(News))
    )


class DeliveryList(Given):
    """Newest first; ``next`` is the ``before`` of the page after this one."""

    deliveries: list[Delivery]
    next: int | None
