"""Where recordings lie: the local folder first, and, where one is named, an object store behind fsspec.

``CALLGATE_RECORDING_STORE`` is a folder URL that fsspec knows (``s3://bucket/prefix``, ``gs://…``, ``file:///…``; S3
needs the package ``s3fs``). A recording is copied there when its call is sealed, as it lies on the disk: encrypted
where recordings are encrypted. The local copy stays unless ``CALLGATE_RECORDING_LOCAL`` is ``drop``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from archive.audio_file import open_file
from archive.errors import RecordingError, one_line
from archive.layout import Layout

STORE_VARIABLE = "CALLGATE_RECORDING_STORE"
LOCAL_VARIABLE = "CALLGATE_RECORDING_LOCAL"


@dataclass(frozen=True, slots=True)
class Store:
    """The archive's recordings by their stored names. ``remote`` is a folder URL, ``None``: local only."""

    layout: Layout
    remote: str | None = None
    keep_local: bool = True

    @staticmethod
    def from_environment(home: Path, environ: Mapping[str, str] | None = None) -> Store:
        environment = os.environ if environ is None else environ
        remote = environment.get(STORE_VARIABLE, "").strip().rstrip("/") or None
        local = environment.get(LOCAL_VARIABLE, "").strip().casefold()
        if local not in ("", "keep", "drop"):
            raise RecordingError(f"{LOCAL_VARIABLE} is 'keep' or 'drop', not {local!r}")
        return Store(Layout(home), remote, local != "drop")

    def upload(self, path: str) -> str | None:
        """Copy the local recording ``path`` (as the database names it) to the object store; returns its URL there.

        ``None`` without an object store. Raises ``RecordingError``; the local file is untouched.
        """
        if self.remote is None:
            return None
        url = f"{self.remote}/{path}"
        with open_file(self.layout.absolute(path)) as source:
            try:
                filesystem, name = _filesystem(url)
                filesystem.makedirs(name.rpartition("/")[0], exist_ok=True)
                with filesystem.open(name, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
            except Exception as e:  # a store's client raises what it likes
                raise RecordingError(f"cannot copy a recording to {url}: {one_line(e)}") from e
        return url

    def drop_local(self, path: str) -> None:
        """The object store has it: remove the local copy, unless it is to be kept."""
        if not self.keep_local:
            self.layout.absolute(path).unlink(missing_ok=True)

    def open(self, path: str, remote: str | None) -> BinaryIO:
        """The recording as it is stored, seekable. Raises ``RecordingError``."""
        local = self.layout.absolute(path)
        if remote is None or local.exists():
            return open_file(local)
        try:
            filesystem, name = _filesystem(remote)
            return cast(BinaryIO, filesystem.open(name, "rb"))
        except Exception as e:
            raise RecordingError(f"cannot read the recording {remote}: {one_line(e)}") from e

    def destroy(self, path: str, remote: str | None) -> bool:
        """Remove the recording everywhere; returns whether there was one. Raises ``RecordingError``."""
        found = False
        if remote is not None:
            try:
                filesystem, name = _filesystem(remote)
                if filesystem.exists(name):
                    filesystem.rm_file(name)
                    found = True
            except Exception as e:
                raise RecordingError(f"cannot remove the recording {remote}: {one_line(e)}") from e
        local = self.layout.absolute(path)
        try:
            if local.exists():
                local.unlink()
                found = True
        except OSError as e:
            raise RecordingError(f"cannot remove the recording {local}: {e.strerror or one_line(e)}") from e
        return found


def _filesystem(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]

    filesystem, name = url_to_fs(url)
    return filesystem, str(name)
