"""Second opinions that do not know the first, agreement of reviewers, calibration sessions, corrections taken away."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from archive.audit import AuditLog
from console.agreement import agreement, pairs_of
from console.calibration import MOST_CALLS
from console.context import Context
from console.models import Scorecard
from console.people import People
from console.scorecard import load_card

SignIn = Callable[..., httpx.Client]
ACall = Callable[..., str]
PASSWORD, ORIGIN = "correct horse battery", "http://testserver"
GOOD = {"identified": "yes", "disclosed": "yes", "understood": "5", "manner": "4", "outcome": "yes", "escalated": "na"}
BAD = GOOD | {"identified": "no", "understood": "2"}


@pytest.fixture
def colleague(app: FastAPI, context: Context) -> Callable[[str], httpx.Client]:
    def signed_in(name: str) -> httpx.Client:
        with context.database.write() as session:
            people = People(session)
            people.accept(people.invite(name, "reviewer", by="test", lang="en"), PASSWORD)
        client = TestClient(app, headers={"origin": ORIGIN, "accept": "text/html"}, follow_redirects=False)
        assert client.post("/sign-in", data={"name": name, "password": PASSWORD}).status_code == 303
        return client

    return signed_in


def scores(client: httpx.Client, call: str) -> list[str]:
    page = client.get(f"/calls/{call}").text.partition('id="scorecard"')[2].partition("<form")[0]
    return re.findall(r"<strong>([\w.]+)</strong>: \d", page)


def test_a_second_opinion_does_not_know_the_first(
    sign_in: SignIn, colleague: Callable[[str], httpx.Client], a_call: ACall, context: Context
) -> None:
    first, second, call = sign_in("reviewer"), colleague("bo"), a_call()
    assert first.post(f"/calls/{call}/scorecard", data=GOOD).status_code == 303
    assert scores(second, call) == ["reviewer"], "who is merely looking sees it"
    chosen = {"action": "second", "call": call, "reviewer": "bo"}
    assert first.post("/queue/bulk", data=chosen).status_code == 303
    assert scores(second, call) == [] and scores(first, call) == ["reviewer"]
    assert second.get(f"/api/v1/calls/{call}/scorecards").json() == []
    assert "second opinion" in first.get(f"/calls/{call}").text
    mine = second.get("/queue?reviewer=bo").text
    assert call in mine and call not in second.get("/queue?reviewer=reviewer").text
    assert second.post(f"/calls/{call}/scorecard", data=BAD).status_code == 303
    assert scores(second, call) == ["reviewer", "bo"], "afterwards both may compare"
    assert 'value="2" selected' in second.get(f"/calls/{call}").text, "one's own answers stand in the form"
    page = first.get("/quality").text
    assert "bo · reviewer" in page and "66.7%" in page
    found = first.get("/api/v1/scorecard/agreement").json()
    assert found["calls"] == 1 and found["by_reviewers"][0]["pairs"] == 6 and found["same"] == pytest.approx(4 / 6)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"action": "second", "reviewer": "otto"}, "nobody of that name reviews calls"),
        ({"action": "assign", "reviewer": "nobody"}, "nobody of that name reviews calls"),
        ({"action": "assign", "reviewer": "reviewer", "call": "11111111-1111-4111-8111-111111111111"}, "no such call"),
        ({"action": "done", "call": "../../etc/passwd"}, "no such call"),
    ],
)
def test_nothing_is_given_to_nobody(
    sign_in: SignIn, a_call: ACall, context: Context, data: dict[str, str], told: str
) -> None:
    with context.database.write() as session:
        People(session).invite("otto", "operator", by="test")
    answer = sign_in("reviewer").post("/queue/bulk", data={"call": a_call(), **data})
    assert answer.status_code in (404, 422) and told in answer.text
    with context.database.read() as session:
        assert not AuditLog(session).entries(kinds=["review.assigned", "review.set"])


def test_a_calibration_is_blind_until_it_is_closed(
    sign_in: SignIn, colleague: Callable[[str], httpx.Client], a_call: ACall, context: Context
) -> None:
    first, second = sign_in("reviewer"), colleague("bo")
    calls = [a_call(), a_call()]
    opened = first.post("/quality/calibrations", data={"title": "<b>week 47</b>", "call": calls})
    place = opened.headers["location"]
    assert opened.status_code == 303 and place.startswith("/quality/calibrations/")
    for client, answers in ((first, GOOD), (second, BAD)):
        for call in calls:
            client.post(f"/calls/{call}/scorecard", data=answers | {"note": f"by {answers['identified']}"})
    page = second.get(place).text
    assert "by yes" not in page and page.count("scored") >= 2 and "<b>week" not in page
    assert scores(second, calls[0]) == ["bo"] and scores(first, calls[0]) == ["reviewer"]
    blind = second.get(f"/api/v1{place.removeprefix('/quality')}").json()
    assert {card["reviewer"] for card in blind["scorecards"]} == {"bo"} and blind["kappa"] is None
    assert second.post(f"{place}/close").status_code == 303
    page = first.get(place).text
    assert "by yes" in page and "by no" in page and "Kappa" in page and "<b>week" not in page
    assert scores(second, calls[0]) == ["reviewer", "bo"]
    assert len(first.get(f"/api/v1{place.removeprefix('/quality')}").json()["scorecards"]) == 4
    assert second.post(f"{place}/close").status_code == 303, "closing it twice changes nothing"
    with context.database.read() as session:
        told = [entry.kind for entry in AuditLog(session).entries(kinds=["calibration.opened", "calibration.closed"])]
    assert told == ["calibration.closed", "calibration.opened"]
    auditor = sign_in("auditor")
    assert auditor.get(place).status_code == 200 and auditor.post(f"{place}/close").status_code == 403


def test_a_session_that_cannot_be_is_refused(sign_in: SignIn, a_call: ACall) -> None:
    client, call = sign_in("reviewer"), a_call()
    for data, status in (
        ({"title": " ", "call": call}, 422),
        ({"title": "x"}, 422),
        ({"title": "x", "call": "nothing"}, 404),
        ({"title": "x" * 81, "call": call}, 422),
    ):
        assert client.post("/quality/calibrations", data=data).status_code == status, data
    for place in ("/quality/calibrations/9", "/quality/calibrations/99999999999", "/quality/calibrations/x"):
        assert client.get(place).status_code in (404, 422) and client.post(f"{place}/close").status_code in (404, 422)
    api = "/api/v1/calibrations"
    for body in ({"title": "x", "calls": []}, {"title": "x", "calls": [call] * (MOST_CALLS + 1)}, {"title": "x"}):
        assert client.post(api, json=body).status_code == 422
    made = client.post(api, json={"title": "by program", "calls": [call]})
    assert made.status_code == 201 and made.json()["calls"] == [call]
    assert [each["title"] for each in client.get(api).json()] == ["by program"]
    assert client.post(f"{api}/{made.json()['id']}/close").json()["closed_by"] == "reviewer"


def test_corrections_are_taken_away_from_the_page(sign_in: SignIn, a_call: ACall) -> None:
    client, call = sign_in("reviewer"), a_call()
    assert "training.jsonl" not in client.get("/quality").text, "there is nothing yet"
    for field, value in (("intent", "hardship"), ("text", "我下周三还三千")):
        data = {"turn": "1", "field": field, "value": value}
        assert client.post(f"/calls/{call}/corrections", data=data).status_code == 303
    page = client.get("/quality").text
    link = re.search(r'href="(/api/v1/corrections/training.jsonl)"', page)
    assert link is not None
    found = [json.loads(line) for line in client.get(link[1]).text.splitlines()]
    assert {(each["task"], each["label"]) for each in found} == {("intent", "hardship"), ("text", "我下周三还三千")}
    assert "我下周三还三千<" in client.get(f"/calls/{call}").text.partition('class="correction"')[2]
    auditor = sign_in("auditor")
    assert "training.jsonl" not in auditor.get("/quality").text and auditor.get(link[1]).status_code == 403


def test_both_reviewers_corrections_are_shown(
    sign_in: SignIn, colleague: Callable[[str], httpx.Client], a_call: ACall
) -> None:
    call = a_call()
    for client, value in ((sign_in("reviewer"), "hardship"), (colleague("bo"), "affirm")):
        client.post(f"/calls/{call}/corrections", data={"turn": "1", "field": "intent", "value": value})
    page = sign_in("reviewer").get(f"/calls/{call}").text
    assert page.count('class="correction"') == 2


def card(call: str, reviewer: str, **answers: str) -> Scorecard:
    return Scorecard(
        call_id=call,
        reviewer=reviewer,
        card=load_card().id,
        answers=GOOD | answers,
        score=0,
        saved_at=datetime.now(UTC),
    )


def test_agreement_is_counted_over_every_two_of_a_call() -> None:
    cards = [card("1", "a"), card("1", "b"), card("1", "c", manner="1"), card("2", "a"), card("3", "b")]
    found = agreement(pairs_of(cards), load_card())
    assert found.calls == 1 and found.all.pairs == 18 and found.all.same == pytest.approx(16 / 18)
    assert found.by_question["manner"].same == pytest.approx(1 / 3) and found.by_question["outcome"].kappa == 1.0
    assert set(found.by_reviewers) == {("a", "b"), ("a", "c"), ("b", "c")}
    old = card("1", "d")
    old.card = "another card"
    assert agreement(pairs_of([*cards, old]), load_card()).all.pairs == 18
    assert agreement([], load_card()).all.kappa is None
