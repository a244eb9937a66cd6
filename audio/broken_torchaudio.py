"""transformers and pyannote beside a torchaudio that cannot load: what must be settled before they are imported."""

from __future__ import annotations

import importlib.machinery
import sys
import types
from typing import Any

_EXTENSION = "torchaudio._extension"


def without_torchaudio_library() -> None:
    """Let transformers and pyannote be imported beside a torchaudio wheel built for CUDA and a torch that was not.

    Both import torchaudio wherever it is installed, and torchaudio then loads a library that links CUDA. Nothing of
    ours or theirs uses that library here, so a stub stands in for the module that loads it.
    """
    import torch

    if torch.version.cuda is not None or _EXTENSION in sys.modules or "torchaudio" in sys.modules:
        return
    stub: Any = types.ModuleType(_EXTENSION)
    stub.__spec__ = importlib.machinery.ModuleSpec(_EXTENSION, None)
    stub._IS_TORCHAUDIO_EXT_AVAILABLE = stub._IS_ALIGN_AVAILABLE = False
    stub.fail_if_no_align = lambda function: function
    stub._check_cuda_version = lambda: None
    sys.modules[_EXTENSION] = stub
