"""What any semantic model answers: how likely a text is a violation, and of which kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from agent.events import Lang, Party

Array = npt.NDArray[np.float32]


class SemanticError(ValueError):
    """A semantic model cannot be loaded; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """``violation`` is a calibrated probability in [0, 1]; ``category`` the likeliest kind of violation."""

    violation: float
    category: str


class SemanticModel(Protocol):
    """A classifier of short texts as they will be heard (see :mod:`compliance_checks.semantic.text`)."""

    @property
    def name(self) -> str:
        """What the model calls itself; it stands in the model card."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of the model; it enters the policy hash of every verdict."""
        ...

    def threshold(self, lang: Lang) -> float:
        """A text of ``lang`` whose ``violation`` reaches this is refused; in (0, 1]."""
        ...

    def judge(self, texts: Sequence[str], lang: Lang, party: Party) -> Sequence[Judgement]:
        """One judgement a text, in order. Deterministic; safe between threads."""
        ...
