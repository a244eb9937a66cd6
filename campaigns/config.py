"""A campaign as its owner writes it down: one YAML file, checked whole when it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from campaigns.errors import ConfigError
from campaigns.outcomes import EFFECTS, Retry

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_REGION = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
DEFAULT_POLICIES: Mapping[str, str] = {"zh": "cn", "en": "us"}


def _number(value: str) -> str:
    if not E164.fullmatch(value):
        raise ValueError("must be in international form, such as +8610555501")
    return value


CallerId = Annotated[str, AfterValidator(_number)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class TrunkConfig(_Part):
    """What the carrier lets us do; shared by every campaign that names the same trunk."""

    name: Annotated[str, Field(min_length=1, max_length=64)] = "main"
    channels: Annotated[int, Field(ge=1, le=5000)] = 8
    per_minute: Annotated[float, Field(ge=0, le=6000)] = 60.0


class Selection(_Part):
    """Which debts take part. Empty lists and unset bounds select all."""

    lenders: tuple[str, ...] = ()
    langs: tuple[Literal["zh", "en"], ...] = ()
    currencies: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()
    min_days_past_due: Annotated[int, Field(ge=-365, le=20000)] = 1
    max_days_past_due: Annotated[int, Field(ge=-365, le=20000)] = 15
    min_amount: Decimal = Decimal(0)

    @model_validator(mode="after")
    def _ordered(self) -> Selection:
        if self.min_days_past_due > self.max_days_past_due:
            raise ValueError("min_days_past_due is above max_days_past_due")
        return self


class RetryConfig(_Part):
    after_minutes: Annotated[float | None, Field(gt=0, le=60 * 24 * 60)] = None
    times: Annotated[int | None, Field(ge=0, le=20)] = None


class WebhookConfig(_Part):
    """Where news go. They are signed with the key in ``CALLGATE_WEBHOOK_SECRET``."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=500)]
    events: tuple[Literal["disposition", "promise"], ...] = ("disposition", "promise")


class MessagesConfig(_Part):
    """Which approved texts are sent. ``sender`` is the number they come from (default: the caller ID)."""

    promise_confirmation: bool = False
    payment_link: bool = False
    reminder: bool = False
    sender: CallerId | None = None
    link: Annotated[str, Field(max_length=200, pattern=r"^$|^https://[A-Za-z0-9.-]+(/[A-Za-z0-9._/-]*)?$")] = ""


class CampaignConfig(_Part):
    """One campaign. ``policies`` names the policy (a jurisdiction, or packs joined by ``+``) by language."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    script: Annotated[str, Field(min_length=1, max_length=128)] = "days_1_15_reminder"
    policies: dict[Literal["zh", "en"], str] = Field(default_factory=dict)
    trunk: TrunkConfig = TrunkConfig()
    caller_ids: dict[str, CallerId]
    select: Selection = Selection()
    max_attempts: Annotated[int, Field(ge=1, le=50)] = 6
    ring_seconds: Annotated[float, Field(ge=5, le=120)] = 30.0
    retry: dict[str, RetryConfig] = Field(default_factory=dict)
    webhooks: WebhookConfig | None = None
    messages: MessagesConfig = MessagesConfig()

    @field_validator("caller_ids")
    @classmethod
    def _regions(cls, value: dict[str, str]) -> dict[str, str]:
        if not value:
            raise ValueError("needs at least one entry")
        for region in value:
            if region != "default" and not _REGION.fullmatch(region):
                raise ValueError(f"{region!r} is neither default nor a region such as CN, US or US-NY")
        return value

    @field_validator("retry")
    @classmethod
    def _retried(cls, value: dict[str, RetryConfig]) -> dict[str, RetryConfig]:
        for outcome in value:
            known = EFFECTS.get(outcome)
            if known is None or known.does != "retry":
                raise ValueError(f"{outcome!r} is not an outcome that is retried")
        return value

    def caller_id(self, region: str) -> str | None:
        """The number to show in ``region``: the exact region's, its country's, the default, or ``None``."""
        return self.caller_ids.get(region) or self.caller_ids.get(region[:2]) or self.caller_ids.get("default")

    def policy(self, lang: str) -> str:
        return self.policies["zh" if lang == "zh" else "en"] if lang in self.policies else DEFAULT_POLICIES[lang]

    @property
    def retries(self) -> dict[str, Retry]:
        return {
            outcome: Retry(None if r.after_minutes is None else timedelta(minutes=r.after_minutes), r.times)
            for outcome, r in self.retry.items()
        }

    def plain(self) -> dict[str, Any]:
        """JSON values, as the database keeps them."""
        return self.model_dump(mode="json")


def read_config(plain: object, where: str = "campaign") -> CampaignConfig:
    """Raises ``ConfigError`` naming the first field that cannot be used."""
    if not isinstance(plain, dict):
        raise ConfigError(f"{where}: must hold a mapping of settings")
    try:
        return CampaignConfig.model_validate(plain)
    except ValidationError as e:
        first = e.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigError(f"{where}: {field}: {first['msg']}") from e


def load_config(path: Path) -> CampaignConfig:
    """Read a campaign file. Raises ``ConfigError`` in one line."""
    return read_config(load_yaml(path), str(path))


def load_yaml(path: Path, limit: int = 1 << 20) -> object:
    """Any YAML file of ours. Raises ``ConfigError`` in one line."""
    try:
        if path.stat().st_size > limit:
            raise ConfigError(f"{path}: larger than {limit} bytes")
        return yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as e:
        raise ConfigError(f"{path}: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise ConfigError(f"{path}: not UTF-8") from e
    except (yaml.YAMLError, ValueError, RecursionError) as e:
        raise ConfigError(f"{path}: not valid YAML: {str(e).splitlines()[0]}") from e
