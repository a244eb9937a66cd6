"""What must be settled before transformers is imported."""

from __future__ import annotations

import importlib.machinery
import sys
import types
from typing import Any


def without_torchaudio_library() -> None:
    """Let ``import transformers`` survive a torchaudio wheel built for CUDA beside a CPU torch.

    transformers imports torchaudio wherever it is installed, and torchaudio then loads a library that links CUDA.
    Nothing here uses that library, so a stub stands in for the module that loads it.
    """
    import torch

    if torch.version.cuda is not None or "torchaudio._extension" in sys.modules:
        return
    stub: Any = types.ModuleType("torchaudio._extension")
    stub.__spec__ = importlib.machinery.ModuleSpec("torchaudio._extension", None)
    stub._IS_TORCHAUDIO_EXT_AVAILABLE = stub._IS_ALIGN_AVAILABLE = False
    stub.fail_if_no_align = stub._check_cuda_version = lambda *_: None
    sys.modules["torchaudio._extension"] = stub
