"""``callgate campaign run``: which carrier, and what is said when it cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from agent.campaigning_cli import app

CAMPAIGN = {"name": "november", "caller_ids": {"default": "+861055550100"}}
TWILIO = {"CALLGATE_TWILIO_ACCOUNT_SID": "AC1", "CALLGATE_PUBLIC_URL": "https://calls.example.com"}


@pytest.mark.parametrize(
    ("carrier", "environment", "words"),
    [
        ("twilio", {}, "CALLGATE_PUBLIC_URL is not set, and the carrier twilio needs it"),
        ("twilio", TWILIO, "CALLGATE_TWILIO_AUTH_TOKEN is not set, and the carrier twilio needs it"),
        ("twilio", {**TWILIO, "CALLGATE_PUBLIC_URL": "http://x"}, "CALLGATE_PUBLIC_URL must begin with https://"),
        ("telnyx", {"CALLGATE_PUBLIC_URL": "https://x"}, "CALLGATE_TELNYX_API_KEY is not set"),
        ("plivo", {"CALLGATE_PUBLIC_URL": "https://x"}, "CALLGATE_PLIVO_AUTH_ID is not set"),
        ("asterisk", {}, "CALLGATE_ASTERISK_PASSWORD is not set, and the carrier asterisk needs it"),
        ("pigeon", {}, "--carrier must be one of asterisk, twilio, telnyx, plivo, simulated, not 'pigeon'"),
    ],
)
@pytest.mark.parametrize("option", [True, False])
def test_what_is_missing_is_named_before_anything_is_loaded(
    carrier: str,
    environment: dict[str, str],
    words: str,
    option: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.campaigning_run.load_models", lambda settings: pytest.fail("models were loaded"))
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump(CAMPAIGN))
    arguments = ["run", str(file), "--home", str(tmp_path / "home")]
    if option:
        arguments += ["--carrier", carrier]
    else:
        environment = {**environment, "CALLGATE_CARRIER": carrier}
        words = words if carrier != "pigeon" else "CALLGATE_CARRIER: Input should be"
    result = CliRunner().invoke(app, arguments, env=environment)
    assert result.exit_code == 2 and words in result.stderr, result.output
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "home").exists(), "nothing was made"
