"""Where the archive's files lie.

``HOME/archive.db`` is the database, ``HOME/calls/YYYY-MM-DD/CALL_ID/`` one call's folder, dated by the UTC day
on which the call started. Folders are made readable by their owner only: recordings are personal data.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from archive.errors import ArchiveError, one_line

HOME_VARIABLE = "CALLGATE_HOME"
ENCRYPTED_SUFFIX = ".cgr"


def default_home(environ: Mapping[str, str] | None = None) -> Path:
    """``$CALLGATE_HOME`` where set, else ``~/.local/share/callgate``."""
    chosen = (os.environ if environ is None else environ).get(HOME_VARIABLE, "").strip()
    return Path(chosen).expanduser() if chosen else Path.home() / ".local" / "share" / "callgate"


def private_folder(path: Path) -> Path:
    """Make ``path`` and its missing parents, readable by their owner only. Raises ``ArchiveError``."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    try:
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as e:
        raise ArchiveError(f"cannot make the folder {path}: {e.strerror or one_line(e)}") from e
    if not path.is_dir():
        raise ArchiveError(f"{path} is not a folder")
    return path


@dataclass(frozen=True, slots=True)
class CallFiles:
    """The files of one call. Nothing here touches the disk."""

    folder: Path
    encrypted: bool = False

    @property
    def recording(self) -> Path:
        return self.folder / ("recording" + (ENCRYPTED_SUFFIX if self.encrypted else ".wav"))

    @property
    def key(self) -> Path:
        """An encrypted recording's wrapped data key, until the database has it."""
        return self.folder / "recording.key"

    @property
    def transcript_json(self) -> Path:
        return self.folder / "transcript.json"

    @property
    def transcript_text(self) -> Path:
        return self.folder / "transcript.txt"

    @property
    def journal(self) -> Path:
        """Rows that the database would not take, one JSON object a line."""
        return self.folder / "journal.jsonl"

    @property
    def lock(self) -> Path:
        """Held by the process that runs the call for as long as the call is live."""
        return self.folder / "live.lock"


@dataclass(frozen=True, slots=True)
class Layout:
    """The archive's home folder and what lies in it."""

    home: Path

    @property
    def database(self) -> Path:
        return self.home / "archive.db"

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the default SQLite database."""
        return f"sqlite:///{self.database}"

    @property
    def calls(self) -> Path:
        return self.home / "calls"

    def call(self, call_id: str, started_at: datetime, *, encrypted: bool = False) -> CallFiles:
        """The files of a call; ``encrypted`` says how its recording is kept. ``started_at`` must be aware.

        Raises ``ArchiveError`` for an id that is no UUID, so that no id can name a path outside the archive.
        """
        if started_at.tzinfo is None:
            raise ArchiveError("a call's start needs a time zone")
        try:
            name = str(uuid.UUID(call_id))
        except (ValueError, AttributeError, TypeError) as e:
            raise ArchiveError(f"not a call id (a UUID is needed): {call_id!r}") from e
        return CallFiles(self.calls / started_at.astimezone(UTC).strftime("%Y-%m-%d") / name, encrypted)

    def relative(self, path: Path) -> str:
        """``path`` as the database keeps it: relative to the home where it lies inside, so a home can be moved."""
        try:
            return path.relative_to(self.home).as_posix()
        except ValueError:
            return str(path)

    def absolute(self, stored: str) -> Path:
        """The file that a stored path names."""
        return self.home / stored
