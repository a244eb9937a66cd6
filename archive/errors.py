"""What can go wrong with the archive. Every message is one line and names what is wrong."""

from __future__ import annotations


class ArchiveError(Exception):
    """The archive cannot be opened, read or written. The message is one line fit to show to a person."""


class RecordingError(ArchiveError):
    """A recording cannot be written or read."""


def one_line(error: BaseException) -> str:
    """The first line of an error's own words, without the statement and parameters that a driver may append.

    Parameters may hold a borrower's words, so they never reach a message or a log line.
    """
    original = getattr(error, "orig", None) or error
    text = str(original).strip() or type(original).__name__
    return text.splitlines()[0]
