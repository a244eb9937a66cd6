"""What can go wrong in this package."""

from __future__ import annotations


class SentimentError(Exception):
    """Base of this package's errors. The message is one line."""


class ModelError(SentimentError):
    """A model file is missing, damaged, or was made for another label set."""


class InputError(SentimentError):
    """What was to be understood cannot be read."""
