"""``callgate serve``: what happens before anybody signs in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

import agent.health
from agent.carriers import listener
from agent.desk import CallDesk
from agent.errors import ConfigurationError
from agent.health import lines_of, models_of
from agent.serve import serve
from agent.settings import Settings
from tests.console.test_i18n import LINES


async def test_a_second_serve_on_the_same_port_leaves_the_first_admins_link_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings = Settings(home=home, listen="127.0.0.1:0")
    with listener("127.0.0.1:0") as first:
        taken = f"127.0.0.1:{first.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match=f"cannot listen on {taken}"):
            await serve(settings.model_copy(update={"listen": taken}))
    assert not home.exists(), "nothing was opened, so no link was made or replaced"


@pytest.mark.parametrize("listen", ["8000", "127.0.0.1:http", "127.0.0.1:70000", "nowhere.invalid:8000"])
def test_an_address_that_cannot_be_listened_on_is_named(listen: str) -> None:
    with pytest.raises(ConfigurationError, match="CALLGATE_LISTEN"):
        listener(listen)


class Desk:
    full, live = False, 1

    def __init__(self, **settings: Any) -> None:
        self.settings = Settings(max_calls=4, **settings)


def lines(**settings: Any) -> dict[str, dict[str, str]]:
    return {name: dict(said) for name, said in lines_of(cast(CallDesk, Desk(**settings))).items()}


def test_operations_see_how_the_lines_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines() == {"softphone": {"state": "ready", "calls": "1 / 4"}}
    half = lines(carrier="twilio", public_url="https://calls.example.com")["twilio"]
    assert half["state"] == "not set up" and "CALLGATE_CALLER_ID" in half["error"]
    assert lines(carrier="asterisk", asterisk_password="s")["asterisk"] == {"state": "set up"}
    monkeypatch.setattr(Desk, "full", True)
    assert lines()["softphone"]["state"] == "all agents busy"
    monkeypatch.setattr(agent.health, "missing", lambda: "aiortc")
    assert lines()["softphone"] == {"state": "not set up", "error": "aiortc is not installed"}
    assert {"softphone", *lines()["softphone"]} - {"error"} <= LINES, "the console has words for them"


def test_operations_see_the_models_in_use() -> None:
    models = models_of(Settings(whisper_model="large-v3-turbo", semantic_model="none"), "espeak-ng")
    assert models["asr"] == "large-v3-turbo" and models["semantic"] == "none" and models["voice"] == "espeak-ng"
    assert models["sentiment"] == "embedded"
