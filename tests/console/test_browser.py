"""The console in a real browser: each role's main job in both languages, on every page that the role sees.

Every page must be without serious accessibility fault in both themes (axe-core), log no error, ask nobody else for
anything, and fit a phone. ``CALLGATE_SCREENSHOTS`` names a folder that keeps what it looked like.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import uvicorn

from agent.case import demo_case
from agent.seeding import Simulator
from agent.seeding_archive import fill
from archive.database import Database, open_database
from archive.layout import Layout
from archive.models import RecordingRow
from archive.writer import CallArchive, NewCall
from campaigns.config import read_config
from campaigns.importing.mapping import load_mapping
from campaigns.importing.portfolio import import_portfolio
from campaigns.planning import set_up
from campaigns.store import attach
from compliance_checks.gate import Gate
from console.app import create_app
from console.calibration import Calibrations
from console.context import Context
from console.people import People
from console.permissions import ROLES
from console.review import Reviews
from console.scorecard import load_card
from sentiment.understand import Understander

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = Path(os.environ.get("CALLGATE_CHROMIUM", "/usr/bin/chromium"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM} (Debian: apt-get install chromium)"),
]
AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")
PASSWORD = "correct horse battery"
PHONE = {"width": 375, "height": 740}
PORTFOLIO = (
    "account,lender,borrower_name,phone,lang,time_zone,product,payee,agent_name,amount_due,currency,due_date,id_last4\n"
    "A1,安信,张明,+8613800000001,zh,Asia/Shanghai,消费贷,安信,小安,3500.00,CNY,{due},1234\n"
)
CAMPAIGN = {"name": "november", "caller_ids": {"default": "+861055550100"},
            "trunk": {"name": "main", "channels": 5, "per_minute": 30}}  # fmt: skip
SCRIPT = "/compliance/script?file=zh/days_1_15_reminder.yaml"
DIFF = "/compliance/diff?before=zh/days_1_15_reminder.yaml&after=en/days_1_15_reminder.yaml"
CALIBRATIONS = ("/quality/calibrations/1", "/quality/calibrations/2")
"""One that is open, one that is closed."""
PAGES: Mapping[str, Sequence[str]] = {
    "operator": ("/operations", "/operations/webhooks", "/softphone", "/dashboard", "/live", "/account"),
    "reviewer": ("/queue", "/queue?q=还款&review=all", "CALL", "/quality", *CALIBRATIONS, "/dashboard", "/account"),
    "supervisor": ("/compliance", "/dashboard", "/live", "/queue", "CALL", "/operations", "/softphone"),
    "compliance": (
        "/compliance",
        SCRIPT,
        "/compliance/diff",
        DIFF,
        "/compliance/packs",
        "/compliance/packs/cn-gbt45251",
        "/compliance/refusals",
        "/compliance/person",
        "/compliance/person?q=A1",
        "/queue",
        "CALL",
        "/operations",
        "/softphone",
    ),
    "auditor": ("/queue", "CALL", "/audit", "/compliance", "/dashboard", "/live", "/operations", CALIBRATIONS[1]),
    "admin": ("/people", "/audit", "/dashboard", "/operations"),
}


class FakePhone:
    """A softphone that is there; no call is made with it here."""

    def missing(self) -> None:
        return None

    def scripts(self) -> Mapping[str, Sequence[Mapping[str, str]]]:
        return {lang: [{"id": "days_1_15_reminder", "title": "Reminder"}] for lang in ("zh", "en")}

    def case(self, lang: str) -> Mapping[str, Any]:
        case = demo_case("zh" if lang == "zh" else "en")
        return case.facts() | {"id_last4": case.id_last4}


class FakeLive:
    """Two live calls that go on for as long as the test."""

    def snapshot(self) -> Sequence[Mapping[str, Any]]:
        begun = datetime.now(UTC) - timedelta(seconds=40)
        same = {"started_at": begun, "campaign": "demo", "who": "borrower", "can_take_over": True}
        return [
            {**same, "call_id": "11111111-1111-4111-8111-111111111111", "lang": "zh", "emotion": "angry",
             "text": "你们别再打了", "flags": [{"reason": "stop_contact", "severity": "high"}]},
            {**same, "call_id": "22222222-2222-4222-8222-222222222222", "lang": "en", "emotion": "neutral",
             "text": "I can pay on Friday", "flags": []},
        ]  # fmt: skip

    async def changes(self) -> AsyncIterator[Mapping[str, Any]]:
        await asyncio.sleep(3600)
        yield {}

    async def sound(self, call_id: str) -> AsyncIterator[bytes]:
        yield bytes(3200)

    async def end(self, call_id: str) -> None:
        return None

    async def take_over(self, call_id: str) -> None:
        return None


@dataclass(slots=True)
class Site:
    app: Any
    url: str
    database: Database
    call: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A console with simulated calls and one person of each role and language."""
    home = tmp_path_factory.mktemp("console")
    database = open_database(Layout(home).database_url)
    context = Context(
        database, home, live=FakeLive(), softphone=FakePhone(), models={"voice": "espeak-ng", "asr": "embedded"}
    )
    simulator = Simulator(Understander.load(), Gate.load(), datetime.now(UTC), seed=7)
    fill(database, context.store, simulator, 40, recordings=2)
    alarm = CallArchive.begin(database, home, NewCall(lang="zh", scenario="crisis", campaign="demo", models={}))
    alarm.flag("crisis", "critical")
    alarm.finish("crisis_handoff")
    alarm.close()
    with database.write() as session:
        for role in ROLES:
            for lang in ("zh", "en"):
                people = People(session)
                people.accept(people.invite(f"{role}.{lang}", role, by="test", lang=lang), PASSWORD)
    with database.read() as session:
        call = session.scalars(sa.select(RecordingRow.call_id)).first()
    assert call is not None
    _worked_on(database, call)
    _campaign(database, home)
    app = create_app(context)
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off",
                            timeout_graceful_shutdown=1)  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Site(app, f"http://127.0.0.1:{port}", database, call)
    server.should_exit = True
    thread.join(20)
    database.close()


def _worked_on(database: Database, call: str) -> None:
    """A call with a comment, corrections, two scorecards, and two calibration sessions."""
    answers = {"identified": "yes", "disclosed": "yes", "understood": "4", "manner": "5", "outcome": "yes",
               "escalated": "na", "note": "clear"}  # fmt: skip
    with database.write() as session:
        reviews, calibrations = Reviews(session), Calibrations(session)
        reviews.comment(call, "听得清楚", 3.0, by="reviewer.zh")
        reviews.correct(call, 1, "verdict", "allow", "refuse", by="reviewer.zh")
        for name, more in (("reviewer.zh", {}), ("supervisor.en", {"manner": "2", "outcome": "no"})):
            given = answers | more
            reviews.score(call, load_card().id, given, load_card().score(given), by=name)
        for title in ("第四十七周", "Week 46"):
            calibrations.open(title, load_card().id, [call], by="supervisor.en")
        session.flush()
        calibrations.close(2, by="supervisor.en")


def _campaign(database: Database, home: Path) -> None:
    now = datetime.now(UTC)
    file = home / "portfolio.csv"
    file.write_text(PORTFOLIO.format(due=(now - timedelta(days=6)).date()), encoding="utf-8")
    import_portfolio(attach(database), file, now, mapping=load_mapping(None))
    set_up(attach(database), read_config(CAMPAIGN), now, start=False)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@dataclass(slots=True)
class Visit:
    """One browser window, and what went wrong in it."""

    page: Any
    site: Site
    wrong: list[str] = field(default_factory=list)
    looking: bool = False

    def complain(self, what: str) -> None:
        """Note what went wrong, unless axe-core is at work: it tries styles that the policy rightly refuses it."""
        if not self.looking:
            self.wrong.append(what)

    def open(self, path: str) -> None:
        answer = self.page.goto(self.site.url + path.replace("CALL", f"/calls/{self.site.call}"), wait_until="load")
        assert answer is not None and answer.status == 200, (path, answer and answer.status)

    def faults(self) -> list[str]:
        """Serious accessibility faults of the page as it stands."""
        self.page.wait_for_timeout(150)  # charts are drawn in the next frames
        self.looking = True
        self.page.evaluate(AXE)
        found = self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        self.looking = False
        return [
            f"{v['id']} ({v['impact']}): {node['html'][:160]} {node['failureSummary'][:200]}"
            for v in found["violations"]
            if v["impact"] in ("serious", "critical")
            for node in v["nodes"][:3]
        ]

    def picture(self, name: str) -> None:
        folder = os.environ.get("CALLGATE_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


@pytest.fixture
def visit(browser: Any, site: Site) -> Iterator[Callable[..., Any]]:
    @contextmanager
    def visited(role: str | None, lang: str, theme: str = "light", size: Mapping[str, int] | None = None) -> Any:
        locale = "zh-CN" if lang == "zh" else "en-GB"
        window = browser.new_context(
            locale=locale, viewport=size or {"width": 1280, "height": 860}, reduced_motion="reduce"
        )
        window.add_cookies([{"name": "theme", "value": theme, "url": site.url}])
        page = window.new_page()
        page.set_default_timeout(20_000)
        found = Visit(page, site)
        page.on("console", lambda m: found.complain(f"console: {m.text} at {page.url}") if m.type == "error" else None)
        page.on("pageerror", lambda e: found.complain(f"script: {e}"))
        page.on("request", lambda r: _ours(r.url, site.url) or found.wrong.append(f"asked {r.url}"))
        if role is not None:
            found.open("/sign-in")
            page.fill("input[name=name]", f"{role}.{lang}")
            page.fill("input[name=password]", PASSWORD)
            page.click("main button[type=submit], main form button")
            page.wait_for_url(re.compile(r"/(?!sign-in)"))
        yield found
        window.close()
        assert found.wrong == []

    yield visited


def _ours(url: str, site: str) -> bool:
    return url.startswith((site + "/", "data:", "blob:"))


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("role", ROLES)
def test_every_page_of_a_role(visit: Callable[..., Any], role: str, lang: str) -> None:
    faults: dict[str, list[str]] = {}
    for theme in ("light", "dark"):
        with visit(role, lang, theme) as there:
            for path in PAGES[role]:
                there.open(path)
                assert there.page.get_attribute("html", "lang") == ("zh-CN" if lang == "zh" else "en")
                if found := there.faults():
                    faults[f"{path} {theme}"] = found
                there.picture(f"{role}-{lang}-{theme}-{_name(path)}")
    assert faults == {}, "\n".join(f"{where}: {fault}" for where, found in faults.items() for fault in found)


@pytest.mark.parametrize("role", ROLES)
def test_every_page_fits_a_phone(visit: Callable[..., Any], role: str) -> None:
    wide: dict[str, Any] = {}
    with visit(role, "zh", size=PHONE) as there:
        for path in PAGES[role]:
            there.open(path)
            there.page.wait_for_timeout(150)
            width = there.page.evaluate("document.documentElement.scrollWidth")
            if width > PHONE["width"]:
                wide[path] = width, there.page.evaluate(_WIDEST)
            there.picture(f"phone-{role}-{_name(path)}")
    assert wide == {}


_WIDEST = """() => [...document.querySelectorAll('main *, header *')]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 4)
    .map(e => e.tagName + '.' + e.className + '#' + e.id + ' ' + Math.round(e.getBoundingClientRect().right))"""


def _name(path: str) -> str:
    return re.sub(r"[^\w]+", "-", path).strip("-")[:60] or "home"


def test_every_page_of_the_console_is_looked_at(site: Site) -> None:
    """A page that nobody added above would be one that nobody looks at."""
    looked = {path.split("?")[0] for pages in PAGES.values() for path in pages}
    seen = {re.sub(r"/(\d+|cn-[\w-]+)\Z", "/{}", "/calls/{}" if path == "CALL" else path) for path in looked}
    pages = {
        re.sub(r"\{\w+\}", "{}", route.path)
        for route in site.app.state.guarded.routes
        if "GET" in route.methods and not route.path.startswith("/api/") and route.permission is not None
    }
    no_page = {
        "/", "/calls/{}/peaks.json", "/calls/{}/recording.wav", "/dashboard/{}.csv", "/events/live", "/live/{}/sound",
        "/alerts", "/alerts/count", "/metrics", "/softphone/calls/{}",
    }  # fmt: skip
    assert pages - no_page == seen


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_nobody_signed_in_sees_the_sign_in_page(visit: Callable[..., Any], lang: str) -> None:
    for theme in ("light", "dark"):
        with visit(None, lang, theme) as there:
            there.open("/queue")
            assert there.page.url.endswith("/sign-in?next=/queue")
            assert there.faults() == []
            there.picture(f"sign-in-{lang}-{theme}")


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_reviewer_works_a_call(visit: Callable[..., Any], lang: str) -> None:
    with visit("reviewer", lang) as there:
        page = there.page
        there.open("/queue")
        page.click("tbody#rows a >> nth=0")
        page.wait_for_url(re.compile("/calls/"))
        page.fill("#comments textarea", "听得清楚 <b>ok</b>")
        page.fill("#comment-at", "1.5")
        page.click("#comments form button")
        page.wait_for_load_state()
        assert "听得清楚 <b>ok</b>" in page.inner_text("#comments")
        for group in page.evaluate(
            "[...new Set([...document.querySelectorAll('#scorecard input[type=radio]')].map(e => e.name))]"
        ):
            page.check(f"#scorecard input[name='{group}'] >> nth=0", force=True)
        for select in page.query_selector_all("#scorecard select"):
            select.select_option(index=1)
        page.click("#scorecard form button")
        page.wait_for_load_state()
        assert page.query_selector("main .head form button[name=state][value=done]") is not None
        page.click("main .head form button[value=done]")
        page.wait_for_load_state()
        assert page.query_selector("main .head form button[value=open]") is not None


def test_a_recording_is_played_from_a_word(visit: Callable[..., Any]) -> None:
    with visit("supervisor", "zh") as there:
        there.open("CALL")
        there.page.wait_for_selector("#wave div", state="attached")
        there.page.click(".turn.agent .time >> nth=1")
        start = float(there.page.get_attribute(".turn.agent >> nth=1", "data-start"))
        there.page.wait_for_function(
            "s => { const [m, x] = document.querySelector('#clock').textContent.split(':').map(Number);"
            " return m * 60 + x >= Math.floor(s) }",
            arg=start,
        )


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_an_admin_invites_somebody_who_then_gets_in(visit: Callable[..., Any], site: Site, lang: str) -> None:
    with visit("admin", lang) as there:
        there.open("/people")
        form = there.page.locator("form[action='/people/invite']").last
        form.locator("input[name=name]").fill(f"new.{lang}")
        form.locator("select[name=role]").select_option("auditor")
        form.locator("button").last.click()
        there.page.wait_for_load_state()
        link = re.search(r"/welcome/[\w-]+", there.page.content())
        assert link is not None
    with visit(None, lang) as fresh:
        fresh.open(link.group())
        assert fresh.faults() == []
        for field_name in ("password", "again"):
            fresh.page.fill(f"input[name={field_name}]", PASSWORD)
        fresh.page.click("main form button")
        fresh.page.wait_for_url(re.compile("/queue"))


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_an_auditor_checks_the_chain(visit: Callable[..., Any], lang: str) -> None:
    with visit("auditor", lang) as there:
        there.open("/audit")
        there.page.click("form[action='/audit/verify'] button >> nth=-1")
        there.page.wait_for_load_state()
        assert there.page.query_selector("main .good, main [role=status], main .notice") is not None
        assert there.faults() == []
        there.picture(f"auditor-{lang}-verified")


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_supervisor_sees_live_calls_and_goes_from_a_number_to_its_calls(visit: Callable[..., Any], lang: str) -> None:
    with visit("supervisor", lang) as there:
        there.open("/live")
        there.page.wait_for_function("document.body.innerText.includes('你们别再打了')")
        there.open("/dashboard")
        link = there.page.locator("main a[href^='/queue?']").first
        link.click()
        there.page.wait_for_url(re.compile(r"/queue\?"))
        assert there.page.locator("tbody#rows tr").count() > 0
