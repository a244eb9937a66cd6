"""What the interface takes and gives, whatever the resource. Moments are ISO 8601 in UTC; times named ``at``,
``start`` and ``end`` are seconds since the call was answered; money is a decimal string."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Short = Annotated[str, StringConstraints(max_length=128)]
Reviewed = Literal["none", "open", "done"]
Seconds = Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)]
Name = Annotated[str, StringConstraints(pattern=r"^[\w.@+-]{2,64}$")]


class Sent(BaseModel):
    """A body or a query: nothing unknown in it."""

    model_config = ConfigDict(extra="forbid")


class Given(BaseModel):
    """An answer, made from rows as well as from mappings."""

    model_config = ConfigDict(from_attributes=True)


class Problem(Given):
    """What was wrong, in one line."""

    error: str


class Changed(Given):
    """``changed`` is false where there was nothing to change."""

    changed: bool = True
