"""What the console's operations page is told of this process: its lines, and the models that its calls use."""

from __future__ import annotations

from collections.abc import Mapping

from agent.carriers import check_carrier
from agent.desk import CallDesk
from agent.errors import ConfigurationError
from agent.settings import Settings
from agent.telephony.browser import missing


def lines_of(desk: CallDesk) -> Mapping[str, Mapping[str, str]]:
    """Each line's state in words that the console translates; what is missing of a line is its ``error``."""
    lines = {"softphone": _softphone(desk)}
    if desk.settings.carrier is not None:
        lines[desk.settings.carrier] = _carrier(desk.settings)
    return lines


def _softphone(desk: CallDesk) -> Mapping[str, str]:
    package = missing()
    if package is not None:
        return {"state": "not set up", "error": f"{package} is not installed"}
    return {"state": "all agents busy" if desk.full else "ready", "calls": f"{desk.live} / {desk.settings.max_calls}"}


def _carrier(settings: Settings) -> Mapping[str, str]:
    try:
        check_carrier(settings)
    except ConfigurationError as e:
        return {"state": "not set up", "error": str(e)}
    return {"state": "set up"}


def models_of(settings: Settings, voice: str) -> Mapping[str, str]:
    """The models in use, by what they are for. ``voice`` is the speaking engine's name."""
    return {
        "asr": settings.whisper_model or "embedded",
        "vad": "silero, smart-turn",
        "sentiment": str(settings.understanding_model or "embedded"),
        "semantic": settings.semantic_model,
        "voice": voice,
    }
