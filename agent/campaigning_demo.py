"""``callgate campaign demo``: a portfolio of simulated borrowers, imported, called within the rules, and audited.

The demo's clock starts at five past nine in the evening of today in Shanghai, when Mandarin and American borrowers
may both be called (and Californians not yet), so that it is lawful at any hour it is run.
"""

from __future__ import annotations

import csv
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from agent.campaigning import Behaviour
from agent.campaigning_pulse import Kept
from agent.campaigning_report import CallFigures, DemoReport, counts
from agent.campaigning_run import campaign_run
from agent.settings import load_settings
from agent.telephony.simulator import load_scenario
from archive.database import Database
from archive.models import Call
from campaigns.audit import audit
from campaigns.config import CampaignConfig, read_config
from campaigns.dialer import Pace
from campaigns.importing.mapping import FileMapping
from campaigns.importing.portfolio import import_portfolio
from campaigns.importing.updates import import_updates
from campaigns.models import Attempt, Debt
from campaigns.provider import DialOrder
from campaigns.refused import refused as why_not
from campaigns.rules import ContactRules
from campaigns.status import status

NAME = "demo"
ANSWERS = {"answered": 76, "no_answer": 11, "busy": 6, "rejected": 3, "invalid_number": 3, "trunk_error": 1}
SCENARIOS = {
    "promise": 30, "hardship": 10, "already_paid": 8, "wrong_number": 6, "family_member": 6, "robot_question": 6,
    "angry_stop": 5, "wants_human": 5, "voicemail": 8, "silence": 3, "crisis": 1, "barge_in": 4, "hang_up": 3,
    "dispute": 3, "refuses": 4,
}  # fmt: skip
FATES = {"called": 80, "cease": 4, "paid": 3, "attorney": 3, "listed": 2, "pacific": 4, "spoken_to": 4}
"""What the lender knows of a borrower before the campaign: most are simply called."""
_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN = "明芳伟娜敏静强磊军洋勇艳杰涛超丽霞平刚桂英华玉兰"
_FIRST = ("Alex", "Jordan", "Taylor", "Morgan", "Casey", "Riley", "Jamie", "Avery", "Quinn", "Reese", "Drew", "Blake")
_LAST = ("Carter", "Hayes", "Brooks", "Reed", "Foster", "Perry", "Long", "Price", "Ward", "Bell", "Cole", "Shaw")


async def run_demo(
    borrowers: int,
    at_once: int,
    seed: int,
    home: Path | None,
    *,
    on_pace: Callable[[Pace], None] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> DemoReport:
    """Run the whole demo. Deterministic in who behaves how; how well they are heard is the recogniser's."""
    began = time.monotonic()
    start = datetime.now(ZoneInfo("Asia/Shanghai")).replace(hour=21, minute=5, second=0, microsecond=0).astimezone(UTC)

    def clock() -> datetime:
        return start + timedelta(seconds=time.monotonic() - began)

    config = demo_config(at_once)
    with ExitStack() as stack:
        folder = home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="callgate-campaign-")))
        town = Town(borrowers, seed, start.astimezone(ZoneInfo("Asia/Shanghai")).date())
        imported: dict[str, int] = {}
        refused: list[str] = []

        def fill(database: Database) -> None:
            imported.update(town.move_in(database, folder, clock(), refused))
            say(f"imported: {counts(imported)}; refused rows: {'; '.join(refused) or 'none'}")

        settings = load_settings().model_copy(update={"home": folder, "database_url": None, "carrier": None})
        async with campaign_run(settings, config, agents=at_once, clock=clock, before=fill) as running:
            carrier = running.provider(town.behaviour)
            await running.dialer(carrier, on_pace=on_pace).run()
            await carrier.drained()
            state = status(running.database, NAME, clock())
            policies = running.desk.models.gate.policies
            return DemoReport(
                imported, refused, state, audit(running.database, NAME, policies),
                why_not(running.database, NAME, ContactRules(policies), clock()), town.figures(running.database),
                running.pulse.kept() if running.pulse is not None else Kept(), time.monotonic() - began,
            )  # fmt: skip


def demo_config(at_once: int) -> CampaignConfig:
    return read_config(
        {
            "name": NAME,
            "trunk": {"name": "simulated", "channels": at_once, "per_minute": 120},
            "caller_ids": {"CN": "+861055550100", "US": "+12125550100"},
            "policies": {"zh": "cn", "en": "us+us-tcpa"},
            "select": {"min_days_past_due": 1, "max_days_past_due": 15},
            "max_attempts": 2,
            "ring_seconds": 10,
            "messages": {"promise_confirmation": True},
        }
    )


class Town:
    """The simulated borrowers: what the lender knows of them, and what they do when their telephone rings."""

    def __init__(self, borrowers: int, seed: int, today: date) -> None:
        rng = random.Random(seed)
        self._today = today
        self._behaviours: dict[str, Behaviour] = {}
        self.rows: list[dict[str, str]] = []
        self.updates: list[dict[str, str]] = []
        for number in range(borrowers):
            self._add(number, rng)

    def _add(self, n: int, rng: random.Random) -> None:
        fate = rng.choices(list(FATES), list(FATES.values()))[0] if n >= 4 else "called"
        zh = fate != "pacific" and n % 2 == 0
        lender = "安信消费金融" if zh else "Harbor Lending"
        phone = f"+86138{20_000_000 + n:08d}" if zh else f"+1212{2_550_000 + n:07d}"
        account = f"{'AX' if zh else 'HL'}{n:06d}"
        past_due = rng.randint(1, 12)
        row = {
            "account": account, "lender": lender, "phone": phone, "lang": "zh" if zh else "en",
            "borrower_name": rng.choice(_SURNAMES) + rng.choice(_GIVEN) if zh else
            f"{rng.choice(_FIRST)} {rng.choice(_LAST)}",
            "time_zone": "Asia/Shanghai" if zh else "America/Los_Angeles" if fate == "pacific" else "America/New_York",
            "region": "CN" if zh else "US-CA" if fate == "pacific" else "US-NY",
            "product": "消费贷款" if zh else "personal loan",
            "payee": "安信消费金融官方应用" if zh else "the Harbor Lending website",
            "agent_name": "小安" if zh else "Robin",
            "amount_due": f"{rng.randrange(300, 6000, 50) if zh else rng.randrange(80, 900, 10)}.00",
            "currency": "CNY" if zh else "USD",
            "due_date": (self._today - timedelta(days=past_due)).isoformat(),
            "id_last4": f"{rng.randrange(10_000):04d}",
            "call_back_number": "400-555-0136" if zh else "800-555-0136",
            "plans": "三期分期还款" if zh else "three month payment plan",
            "credit_report_due": "yes",
            "consents": "" if zh else "robot_call",
            "attorney": "yes" if fate == "attorney" else "no",
            "do_not_contact": "yes" if fate == "listed" else "no",
        }  # fmt: skip
        self.rows.append(row)
        update = {"account": account, "lender": lender, "kind": "", "amount": "", "date": "", "reference": f"U{n}"}
        if fate == "cease":
            self.updates.append({**update, "kind": "cease"})
        elif fate == "paid":
            self.updates.append({**update, "kind": "payment", "amount": row["amount_due"]})
        elif fate == "spoken_to":
            day = (self._today - timedelta(days=2)).isoformat()
            self.updates.append({**update, "kind": "contact", "date": day})
        self._behaviours[phone] = Behaviour(
            answers=rng.choices(list(ANSWERS), list(ANSWERS.values()))[0] if n >= 2 else "answered",
            scenario=rng.choices(list(SCENARIOS), list(SCENARIOS.values()))[0] if n >= 2 else "promise",
            seed=5 + n,
            ring=1.0 + rng.random(),
        )

    def behaviour(self, order: DialOrder) -> Behaviour:
        return self._behaviours[order.number]

    def figures(self, database: Database) -> CallFigures:
        """How the answered calls ended, beside what their people set out to do."""
        wanted = sa.select(Attempt.number, Attempt.outcome, Debt.lang).join(Debt, Debt.id == Attempt.debt_id)
        with database.read() as session:
            calls = session.execute(wanted.where(Attempt.answered_at.is_not(None))).all()
            gaps = session.scalars(sa.select(Call.response_gap_p50_ms))
            gap_ms = tuple(sorted(gap for gap in gaps if gap is not None))
        meant = 0
        otherwise: Counter[str] = Counter()
        for number, outcome, lang in calls:
            scenario = load_scenario(self._behaviours[number].scenario, "zh" if lang == "zh" else "en")
            if outcome == scenario.expected_disposition:
                meant += 1
            else:
                otherwise[f"{scenario.name}: {outcome}"] += 1
        return CallFigures(len(calls), meant, dict(otherwise.most_common()), gap_ms)

    def move_in(self, database: Database, folder: Path, now: datetime, refused: list[str]) -> dict[str, int]:
        """Write the lender's files, with a few bad rows among the good, and import them as an operator would."""
        folder.mkdir(parents=True, exist_ok=True)
        bad = [
            {**self.rows[0], "account": "BAD1", "phone": "1.38E+10"},
            {**self.rows[0], "account": "BAD2", "time_zone": "EST"},
            {**self.rows[0], "account": "BAD3", "due_date": "03/04/2026"},
        ]
        portfolio, updates = folder / "portfolio.csv", folder / "updates.csv"
        _write(portfolio, [*self.rows, *bad], "gb18030")
        report = import_portfolio(database, portfolio, now, as_of=self._today, skip_bad_rows=True)
        refused += [f"line {p.line}: {p.field} {p.reason}" for p in report.problems]
        taken = {"new": report.counts["new"]}
        if self.updates:
            _write(updates, self.updates, "utf-8-sig")
            told = import_updates(database, updates, now, mapping=FileMapping())
            taken["updates"] = told.counts["applied"]
        return dict(Counter(taken))


def _write(path: Path, rows: list[dict[str, str]], encoding: str) -> None:
    with path.open("w", encoding=encoding, newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
