"""The models of a process: loaded once, shared by every call."""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import ConfigurationError
from agent.settings import Settings
from asr.transcriber import ModelError as HearingModelError
from asr.transcriber import Transcriber
from asr.whisper import FasterWhisper
from compliance_checks.gate import Gate
from compliance_checks.policy import PolicyError
from sentiment.errors import ModelError as UnderstandingModelError
from sentiment.understand import Understander


@dataclass(frozen=True, slots=True)
class Models:
    transcriber: Transcriber
    understander: Understander
    gate: Gate


def load_models(settings: Settings) -> Models:
    """Raises ``ConfigurationError`` naming the model or pack that is missing or corrupt."""
    try:
        return Models(
            FasterWhisper.load(
                settings.whisper_model, cpu_threads=settings.whisper_threads, num_workers=settings.whisper_workers
            ),
            Understander.load(settings.understanding_model),
            Gate.load(settings.packs),
        )
    except (HearingModelError, UnderstandingModelError, PolicyError) as e:
        raise ConfigurationError(str(e)) from e
