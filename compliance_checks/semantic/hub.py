"""Any transformers text-classification model in the place of the embedded one. Imports torch, and only when asked."""

from __future__ import annotations

import hashlib
import importlib.machinery
import sys
import threading
import types
from collections.abc import Sequence
from typing import Any, Final

from agent.events import Lang, Party
from compliance_checks.semantic.model import Judgement, SemanticError

# Labels by which classifiers say "nothing wrong here".
_FINE: Final = frozenset({"ok", "compliant", "benign", "neutral", "safe", "clean", "non-toxic", "not toxic", "none"})
_DEFAULT_THRESHOLD: Final = 0.9
_MAX_TOKENS: Final = 256


class TransformersModel:
    """``source`` is a model's name or folder.

    One of its labels must mean "nothing wrong" (``ok``, ``safe``, ``neutral`` …) and the others name violations; a
    model of one label, or a multi-label model without such a label, names violations only.
    The party is not shown to it. Raises :class:`SemanticError` if it cannot be loaded.
    """

    def __init__(self, source: str, threshold: float | None = None) -> None:
        try:
            import torch

            without_torchaudio_library()
            from transformers import AutoModelForSequenceClassification, AutoTokenizer

            self._tokenizer: Any = AutoTokenizer.from_pretrained(source)
            self._model: Any = AutoModelForSequenceClassification.from_pretrained(source).eval()
        except (ImportError, OSError, ValueError, KeyError, RuntimeError) as error:
            raise SemanticError(f"{source}: no text-classification model can be loaded: {_line(error)}") from error
        config = self._model.config
        self._labels = [str(config.id2label[i]) for i in range(config.num_labels)]
        self._fine = [i for i, label in enumerate(self._labels) if label.strip().lower() in _FINE]
        self._several = config.problem_type == "multi_label_classification" or config.num_labels == 1
        if not self._several and len(self._fine) != 1:
            raise SemanticError(f"{source}: exactly one label must mean that nothing is wrong, of {self._labels}")
        self._torch = torch
        self._name = source
        self._fingerprint = _fingerprint(self._model)
        self._threshold = _DEFAULT_THRESHOLD if threshold is None else threshold
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self._name

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def threshold(self, lang: Lang) -> float:
        return self._threshold

    def judge(self, texts: Sequence[str], lang: Lang, party: Party) -> list[Judgement]:
        if not texts:
            return []
        with self._lock, self._torch.inference_mode():
            batch = self._tokenizer(
                list(texts), return_tensors="pt", padding=True, truncation=True, max_length=_MAX_TOKENS
            )
            logits = self._model(**batch).logits.float()
            rows = (logits.sigmoid() if self._several else logits.softmax(-1)).tolist()
        return [self._judgement(row) for row in rows]

    def _judgement(self, row: Sequence[float]) -> Judgement:
        wrong = {i: p for i, p in enumerate(row) if i not in self._fine}
        worst = max(wrong, key=lambda i: wrong[i])
        violation = wrong[worst] if self._several else 1.0 - row[self._fine[0]]
        return Judgement(violation, self._labels[worst].strip().lower().replace(" ", "_"))


def without_torchaudio_library() -> None:
    """Let transformers be imported where a torchaudio built for CUDA stands beside a torch that was not.

    transformers imports torchaudio wherever it is installed, which loads a library that links CUDA and dies. Nothing
    of it is used here, so a stand-in takes the place of its compiled part. ``audio.broken_torchaudio`` does the same
    for hearing and understanding: the gate stands alone and may not import it.
    """
    import torch

    name = "torchaudio._extension"
    if torch.version.cuda is not None or name in sys.modules or "torchaudio" in sys.modules:
        return
    stub: Any = types.ModuleType(name)
    stub.__spec__ = importlib.machinery.ModuleSpec(name, None)
    stub._IS_TORCHAUDIO_EXT_AVAILABLE = stub._IS_ALIGN_AVAILABLE = False
    stub.fail_if_no_align = lambda function: function
    stub._check_cuda_version = lambda: None
    sys.modules[name] = stub


def _fingerprint(model: Any) -> str:
    digest = hashlib.sha256(model.config.to_json_string().encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
