"""The models of a process: loaded once, shared by every call."""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import ConfigurationError
from agent.settings import Settings
from asr.engine import Engine
from asr.transcriber import ModelError as HearingModelError
from asr.transcriber import Transcriber
from asr.whisper import FasterWhisper
from compliance_checks.gate import Gate
from compliance_checks.policy import PolicyError
from compliance_checks.semantic.model import SemanticError
from compliance_checks.terms import PatternError
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
            load_hearing(settings),
            load_understander(settings),
            load_gate(settings),
        )
    except HearingModelError as e:
        raise ConfigurationError(str(e)) from e


def load_understander(settings: Settings) -> Understander:
    """Raises ``ConfigurationError``."""
    try:
        return Understander.load(settings.understanding_model)
    except UnderstandingModelError as e:
        raise ConfigurationError(str(e)) from e


def load_gate(settings: Settings) -> Gate:
    """The gate with the lender's packs and the semantic model of the settings. Raises ``ConfigurationError``."""
    try:
        return Gate.load(settings.packs, semantic=settings.semantic_model)
    except (PolicyError, PatternError, SemanticError) as e:
        raise ConfigurationError(str(e)) from e


def load_hearing(settings: Settings) -> Transcriber:
    """The recogniser of every call, behind an engine where calls are to be decoded together. Raises ``ModelError``."""
    model = FasterWhisper.load(
        settings.whisper_model,
        device=settings.whisper_device,
        cpu_threads=settings.whisper_threads,
        num_workers=settings.whisper_workers,
    )
    if settings.whisper_batch == 1:
        return model
    waiting = 4 * settings.max_calls  # a call asks for one text at a time: more would be answered too late
    return Engine(
        model, workers=settings.whisper_workers, max_batch=settings.whisper_batch, max_waiting=max(16, waiting)
    )
