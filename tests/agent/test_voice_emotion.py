"""When the sound of a voice may be read: never against the operator's or the policy's word."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.call import EMOTION_NOTICE, LiveCall, voice_allowed
from agent.settings import Settings
from compliance_checks.gate import Gate


def live(gate: Gate, policy: str | None, *, told: bool, setting: bool = True) -> LiveCall:
    state = SimpleNamespace(purposes_done=frozenset({EMOTION_NOTICE} if told else ()))
    parts: Any = SimpleNamespace(
        desk=SimpleNamespace(settings=Settings(voice_emotion=setting), models=SimpleNamespace(gate=gate)),
        call=SimpleNamespace(policy=policy, lang="en"),
        follow=SimpleNamespace(state=state),
    )
    return cast(LiveCall, parts)


@pytest.mark.parametrize(
    ("policy", "told", "setting", "allowed"),
    [
        (None, False, True, True),
        ("us", False, True, True),
        (None, True, False, False),
        ("uk+eu-ai-act", False, True, False),
        ("uk+eu-ai-act", True, True, True),
        ("uk+eu-ai-act", True, False, False),
    ],
)
def test_the_voice_is_read_only_where_it_may_be(
    gate: Gate, policy: str | None, told: bool, setting: bool, allowed: bool
) -> None:
    assert voice_allowed(live(gate, policy, told=told, setting=setting)) is allowed


def test_nothing_is_read_before_the_call_has_begun(gate: Gate) -> None:
    begun = live(gate, "eu", told=True)
    cast(Any, begun.follow).state = None
    assert not voice_allowed(begun)
