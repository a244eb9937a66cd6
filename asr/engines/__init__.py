"""Recognisers by name: the embedded Whisper, any other Whisper, and engines behind the same protocol."""

from __future__ import annotations

from asr.engines.load import load_transcriber

__all__ = ["load_transcriber"]
