"""A recorded call is read: who is who, what the borrower wanted, what the agent should not have said; then archived."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from agent.analysis import Analysis, Assumptions, analyse, asked
from agent.analysis_archive import call_id_of, outcome
from agent.analysis_cli import Request, run
from agent.analysis_document import figures
from agent.analysis_roles import Utterance, find_roles
from agent.errors import ConfigurationError
from agent.events import Lang
from asr.audiofile import Recording, open_recording
from asr.batch import Row
from audio.espeak import Voice, synthesize
from audio.g711 import to_float
from audio.telephone import RATE, Line, telephone
from compliance_checks.gate import Gate
from sentiment.understand import Understander

ZH = (
    (0, "喂"), (1, "您好这里是安心金融请问您是王先生本人吗"), (0, "我就是"),
    (1, "您的贷款已经逾期十天请问您什么时候可以还款"), (0, "我下周三还三千五"),
    (1, "如果不还我们就报警抓你"), (0, "我要投诉你"), (1, "感谢您的配合再见"),
)  # fmt: skip
EN = (
    (0, "hello"), (1, "hello I am calling from anchor finance am I speaking with mister smith"),
    (0, "yes this is he"), (1, "your payment is ten days past due when can you pay"),
    (0, "I lost my job I cannot pay this month"), (1, "if you do not pay the police will arrest you"),
    (0, "stop calling me"), (1, "thank you for your time goodbye"),
)  # fmt: skip


@pytest.fixture(scope="module")
def readers() -> tuple[Understander, Gate]:
    return Understander.load(), Gate.load()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    path = tmp_path_factory.mktemp("sound") / "a.wav"
    soundfile.write(path, 0.05 * np.random.default_rng(0).normal(0, 1, (60 * RATE, 2)), RATE)
    with open_recording(path) as opened:
        yield opened


def rows(
    lines: tuple[tuple[int, str], ...], lang: Lang, *, by_speaker: bool = False, swapped: bool = False
) -> list[Row]:
    out = []
    for i, (side, text) in enumerate(lines):
        voice = 1 - side if swapped else side
        channel, speaker = (None, voice) if by_speaker else (voice, None)
        out.append(Row(4.0 * i, 4.0 * i + 3.0, text, lang, (), 0.9, channel, speaker))
    return out


def read(recording: Recording, readers: tuple[Understander, Gate], given: list[Row], **known: Any) -> Analysis:
    return analyse(recording, given, *readers, Assumptions(today=date(2026, 11, 21), **known))


@pytest.mark.parametrize(("lines", "lang"), [(ZH, "zh"), (EN, "en")])
@pytest.mark.parametrize("by_speaker", [False, True])
@pytest.mark.parametrize("swapped", [False, True])
def test_who_is_who(lines: tuple[tuple[int, str], ...], lang: Lang, by_speaker: bool, swapped: bool) -> None:
    given = rows(lines, lang, by_speaker=by_speaker, swapped=swapped)
    said = [Utterance(r.channel if r.channel is not None else r.speaker or 0, r.text, r.lang) for r in given]
    roles = find_roles(said, house_channels=not by_speaker)
    assert roles.of == ({0: "agent", 1: "borrower"} if swapped else {0: "borrower", 1: "agent"})
    assert roles.sure


def test_roles_stay_open_where_nothing_tells() -> None:
    assert not find_roles([Utterance(0, "嗯", "zh"), Utterance(1, "好", "zh")]).sure
    assert find_roles([]).of == {}


@pytest.mark.parametrize(("lines", "lang"), [(ZH, "zh"), (EN, "en")])
def test_a_call_is_read(
    recording: Recording, readers: tuple[Understander, Gate], lines: tuple[tuple[int, str], ...], lang: Lang
) -> None:
    analysis = read(recording, readers, rows(lines, lang))
    agent = [t for t in analysis.turns if t.who == "agent"]
    borrower = [t for t in analysis.turns if t.who == "borrower"]
    assert analysis.lang == lang
    assert all(t.understood is None for t in agent)  # nobody infers an employee's emotion
    assert all(t.verdict is None for t in borrower)
    assert [bool(t.findings) for t in agent] == [False, False, True, False]
    assert "threat" in {hit.category for t in agent for hit in t.findings}
    assert agent[0].party == "unverified"
    assert agent[2].party == "borrower"
    wanted = [t.understood.intent for t in borrower if t.understood is not None]
    assert "promise_to_pay" in wanted or "hardship" in wanted
    reasons = {flag.reason: flag.severity for flag in analysis.flags}
    assert reasons["agent: threat"] == "critical"
    assert {"complaint", "asked not to be contacted"} & set(reasons)
    assert analysis.found_something


def test_the_figures_of_a_recorded_call(recording: Recording, readers: tuple[Understander, Gate]) -> None:
    told = figures(read(recording, readers, rows(ZH, "zh")))
    assert told.talk_ratio == 0.5  # four utterances of three seconds each
    assert told.longest_silence == pytest.approx(60 - 31)
    assert told.promise_strength >= 0.7  # a date and an amount
    assert told.complaint_risk > 0.5 > told.distress_risk
    assert len(told.curve) == 4
    unsure = figures(read(recording, readers, rows(((0, "嗯好"), (1, "我气死了")), "zh", by_speaker=True)))
    assert {point.emotion for point in unsure.curve} == {"unknown"}


def test_a_debt_told_to_nobody_known_is_a_finding(recording: Recording, readers: tuple[Understander, Gate]) -> None:
    lines = (
        (0, "喂你好"),
        (1, "您好这里是安心金融您的贷款已经逾期十天应还三千五百元"),
        (0, "他不在我是他爱人"),
        (1, "请转告他欠款三千五百元"),
    )
    analysis = read(recording, readers, rows(lines, "zh"))
    assert [t.party for t in analysis.turns if t.who == "agent"] == ["unverified", "third_party"]
    assert all(t.findings for t in analysis.turns if t.who == "agent")
    told = read(recording, readers, rows(lines[:2], "zh"), party="borrower")
    assert not any(t.findings for t in told.turns)


def test_no_emotion_while_it_is_unclear_who_speaks(recording: Recording, readers: tuple[Understander, Gate]) -> None:
    given = rows(((0, "嗯好"), (1, "我气死了你们太过分了")), "zh", by_speaker=True)
    analysis = read(recording, readers, given)
    assert not analysis.roles.sure
    assert all(not t.emotion for t in analysis.turns)


def test_a_human_agent_may_say_so_and_a_program_may_not(
    recording: Recording, readers: tuple[Understander, Gate]
) -> None:
    given = rows(((1, "我不是机器人我是真人"), (0, "好的")), "zh")
    human = read(recording, readers, given, agent_channel=1)
    program = read(recording, readers, given, agent_channel=1, agent="ai")
    assert not any(t.findings for t in human.turns)
    assert any(t.findings for t in program.turns)


@pytest.mark.parametrize(
    ("text", "lang", "expects"),
    [("请问您是王先生本人吗", "zh", "identity"), ("您什么时候可以还款", "zh", "date"), ("您能还多少", "zh", "amount"),
     ("am I speaking with mister smith", "en", "identity"), ("when can you pay", "en", "date"),
     ("how much can you pay", "en", "amount"), ("再见", "zh", None)],
)  # fmt: skip
def test_what_an_agent_asks_for(text: str, lang: Lang, expects: str | None) -> None:
    assert asked(text, lang) == expects


def test_the_outcome_is_what_the_borrower_wanted(recording: Recording, readers: tuple[Understander, Gate]) -> None:
    disposition, promise = outcome(read(recording, readers, rows(ZH, "zh")))
    assert disposition == "promise_to_pay"
    assert promise is not None
    assert str(promise.amount) in ("3500", "3500.00")
    assert promise.date == date(2026, 11, 25)
    assert outcome(read(recording, readers, rows(EN, "en")))[0] == "stop_contact"
    assert outcome(read(recording, readers, []))[0] == "no_response"


@pytest.fixture(scope="module")
def call_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng, at = np.random.default_rng(0), 0
    sides = np.zeros((40 * RATE, 2), np.float32)
    for side, text in ZH:
        pcm, rate = synthesize(text, Voice("cmn+m3" if side == 0 else "cmn+f2", rate=165))
        said = to_float(telephone(to_float(pcm), rate, Line(snr_db=30), rng))
        sides[at : at + len(said), side] = said
        at += len(said) + RATE // 2
    path = tmp_path_factory.mktemp("call") / "call.flac"
    soundfile.write(path, sides[:at], RATE)
    return path


def test_files_become_documents_and_calls_in_the_archive(
    call_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CALLGATE_DATABASE_URL", raising=False)
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound")
    home = tmp_path / "home"
    request = Request([call_file, bad], lang="zh", home=home, started_at="2026-11-21T10:00:00+08:00")
    out, err = StringIO(), StringIO()
    assert run(request, out, err) == 2
    document, refused = (json.loads(line) for line in out.getvalue().splitlines())
    assert str(bad) in refused["error"]
    assert len(err.getvalue().splitlines()) == 1
    assert {s["role"] for s in document["speakers"]} == {"agent", "borrower"}
    assert "threat" in [f["category"] for f in document["findings"]]
    for turn in document["turns"]:
        assert ("emotion" in turn) == (turn["who"] == "borrower")
    assert document["call_id"] == call_id_of(call_file)
    assert 0 < document["figures"]["talk_ratio"] < 1 and document["figures"]["promise_strength"] > 0
    with sqlite3.connect(home / "archive.db") as database:
        status, disposition, where = database.execute("SELECT status, disposition, recording FROM calls").fetchone()
        turns = database.execute("SELECT who, emotion FROM turns ORDER BY seq").fetchall()
        decisions = {row[0] for row in database.execute("SELECT decision FROM verdicts")}
    database.close()
    assert (status, disposition) == ("ended", "promise_to_pay")
    assert len(turns) == len(document["turns"])
    assert all(emotion is None for who, emotion in turns if who == "agent")
    assert "refuse" in decisions
    copied, rate = soundfile.read(home / where, dtype="float32")
    original, _ = soundfile.read(call_file, dtype="float32")
    assert rate == RATE
    assert len(copied) == pytest.approx(len(original), abs=RATE / 10)
    size = min(len(copied), len(original))
    for side in (0, 1):
        assert np.corrcoef(copied[:size, side], original[:size, side])[0, 1] > 0.99

    again = StringIO()
    assert run(Request([call_file], lang="zh", home=home, started_at="2026-11-21T10:00:00+08:00"), again, err) == 2
    assert "error" in json.loads(again.getvalue())  # the same bytes are the same call
    plain = StringIO()
    assert run(Request([call_file], lang="zh", home=tmp_path / "none", archive=False), plain, err) == 1
    assert json.loads(plain.getvalue())["call_id"] is None
    assert not (tmp_path / "none").exists()


def test_options_that_cannot_be_used_are_named(call_file: Path, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1]")
    for options, said in (
        ({"lang": "fr"}, "--lang"),
        ({"party": "friend"}, "--party"),
        ({"agent_channel": "middle"}, "--agent-channel"),
        ({"agent": "cat"}, "--agent"),
        ({"facts": tmp_path / "none.json"}, "--facts"),
        ({"facts": tmp_path / "list.json"}, "--facts"),
        ({"started_at": "yesterday"}, "--started-at"),
        ({"policy": "atlantis"}, "atlantis"),
    ):
        given: dict[str, Any] = {"archive": False, "home": tmp_path, **options}
        with pytest.raises(ConfigurationError, match=said):
            run(Request([call_file], **given), StringIO(), StringIO())
