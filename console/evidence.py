"""A call's evidence bundle: the one way out of the console for sound with nothing covered, for who may have it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, get_args

from archive.bundle import write_bundle
from console.context import Context

Purpose = Literal["court", "regulator", "complaint", "inspection"]
"""Why a bundle is made, as the audit chain is told."""
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
_PIECE = 1 << 20


def bundle_file(context: Context, call_id: str, *, actor: str, purpose: Purpose) -> BinaryIO:
    """The bundle, open for reading; on the disk it has no name any more, so nothing of it outlives the answer.

    Raises ``ArchiveError`` as :func:`archive.bundle.write_bundle` does.
    """
    context.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=context.home) as folder:
        path = Path(folder) / "bundle.zip"
        write_bundle(context.database, context.store, call_id, path, actor=actor, purpose=purpose)
        return path.open("rb")


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """The file's bytes; it is closed at the end, however that comes."""
    with file:
        while piece := file.read(_PIECE):
            yield piece
