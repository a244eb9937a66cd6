"""G.711 mu-law (ITU-T G.711, 8 kHz, 8 bits a sample) by table, and 16-bit PCM to and from floats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pcm16 = NDArray[np.int16]
Floats = NDArray[np.float32]

_BIAS = 0x84
_CLIP = 32635


def _decode_table() -> Pcm16:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    exponent = (code >> 4) & 0x07
    magnitude = (((code & 0x0F) << 3) + _BIAS << exponent) - _BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _encode_table() -> NDArray[np.uint8]:
    sample = np.arange(-32768, 32768, dtype=np.int32)
    sign = np.where(sample < 0, 0x80, 0)
    biased = np.minimum(np.abs(sample), _CLIP) + _BIAS
    exponent = np.floor(np.log2(biased)).astype(np.int32) - 7
    mantissa = (biased >> (exponent + 3)) & 0x0F
    code: NDArray[np.uint8] = (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8)
    return code


_DECODE = _decode_table()
_ENCODE = _encode_table()
SILENCE = b"\xff"
"""One mu-law sample of silence."""


def encode(pcm: Pcm16) -> bytes:
    """16-bit PCM to mu-law, one byte a sample."""
    out: bytes = _ENCODE[pcm.astype(np.int32) + 32768].tobytes()
    return out


def decode(mulaw: bytes) -> Pcm16:
    """Mu-law bytes to 16-bit PCM."""
    return _DECODE[np.frombuffer(mulaw, dtype=np.uint8)]


def to_float(pcm: Pcm16) -> Floats:
    """16-bit PCM to float32 in [-1, 1)."""
    return pcm.astype(np.float32) / np.float32(32768.0)


def to_pcm16(samples: Floats) -> Pcm16:
    """Float samples to 16-bit PCM, clipped."""
    return np.clip(np.round(samples * 32768.0), -32768, 32767).astype(np.int16)
