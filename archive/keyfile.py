"""The wrapped data key of a recording whose call has not been sealed: a small file beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from archive.errors import RecordingError, one_line
from archive.keys import DataKey, KeyProblem


def beside(recording: Path) -> Path:
    return recording.with_suffix(".key")


def write(path: Path, key: DataKey) -> None:
    """Write the key and wait until it is on the disk. Raises ``RecordingError``."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump({"key_id": key.key_id, "key": key.text}, file)
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as e:
        raise RecordingError(f"cannot write the recording's key {path}: {e.strerror or one_line(e)}") from e


def read(path: Path) -> DataKey:
    """Raises ``RecordingError`` where there is none, ``KeyProblem`` where it is damaged."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return DataKey.parse(document["key_id"], document["key"])
    except OSError as e:
        raise RecordingError(f"cannot read the recording's key {path}: {e.strerror or one_line(e)}") from e
    except (ValueError, KeyError, TypeError) as e:
        raise KeyProblem(f"the recording's key {path} is damaged") from e
