"""The dashboard: its rates are right, every number leads to exactly its calls, what is exported cannot run."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import httpx
import pytest

from archive.queries import CallFilter
from console.cells import plain
from console.pages.queue import read_filter
from console.panels import SPLITS, address

SignIn = Callable[..., httpx.Client]
ACall = Callable[..., str]
RANGE = "from=2026-11-01&to=2026-11-30"


def charts(page: str) -> dict[str, Any]:
    found = re.findall(r'id="chart-(\w+)"[^>]*data-chart="([^"]*)"', page)
    return {name: json.loads(unescape(data)) for name, data in found}


def listed(page: str) -> set[str]:
    return set(re.findall(r'/calls/([0-9a-f-]{36})" data-open', page))


def table(answer: httpx.Response) -> list[list[str]]:
    assert (
        answer.headers["content-type"].startswith("text/csv") and "attachment" in answer.headers["content-disposition"]
    )
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))


@pytest.fixture
def some_calls(a_call: ACall) -> dict[str, str]:
    return {
        "promise": a_call(campaign="autumn"),
        "stop": a_call(campaign="autumn", disposition="stop_contact", flag=None),
        "complaint": a_call(campaign="spring", disposition="human_handoff", flag=("complaint", "medium"), lang="en"),
        "unset": a_call(disposition="refused", flag=None),
    }


def test_the_rates_are_those_of_the_calls(sign_in: SignIn, some_calls: dict[str, str]) -> None:
    page = sign_in("supervisor").get(f"/dashboard?{RANGE}").text
    tiles = dict(re.findall(r'<dt>([^<]+)</dt><dd><span class="big">\s*(?:<a [^>]*>)?\s*([^<\s]+)', page))
    assert tiles["Calls"] == "4" and tiles["Contact rate"] == "100.0%"
    assert tiles["Right-party rate"] == "50.0%", "a promise and a refusal come from the borrower alone"
    assert tiles["Promise rate"] == "50.0%" and tiles["Complaint rate"] == "25.0%" and tiles["Opt-out rate"] == "25.0%"
    assert tiles["Flagged"] == "2"


def test_every_mark_and_number_leads_to_exactly_its_calls(sign_in: SignIn, some_calls: dict[str, str]) -> None:
    client = sign_in("supervisor")
    page = client.get(f"/dashboard?{RANGE}&by=campaign").text
    drawn = charts(page)
    assert set(drawn) == {"rates", "sentiment", "groups", "rules"}
    lines = {line["name"]: line["hrefs"][0] for line in drawn["rates"]["series"]}
    assert listed(client.get(lines["Promise rate"]).text) == {some_calls["promise"]}
    assert listed(client.get(lines["Opt-out rate"]).text) == {some_calls["stop"]}
    assert listed(client.get(lines["Complaint rate"]).text) == {some_calls["complaint"]}
    assert listed(client.get(lines["Right-party rate"]).text) == {some_calls["promise"], some_calls["unset"]}
    felt = dict(zip((line["name"] for line in drawn["sentiment"]["series"]), drawn["sentiment"]["series"], strict=True))
    assert listed(client.get(felt["spring"]["hrefs"][0]).text) == {some_calls["complaint"]}
    assert felt["autumn"]["data"] == [pytest.approx(-0.4)]
    assert len(listed(client.get(drawn["rules"]["series"][0]["hrefs"][0]).text)) == 4
    links = {unescape(href) for href in re.findall(r'href="(/queue\?[^"]+)"', page)}
    assert len(links) > 10 and all(client.get(href).status_code == 200 for href in links)


def test_every_split_adds_up(sign_in: SignIn, some_calls: dict[str, str]) -> None:
    client = sign_in("supervisor")
    for by in SPLITS:
        rows = table(client.get(f"/dashboard/groups.csv?{RANGE}&by={by}"))
        assert sum(int(row[1]) for row in rows[1:]) == 4, by
    by_hour = table(client.get(f"/dashboard/groups.csv?{RANGE}&by=hour"))
    assert [row[0] for row in by_hour[1:]] == ["10:00"], "two in the morning, UTC, is ten in Shanghai"


def test_filters_narrow_everything(sign_in: SignIn, a_call: ACall, some_calls: dict[str, str]) -> None:
    client = sign_in("supervisor")
    assert table(client.get(f"/dashboard/rates.csv?{RANGE}&campaign=autumn"))[1][1] == "2"
    assert table(client.get(f"/dashboard/rates.csv?{RANGE}&lang=en"))[1][1] == "1"
    assert table(client.get("/dashboard/rates.csv?from=2026-11-21&to=2026-11-21"))[1:] == []
    some = client.get(f"/dashboard/rates.csv?{RANGE}")
    assert table(some)[1][1] == "4" and client.get(f"/dashboard/rates.csv?{RANGE}").content == some.content
    a_call()
    assert table(client.get(f"/dashboard/rates.csv?{RANGE}"))[1][1] == "5", "what is kept is never older than a call"
    assert "No call ended in these days" in client.get("/dashboard?from=2020-01-01&to=2020-01-02").text


def test_a_spreadsheet_runs_nothing(sign_in: SignIn, a_call: ACall) -> None:
    names = ['=HYPERLINK("http://x")', "+1", "-2+3", "@SUM(A1)", "\tx", "\rx", "＝1"]
    for name in names:
        a_call(campaign=name)
    rows = table(sign_in("supervisor").get(f"/dashboard/groups.csv?{RANGE}&by=campaign"))[1:]
    assert {row[0] for row in rows} == {f"'{name}" for name in names}
    assert float(rows[0][2]) == -0.4, "a number stays one"
    assert plain("promise") == "promise" and plain("") == ""


def test_names_in_charts_and_tables_cannot_run(sign_in: SignIn, a_call: ACall) -> None:
    name = "\"><script>alert(1)</script>'"
    a_call(campaign=name)
    a_call(campaign="other")
    page = sign_in("supervisor").get(f"/dashboard?{RANGE}").text
    assert "<script>alert" not in page
    assert name in charts(page)["groups"]["x"]
    assert " style=" not in page and "<script>" not in page, "our policy allows neither"


def test_who_may_not_see_calls_gets_numbers_without_links(sign_in: SignIn, some_calls: dict[str, str]) -> None:
    page = sign_in("operator").get(f"/dashboard?{RANGE}").text
    assert "/queue?" not in page and ">4<" in re.sub(r"\s+", "", page)


def test_selections_that_are_none_are_told(sign_in: SignIn) -> None:
    client = sign_in("supervisor")
    for query in (
        "by=borrower", "from=yesterday", "from=2026-02-02&to=2026-01-01", "from=0001-01-01", "to=9999-12-31",
        "from=1900-01-01", "hour=99", "to=0001-01-02",
    ):  # fmt: skip
        answer = client.get(f"/dashboard?{query}", headers={"accept": "application/json"})
        assert answer.status_code == 422 and answer.json()["error"], query
    assert client.get("/dashboard/secrets.csv").status_code == 404


def test_the_last_thirty_days_unless_asked_otherwise(sign_in: SignIn) -> None:
    page = sign_in("supervisor").get("/dashboard?from=&to=").text
    first, last = (datetime.fromisoformat(d) for d in re.findall(r'type="date" value="([\d-]+)"', page))
    assert last - first == timedelta(days=29)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York", "UTC"])
@pytest.mark.parametrize(
    "wanted",
    [
        CallFilter(lang="zh", campaign="a&b=c", disposition=("hung_up",), complaint=True),
        CallFilter(right_party=False, opt_out=True, min_severity=3, emotion="angry", rule="x.y", reason="crisis"),
        CallFilter(text="三千五 pay*", stage="S 1", script_id="s", scenario="p", hour=23),
    ],
)
def test_an_address_asks_for_what_the_filter_asks(wanted: CallFilter, zone: str) -> None:
    read = read_filter(dict(httpx.URL(address(wanted, zone)).params), zone)
    assert replace(read, utc_offset_min=0) == wanted


def test_days_become_dates_of_the_zone() -> None:
    begin, end = datetime(2026, 11, 21, 16, tzinfo=UTC), datetime(2026, 11, 22, 16, tzinfo=UTC)
    asked = httpx.URL(address(CallFilter(started_from=begin, started_before=end), "Asia/Shanghai")).params
    assert (asked["from"], asked["to"]) == ("2026-11-22", "2026-11-22")
