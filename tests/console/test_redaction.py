"""Who hears what of a recording: measured on the samples that the console sends."""

from __future__ import annotations

import io
import re
import wave
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from agent.events import Heard, Proposed, Span, Spoken, Understood, Verdict, Word
from archive.audit import AuditLog
from archive.covering import tone
from archive.recorder import Recorder
from archive.writer import CallArchive, NewCall
from console.context import Context
from console.people import People

SignIn = Callable[..., httpx.Client]
SECONDS = 16
DIGITS, NAME = (9.0, 12.0), (1.0, 3.0)
"""When the borrower says the digits, and the line with the name."""


def sine(seconds: float) -> np.ndarray:
    return (8000 * np.sin(np.arange(int(seconds * 8000)) / 5)).astype(np.int16)


@pytest.fixture
def call(context: Context) -> str:
    new = NewCall(
        lang="en", started_at=datetime(2026, 11, 22, 2, 0, tzinfo=UTC), script_id="days_1_15_reminder", models={}
    )
    archive = CallArchive.begin(context.database, context.home, new, clock=lambda: float(SECONDS))
    archive.answered()
    with Recorder(archive.files.recording, lambda: float(SECONDS), start=0.0, background=False) as recorder:
        for side in ("borrower", "agent"):
            recorder.write(side, sine(SECONDS), at=0.0)  # type: ignore[arg-type]
    for line, text, at, expects in (
        ("ask_name", "Am I speaking with Alex Morgan?", NAME, None),
        ("ask_last4", "Please tell me the last four digits of your I D number.", (4.0, 8.0), "digits"),
    ):
        proposed = Proposed(line, text, "en", expects=expects)  # type: ignore[arg-type]
        number = archive.verdict(Verdict("allow", text), proposed, at=at[0])
        archive.spoken(Spoken(line, text, text, Span(*at)), verdict=number)
    digits = ("four", "oh", "seven", "two")
    words = tuple(Word(f" {w}", 9.0 + n * 0.75, 9.5 + n * 0.75, 0.9) for n, w in enumerate(digits))
    archive.understood(Understood(Heard("four oh seven two", "en", Span(*DIGITS), words, 0.9), "other", 0.5))
    archive.finish("promise_to_pay")
    assert archive.close()
    return archive.call_id


def frames(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    with wave.open(io.BytesIO(answer.content)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)


def covered(sound: np.ndarray, channel: int) -> tuple[float, float] | None:
    """From where to where the channel is not the sine that was recorded, in seconds; it must be the tone there."""
    other = np.flatnonzero(sound[:, channel] != sine(SECONDS)[: len(sound)])
    if len(other) == 0:
        return None
    first, last = int(other[0]), int(other[-1])
    assert np.array_equal(sound[first : last + 1, channel], tone(first, last + 1 - first))
    return first / 8000, last / 8000


def test_compliance_hears_everything(sign_in: SignIn, call: str) -> None:
    sound = frames(sign_in("compliance").get(f"/calls/{call}/recording.wav"))
    assert covered(sound, 0) is None and covered(sound, 1) is None
    assert sign_in("compliance").get(f"/calls/{call}/peaks.json").json()["covered"] == []


@pytest.mark.parametrize("role", ["reviewer", "supervisor"])
def test_verification_digits_are_covered_for_who_may_know_names(sign_in: SignIn, call: str, role: str) -> None:
    client = sign_in(role)
    sound = frames(client.get(f"/calls/{call}/recording.wav"))
    assert covered(sound, 0) == pytest.approx((8.8, 11.95), abs=0.01)
    assert covered(sound, 1) is None
    part = client.get(f"/calls/{call}/recording.wav", headers={"range": f"bytes={44 + 80000 * 4}-{44 + 80000 * 4 + 3}"})
    assert np.frombuffer(part.content, "<i2")[0] == tone(80000, 1)[0], "a player that skips hears no more"
    assert "A tone covers digits" in client.get(f"/calls/{call}").text
    waves = client.get(f"/calls/{call}/peaks.json?bins=320").json()
    assert waves["covered"] == [{"channel": 0, "start": 8.8, "end": 11.95}]
    assert max(waves["peaks"][0][2 * 180 : 2 * 236]) == pytest.approx(0.1, abs=0.01)
    assert max(waves["peaks"][0][:300]) > 0.2


def test_an_auditor_hears_no_name_either(sign_in: SignIn, call: str, context: Context) -> None:
    sound = frames(sign_in("auditor").get(f"/calls/{call}/recording.wav"))
    assert covered(sound, 0) == pytest.approx((8.8, 11.95), abs=0.01)
    name = covered(sound, 1)
    assert name is not None and name[0] < 2.2 and name[1] >= 3.0, "the end of the line, where the name is"
    assert name[0] > 1.0, "not its beginning"
    with context.database.read() as session:
        (entry,) = AuditLog(session).entries(subject=call, kinds=["recording.read"])
    assert '"covered":2' in entry.payload


def test_programs_hear_what_their_role_may(app: FastAPI, context: Context, call: str) -> None:
    with context.database.write() as session:
        people = People(session)
        keys = {role: people.make_key(role, role, by="test") for role in ("reviewer", "compliance", "operator")}
    client = TestClient(app)
    for role, hidden in (("reviewer", True), ("compliance", False)):
        headers = {"authorization": f"Bearer {keys[role]}"}
        sound = frames(client.get(f"/api/v1/calls/{call}/recording", headers=headers))
        assert (covered(sound, 0) is not None) is hidden
        drawn = client.get(f"/api/v1/calls/{call}/peaks?bins=320", headers=headers).json()["peaks"][0]
        assert (max(drawn[2 * 180 : 2 * 236]) < 0.11) is hidden
    headers = {"authorization": f"Bearer {keys['operator']}"}
    assert client.get(f"/api/v1/calls/{call}/recording", headers=headers).status_code == 403


def test_nobody_finds_a_call_by_a_name_that_they_may_not_read(sign_in: SignIn, context: Context) -> None:
    with CallArchive.begin(
        context.database, context.home, NewCall("zh", script_id="days_1_15_reminder", models={})
    ) as call:
        number = call.verdict(Verdict("allow", ""), Proposed("ask_name", "请问您是马超然本人吗？", "zh"))
        call.spoken(
            Spoken("ask_name", "请问您是马超然本人吗？", "请问您是马超然本人吗？", Span(0.2, 1.2)), verdict=number
        )
        call.turn("borrower", 1.5, 3.0, "我是马超然，明天还款")
        call.finish("promise_to_pay")
    auditor, reviewer = sign_in("auditor"), sign_in("reviewer")
    for word, found in (("马超然", False), ("超然", False), ("还款", True), ("本人", True)):
        address = f"/queue?review=all&q={word}"
        rows = auditor.get(address).text.partition('id="rows"')[2]
        assert (call.call_id in rows) is found and "马超然" not in rows, word
        total = re.search(r"<h1>.*?(\d+)", auditor.get(address).text)
        assert total is not None and total[1] == str(int(found)), "nor by their number"
        told = auditor.get(f"/api/v1/calls?q={word}&review=all").json()
        assert (len(told["calls"]), told["total"]) == (int(found), int(found))
        assert call.call_id in reviewer.get(address).text
