"""Settings, from the environment (``CALLGATE_…``). Secrets come from nowhere else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from agent.errors import ConfigurationError

_STUN = re.compile(r"stun:[A-Za-z0-9.\-\[\]]{1,200}(:[0-9]{1,5})?")
_TURN = re.compile(r"turns?:[A-Za-z0-9.\-\[\]:]{1,200}(\?transport=(udp|tcp))?")


def _servers(pattern: re.Pattern[str], shape: str) -> Callable[[object], object]:
    """Reads the parts of a list with commas, each like ``pattern``; raises ``ValueError`` with its ``shape``."""

    def read(value: object) -> object:
        parts = tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value
        if isinstance(parts, tuple) and not all(pattern.fullmatch(part) for part in parts):
            raise ValueError(f"must be {shape}, several separated by commas")
        return parts

    return read


_stun_servers = _servers(_STUN, "stun:host:port")
_turn_servers = _servers(_TURN, "turn:host:port or turns:host:port?transport=tcp")


class Settings(BaseSettings):
    """Every default can be replaced; docs/settings.md lists them."""

    model_config = SettingsConfigDict(env_prefix="CALLGATE_", extra="ignore")

    home: Path = Field(
        default_factory=lambda: Path.home() / ".local" / "share" / "callgate",
        description="Folder of the archive: database, recordings, transcripts.",
    )
    database_url: str | None = Field(
        default=None, description="SQLAlchemy URL of the archive; SQLite in home if unset."
    )
    whisper_model: str | None = Field(
        default=None, description="A Whisper that faster-whisper loads: size name or folder. Unset: the embedded model."
    )
    whisper_threads: int = Field(default=1, ge=1, le=64, description="CPU threads for one utterance.")
    whisper_workers: int = Field(default=2, ge=1, le=64, description="Utterances decoded at the same time.")
    whisper_device: Literal["cpu", "cuda", "auto"] = Field(default="cpu", description="Where the Whisper runs.")
    whisper_batch: int = Field(
        default=1, ge=1, le=64, description="Turns of several calls decoded together at most. 1: each by itself."
    )
    understanding_model: Path | None = Field(default=None, description="Folder or file of an intent and emotion model.")
    semantic_model: str = Field(
        default="embedded",
        min_length=1,
        description="The gate's model beside its rules: embedded, none, a .npz file, a transformers classifier.",
    )
    voice_emotion: bool = Field(
        default=True, description="Read emotion from the voice too; a policy that asks for a notice waits for it."
    )
    packs: Path | None = Field(default=None, description="Folder of the lender's own policy packs.")
    scripts: Path | None = Field(
        default=None, description="Folder of approved dialogue scripts. Unset: those that ship."
    )
    voice_variant: str = Field(
        default="f2", description="espeak-ng voice variant of the agent, the same in both languages."
    )
    voice_rate: int = Field(default=172, ge=80, le=300, description="Words a minute.")
    token_secret: SecretStr | None = Field(
        default=None, description="Key of the media tokens. Unset: random per process."
    )
    max_calls: int = Field(default=8, ge=1, le=500, description="Live calls a process accepts.")
    carrier: Literal["asterisk", "twilio", "telnyx", "plivo"] | None = Field(
        default=None, description="Who places real calls. Unset: only simulated calls."
    )
    caller_id: str | None = Field(default=None, description="Number shown to the borrower.")
    transfer_to: str | None = Field(
        default=None, description="Number of the people's queue; with Asterisk an extension or a dial string."
    )
    listen: str = Field(default="127.0.0.1:8080", description="host:port of our server.")
    stun_servers: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_stun_servers)] = Field(
        default=(), description="STUN servers of the softphone, as stun:host:port, separated by commas."
    )
    turn_servers: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_turn_servers)] = Field(
        default=(), description="TURN servers of the softphone, as turn:host:port, separated by commas."
    )
    turn_user: str | None = Field(default=None, description="Name at the TURN servers, the same for every call.")
    turn_password: SecretStr | None = Field(default=None, description="Password of that name.")
    turn_secret: SecretStr | None = Field(
        default=None, description="The TURN servers' shared secret: each call gets a name and password that expire."
    )
    public_url: str | None = Field(default=None, description="Public https address of `listen` for hosted carriers.")
    asterisk_url: str = Field(default="http://127.0.0.1:8088", description="Asterisk's HTTP server.")
    asterisk_user: str = Field(default="callgate", description="User of ari.conf.")
    asterisk_password: SecretStr | None = Field(default=None, description="Password of that user.")
    asterisk_application: str = Field(
        default="callgate",
        pattern=r"^[A-Za-z0-9_-]{1,32}$",
        description="Name at Asterisk; homes that share one need names of their own.",
    )
    asterisk_endpoint: str = Field(default="PJSIP/{to}", description="Dial string; {to} is the number.")
    asterisk_audiosocket: str | None = Field(
        default=None, description="host:port for AudioSocket, for an Asterisk without chan_websocket."
    )
    twilio_account_sid: str | None = Field(default=None, description="Twilio account.")
    twilio_auth_token: SecretStr | None = Field(default=None, description="Twilio's auth token.")
    telnyx_api_key: SecretStr | None = Field(default=None, description="Telnyx API key.")
    telnyx_connection_id: str | None = Field(default=None, description="Telnyx call control application.")
    telnyx_public_key: str | None = Field(default=None, description="Telnyx's public key of webhooks.")
    plivo_auth_id: str | None = Field(default=None, description="Plivo account.")
    plivo_auth_token: SecretStr | None = Field(default=None, description="Plivo's auth token.")
    carrier_silence: float = Field(
        default=6.0, gt=0, le=60, description="Seconds without media before a line counts as dead."
    )


def load_settings() -> Settings:
    """Raises ``ConfigurationError`` naming the first variable that cannot be used."""
    try:
        return Settings()
    except ValidationError as e:
        first = e.errors()[0]
        name = "CALLGATE_" + "_".join(str(part) for part in first["loc"]).upper()
        raise ConfigurationError(f"{name}: {first['msg']}") from e
