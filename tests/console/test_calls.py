"""The queue and the call page: what is shown, to whom, and what bad input does."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from archive.audit import AuditLog
from console.context import Context
from console.privacy import hide
from console.scorecard import kappa, load_card

SignIn = Callable[..., httpx.Client]
ACall = Callable[..., str]


def test_flagged_calls_come_worst_first(sign_in: SignIn, a_call: ACall) -> None:
    mild, bad = a_call(flag=("long silence", "low")), a_call(flag=("crisis", "critical"))
    unflagged = a_call(flag=None)
    page = sign_in("reviewer").get("/queue").text
    assert 0 < page.index(bad) < page.index(mild)
    assert unflagged not in page or "sample" in page


@pytest.mark.parametrize(("query", "text"), [("三千五", "我下周三还三千五"), ("instalment", "can I pay by instalment")])
def test_search_finds_words_in_both_languages(sign_in: SignIn, a_call: ACall, query: str, text: str) -> None:
    wanted, other = a_call(text=text), a_call(text="喂" if query.isascii() else "hello")
    page = sign_in("reviewer").get(f"/queue?q={query}&review=all").text
    assert wanted in page and other not in page and "<mark>" in page


def test_bulk_assignment_and_review(sign_in: SignIn, a_call: ACall) -> None:
    calls = [a_call(), a_call()]
    client = sign_in("reviewer")
    data = {"action": "assign", "reviewer": "reviewer", "call": calls}
    assert client.post("/queue/bulk", data=data).status_code == 303
    assert client.get("/queue").text.count(">reviewer</td>") == 2
    assert client.post("/queue/bulk", data={"action": "done", "call": calls[0]}).status_code == 303
    assert calls[0] not in client.get("/queue").text
    assert client.post("/queue/bulk", data={"action": "explode", "call": calls}).status_code == 422
    assert client.post("/queue/bulk", data={"action": "done"}).status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        "severity=awful",
        "from=yesterday",
        "hour=25",
        "cursor=x",
        "review=maybe",
        "emotion=hungry",
        "from=9999-12-31&to=9999-12-31",
    ],
)
def test_bad_filters_are_told(sign_in: SignIn, query: str) -> None:
    answer = sign_in("reviewer").get(f"/queue?{query}", headers={"accept": "application/json"})
    assert answer.status_code in (200, 400, 422) and answer.status_code != 500
    if "9999" not in query:
        assert answer.status_code in (400, 422) and answer.json()["error"]


def test_the_call_page_shows_words_verdicts_and_what_was_not_heard(sign_in: SignIn, a_call: ACall) -> None:
    page = sign_in("reviewer").get(f"/calls/{a_call()}").text
    assert "我下周三还三千五" in page and "<del" in page and "时候方便还款" in page
    assert "threat.open" in page and "needs review" in page and "GB/T 45251-2025" in page


def test_names_and_numbers_are_hidden_from_who_need_not_know(sign_in: SignIn, a_call: ACall) -> None:
    call = a_call(text="我的电话是 138 0013 8000，卡号尾号四零七二")
    shown, hidden = sign_in("reviewer").get(f"/calls/{call}").text, sign_in("auditor").get(f"/calls/{call}").text
    assert "138 0013" in shown and "四零七二" in shown
    assert (
        "138 0013" not in hidden
        and "0013 8000" not in hidden
        and "四零七二" not in hidden
        and "names and numbers hidden" in hidden
    )


def test_the_figures_of_a_call_stand_beside_its_words(sign_in: SignIn, a_call: ACall) -> None:
    call = a_call()
    page = sign_in("reviewer").get(f"/calls/{call}").text
    figures = page[page.index('id="figures"') : page.index('id="comments"')]
    assert "promised" in figures  # the disposition's resolution
    assert (
        "50.0%" in figures
    )  # strength: promised (0.2) and agreed to when it was read back (0.3); no date in the slots
    assert "35.7%" in figures  # the agent speaks 1.0 s, the borrower 1.8 s
    assert "0.4 s" in figures  # the longest silence, from 1.2 s to 1.6 s
    chinese = sign_in("supervisor", lang="zh").get(f"/calls/{call}").text
    assert "本通电话的指标" in chinese and "已承诺还款" in chinese


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{7*7}}"])
def test_what_was_said_cannot_run(sign_in: SignIn, a_call: ACall, text: str) -> None:
    call = a_call(text=text)
    client = sign_in("reviewer")
    client.post(f"/calls/{call}/comments", data={"text": text})
    page = client.get(f"/calls/{call}").text
    assert "<script>alert" not in page and "<img src=x" not in page and ">49<" not in page


def test_the_recording_plays_by_range_and_every_play_is_audited(
    sign_in: SignIn, a_call: ACall, context: Context
) -> None:
    call = a_call()
    client = sign_in("reviewer")
    whole = client.get(f"/calls/{call}/recording.wav")
    assert whole.status_code == 200 and whole.content[:4] == b"RIFF"
    part = client.get(f"/calls/{call}/recording.wav", headers={"range": "bytes=100-299"})
    assert part.status_code == 206 and part.content == whole.content[100:300]
    assert part.headers["content-range"] == f"bytes 100-299/{len(whole.content)}"
    tail = client.get(f"/calls/{call}/recording.wav", headers={"range": "bytes=-50"})
    assert tail.content == whole.content[-50:]
    beyond = client.get(f"/calls/{call}/recording.wav", headers={"range": "bytes=99999999-"})
    assert beyond.status_code == 416
    with context.database.read() as session:
        read = [e for e in AuditLog(session).entries(subject=call) if e.kind == "recording.read"]
    assert len(read) >= 3 and {e.actor for e in read} == {"reviewer"}
    assert sign_in("admin").get(f"/calls/{call}/recording.wav").status_code == 403


def test_the_waveform_has_two_lanes(sign_in: SignIn, a_call: ACall) -> None:
    peaks = sign_in("auditor").get(f"/calls/{a_call()}/peaks.json?bins=40").json()
    assert len(peaks["peaks"]) == 2 and max(peaks["peaks"][0]) > 0.2 and max(peaks["peaks"][1]) < 0.01


def test_comments_corrections_and_scorecards(sign_in: SignIn, a_call: ACall) -> None:
    call = a_call()
    client = sign_in("reviewer")
    assert client.post(f"/calls/{call}/comments", data={"text": "too fast", "at": "1.5"}).status_code == 303
    turn = {"turn": 1, "field": "intent", "value": "hardship"}
    assert client.post(f"/calls/{call}/corrections", data=turn).status_code == 303
    card = load_card()
    answers = {q.id: {"scale": "4", "text": "fine"}.get(q.kind, "yes") for q in card.questions}
    assert client.post(f"/calls/{call}/scorecard", data=answers).status_code == 303
    page = client.get(f"/calls/{call}").text
    assert "too fast" in page and "→" in page and "/ 100" in page
    for path, data in [
        ("comments", {"text": "  "}), ("comments", {"text": "x", "at": "nan"}), ("comments", {"text": "x" * 4500}),
        ("corrections", {"turn": 1, "field": "intent", "value": "hungry"}),
        ("corrections", {"turn": 99, "field": "intent", "value": "affirm"}),
        ("corrections", {"turn": 1, "field": "id", "value": "1"}),
        ("scorecard", {"identified": "perhaps"}),
    ]:  # fmt: skip
        assert client.post(f"/calls/{call}/{path}", data=data).status_code in (404, 422), (path, data)


@pytest.mark.parametrize(
    "call_id", ["%2e%2e%2fetc%2fpasswd", "a" * 100, "x'--", "00000000-0000-0000-0000-000000000000"]
)
def test_calls_that_are_none(sign_in: SignIn, call_id: str) -> None:
    client = sign_in("reviewer")
    for tail in ("", "/recording.wav", "/peaks.json"):
        assert client.get(f"/calls/{call_id}{tail}", headers={"accept": "*/*"}).status_code in (400, 404)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("call 415-555-0132 now", True), ("零幺三八一三八", True), ("one three eight one three", True),
        ("3500元", True), ("下周三还", False), ("pay on the third", False), ("三百五", False),
    ],
)  # fmt: skip
def test_hiding(text: str, hidden: bool) -> None:
    assert (hide(text) != text) is hidden and len(hide(text)) == len(text)
    assert "Alex" not in hide("this is alex Morgan", ("Alex Morgan",))


def test_agreement() -> None:
    assert kappa([]) is None
    assert kappa([("yes", "yes")] * 4) == 1.0
    # Worked example: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no.
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert kappa(pairs) == pytest.approx(0.4)


def test_what_a_dashboards_number_asks_for_is_shown_and_can_be_taken_back(sign_in: SignIn, a_call: ACall) -> None:
    a_call()
    client = sign_in("reviewer")
    page = client.get("/queue?review=all&emotion=anxious&hour=10&conversation=1&promise=kept").text
    for shown in ("Emotion: Anxious", "Hour: 10:00", "A person spoke: Yes", "Promise: kept"):
        assert shown in page, shown
    assert 'type="hidden" name="emotion" value="anxious"' in page, "the form keeps it"
    assert 'href="/queue?review=all&amp;hour=10&amp;conversation=1&amp;promise=kept"' in page
    assert "×" not in client.get("/queue").text
    assert client.get("/queue?hour=%3Cscript%3E").status_code == 422


@pytest.mark.parametrize("query", ["hour=²", "hour=３", "hour=24", "hour=-1", "hour=999999999999999999999"])
def test_an_hour_that_is_none_is_told(sign_in: SignIn, query: str) -> None:
    assert sign_in("reviewer").get(f"/queue?{query}").status_code == 422
