"""Settings, from the environment (``CALLGATE_…``). Secrets come from nowhere else."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from agent.errors import ConfigurationError


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
    understanding_model: Path | None = Field(default=None, description="Folder or file of an intent and emotion model.")
    packs: Path | None = Field(default=None, description="Folder of policy packs. Unset: the packs that ship.")
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
