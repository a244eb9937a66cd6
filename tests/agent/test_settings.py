"""Settings: documented, bounded, and refused with the variable's name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.errors import ConfigurationError
from agent.settings import Settings, load_settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_every_setting_is_documented_and_nothing_else() -> None:
    documented = set(re.findall(r"^\| `CALLGATE_([A-Z_]+)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert documented == {name.upper() for name in Settings.model_fields}


def test_documented_defaults_are_the_real_ones() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, default in re.findall(r"^\| `CALLGATE_([A-Z_]+)` \| (\d+)", page, re.MULTILINE):
        assert float(default) == float(Settings.model_fields[name.lower()].default)


def test_a_bad_value_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLGATE_WHISPER_THREADS", "many")
    with pytest.raises(ConfigurationError, match="CALLGATE_WHISPER_THREADS"):
        load_settings()


def test_the_secret_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLGATE_TOKEN_SECRET", "hunter2hunter2")
    assert "hunter2" not in repr(load_settings())
