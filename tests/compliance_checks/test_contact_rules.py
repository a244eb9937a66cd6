"""May this person be dialled now? Read as: who, what happened, when, and what the answer is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.events import Verdict
from compliance_checks.contact import ContactPerson, ContactRecord, may_dial, next_allowed
from compliance_checks.contact.rules import KINDS
from compliance_checks.policy import Policies

SHANGHAI = ZoneInfo("Asia/Shanghai")
NEW_YORK = ZoneInfo("America/New_York")
ZHANG = ContactPerson("p1", "d1", ("Asia/Shanghai",), "CN", number_key="n1")
SMITH = ContactPerson("p2", "d2", ("America/New_York",), "US", number_key="n2")


def cn(day: int, hour: int, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=SHANGHAI)


def us(day: int, hour: int, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=NEW_YORK)


def ids(verdict: Verdict) -> list[str]:
    assert (verdict.decision == "allow") == (not verdict.rules)
    return [hit.id for hit in verdict.rules]


def dial(now: datetime, person: ContactPerson, *history: ContactRecord, policy: str | None = None) -> list[str]:
    return ids(may_dial(now, person, history, policy or ("us" if person.country == "US" else "cn")))


def attempts(first: datetime, times: int, **more: Any) -> list[ContactRecord]:
    return [ContactRecord(first + timedelta(minutes=n), "attempt", **{"debt_id": "d1", **more}) for n in range(times)]


def talks(first: datetime, times: int, **more: Any) -> list[ContactRecord]:
    return [
        ContactRecord(first + timedelta(minutes=n), "conversation", **{"debt_id": "d1", **more}) for n in range(times)
    ]


# -- the person


@pytest.mark.parametrize("flag", ["do_not_contact", "cease_requested", "attorney", "deceased", "bankrupt", "disputed"])
def test_a_stop_is_final(flag: str) -> None:
    stopped = replace(ZHANG, **{flag: True})
    assert dial(cn(20, 10), stopped) == [f"contact.{flag}"]
    assert next_allowed(cn(20, 10), stopped, (), "cn") is None
    # Not known is not "no".
    assert dial(cn(20, 10), replace(ZHANG, **{flag: None})) == [f"contact.{flag}"]


def test_the_countrys_own_clause_is_cited_for_a_stop() -> None:
    hit = may_dial(us(20, 10), replace(SMITH, attorney=True), (), "us").rules[0]
    assert "1692c(a)(2)" in hit.clause
    assert hit.review == "needs_review"
    hit = may_dial(cn(20, 10), replace(ZHANG, attorney=True), (), "cn").rules[0]
    assert "floor" in hit.clause
    assert hit.review == "confirmed"


def test_the_final_reasons_come_first_and_all_are_named() -> None:
    verdict = may_dial(cn(20, 23), replace(ZHANG, do_not_contact=True), talks(cn(20, 9), 3), "cn")
    assert [hit.id for hit in verdict.rules] == [
        "contact.do_not_contact",
        "hours.outside",
        "hours.outside",
        "contact.limit.effective_conversations",
    ]
    assert len({hit.clause for hit in verdict.rules}) == 4


def test_a_robot_call_needs_consent_where_a_pack_demands_it() -> None:
    assert dial(us(20, 10), SMITH, policy="us+us-tcpa") == ["contact.consent_missing"]
    assert dial(us(20, 10), replace(SMITH, consents=frozenset({"robot_call"})), policy="us+us-tcpa") == []
    assert dial(us(20, 10), replace(SMITH, robot=False), policy="us+us-tcpa") == []


def test_consent_to_be_called_late_lifts_that_rule_alone() -> None:
    agreed = replace(ZHANG, consents=frozenset({"call_outside_hours"}))
    assert dial(cn(20, 23), agreed) == []
    assert dial(cn(20, 23), agreed, policy="cn-house") == ["hours.outside"]
    assert dial(cn(20, 23), replace(ZHANG, consents=frozenset({"anything"})))[0] == "hours.outside"


def test_a_time_that_the_borrower_asked_for_is_kept() -> None:
    evening = replace(ZHANG, only_between=(time(18), time(20, 30)))
    assert dial(cn(20, 17, 59), evening) == ["contact.requested_hours"]
    assert dial(cn(20, 18), evening) == []
    assert dial(cn(20, 20, 30), evening) == ["contact.requested_hours"]
    later = replace(ZHANG, not_before=cn(23, 9))
    assert dial(cn(23, 8, 59), later) == ["contact.not_before"]
    assert next_allowed(cn(20, 10), later, (), "cn") == cn(23, 9)
    night = replace(ZHANG, only_between=(time(21), time(6)))
    assert dial(cn(20, 21, 30), night) == []
    assert dial(cn(20, 20, 59), night) == ["contact.requested_hours"]


# -- how often


def test_three_effective_conversations_a_day_whatever_the_debt() -> None:
    said = [*talks(cn(20, 8, 30), 2, debt_id="other"), *talks(cn(20, 14), 1)]
    assert dial(cn(20, 15), ZHANG, *said) == ["contact.limit.effective_conversations"]
    assert dial(cn(20, 15), ZHANG, *said[1:]) == []
    assert dial(cn(20, 15), ZHANG, *[replace(one, effective=False) for one in said]) == []
    # The day is the borrower's, not UTC's: 00:30 in Shanghai is the day before in UTC.
    assert dial(cn(21, 8), ZHANG, *said) == []


def test_six_unanswered_attempts_a_day_and_number() -> None:
    rung = attempts(cn(20, 9), 6, number_key="n1")
    assert dial(cn(20, 18), ZHANG, *rung) == ["contact.limit.unanswered_attempts"]
    assert dial(cn(20, 18), ZHANG, *rung[1:]) == []
    assert dial(cn(20, 18), replace(ZHANG, number_key="n9"), *rung) == []
    # A number that is not known may be any of them.
    assert dial(cn(20, 18), replace(ZHANG, number_key=""), *rung) == ["contact.limit.unanswered_attempts"]
    assert dial(cn(20, 18), ZHANG, *attempts(cn(20, 9), 6)) == ["contact.limit.unanswered_attempts"]


def test_reg_f_seven_in_seven_days_for_each_debt() -> None:
    rung = attempts(us(14, 10), 7, debt_id="d2")
    assert dial(us(20, 10), SMITH, *rung) == ["contact.limit.attempts"]
    assert dial(us(20, 10), SMITH, *rung[1:]) == []
    assert dial(us(20, 10), replace(SMITH, debt_id="d3"), *rung) == []
    assert dial(us(21, 10, 0), SMITH, *rung) == []  # the first is exactly seven days old
    assert dial(us(21, 9, 59), SMITH, *rung) == ["contact.limit.attempts"]
    # An attempt whose debt was not written down counts for every debt.
    assert dial(us(20, 10), SMITH, *[replace(one, debt_id="") for one in rung]) == ["contact.limit.attempts"]


def test_reg_f_seven_days_after_a_conversation() -> None:
    said = talks(us(13, 10), 1, debt_id="d2", effective=False)
    assert dial(us(20, 9, 59), SMITH, *said) == ["contact.pause.conversation"]
    assert dial(us(20, 10), SMITH, *said) == []
    assert dial(us(15, 10), replace(SMITH, debt_id="d3"), *said) == []
    assert dial(us(15, 10), replace(SMITH, consents=frozenset({"requested_call"})), *said) == []
    assert next_allowed(us(15, 10), SMITH, said, "us") == us(20, 10)


def test_the_house_counts_contacts_by_week_and_month_and_tier() -> None:
    texts = [ContactRecord(cn(16, 9 + n), "text") for n in range(3)]
    medium = replace(ZHANG, risk="medium")
    assert dial(cn(20, 10), medium, *texts, policy="cn-house") == ["contact.limit.contacts"]
    assert dial(cn(20, 10), replace(ZHANG, risk="low"), *texts, policy="cn-house") == []
    assert dial(cn(20, 10), ZHANG, *texts, policy="cn-house") == ["contact.limit.contacts"]  # an unknown tier
    assert dial(cn(23, 10), medium, *texts, policy="cn-house") == []  # the next week
    six = [ContactRecord(cn(2 + n, 9), "text") for n in range(6)]
    assert dial(cn(20, 10), replace(ZHANG, risk="low"), *six, policy="cn-house") == ["contact.limit.contacts"]
    assert next_allowed(cn(20, 10), replace(ZHANG, risk="low"), six, "cn-house") == cn(1, 8, month=12)


def test_an_explanation_gives_the_figures_and_nothing_of_the_person() -> None:
    person = replace(SMITH, person_id="Ann Example", debt_id="LN-8841")
    hit = may_dial(us(20, 10), person, attempts(us(18, 10), 9, debt_id="LN-8841"), "us").rules[0]
    assert hit.explanation["en"] == "9 call attempts about the debt in the last 7 days; at most 7 are allowed."
    assert hit.explanation["zh"] == "最近7天内就同一笔债务已有9次拨打，上限为7次。"
    assert hit.clause == "12 CFR 1006.14(b)(2)(i)(A)"


def test_records_from_the_future_count_as_if_they_were_of_now() -> None:
    said = talks(us(25, 10), 1, debt_id="d2")
    assert dial(us(20, 10), SMITH, *said) == ["contact.pause.conversation"]
    assert dial(cn(20, 15), ZHANG, *talks(cn(28, 10), 3)) == ["contact.limit.effective_conversations"]


# -- third parties


def test_a_third_party_only_to_reach_the_unreachable_and_never_after_a_refusal() -> None:
    aunt = replace(ZHANG, callee="third_party", third_party_id="aunt")
    assert dial(cn(20, 10), aunt) == ["contact.third_party_reachable", "contact.third_party_reachable"]
    away = replace(aunt, unreachable=True)
    assert dial(cn(20, 10), away) == []
    refused = ContactRecord(datetime(2020, 2, 29, 10, tzinfo=SHANGHAI), "third_party_refused", third_party_id="aunt")
    assert set(dial(cn(20, 10), away, refused)) == {"contact.third_party_refused"}
    assert dial(cn(20, 10), replace(away, third_party_id="uncle"), refused) == []
    # Who refused is not known: then nobody else is called.
    assert dial(cn(20, 10), replace(away, third_party_id="uncle"), replace(refused, third_party_id=""))
    assert dial(cn(20, 10), replace(away, third_party_id=""), refused)
    assert next_allowed(cn(20, 10), away, [refused], "cn") is None
    # The borrower may still be called, and calls to the aunt are none to the borrower.
    assert dial(cn(20, 10), ZHANG, refused, *attempts(cn(20, 9), 6, third_party_id="aunt")) == []


def test_location_information_once() -> None:
    neighbour = replace(SMITH, callee="third_party", third_party_id="n", unreachable=True)
    asked = ContactRecord(us(1, 10, month=3), "third_party", third_party_id="n")
    assert dial(us(20, 10), neighbour) == []
    verdict = may_dial(us(20, 10), neighbour, [asked], "us")
    assert ids(verdict) == ["contact.third_party_limit"]
    assert verdict.rules[0].explanation["en"] == "1 contacts with this third party; at most 1 are allowed."


def test_no_third_party_where_no_pack_allows_it() -> None:
    person = replace(ZHANG, callee="third_party", third_party_id="x", unreachable=True, time_zones=("Europe/London",))
    now = datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert dial(now, person, policy="uk") == ["contact.third_party_not_allowed"]


# -- clocks and calendars


def test_every_place_where_the_person_may_be_must_allow_it() -> None:
    coasts = replace(SMITH, time_zones=("America/New_York", "America/Los_Angeles"))
    assert dial(us(20, 10), coasts) == ["hours.outside"]  # 07:00 in California
    assert dial(us(20, 11), coasts) == []
    assert dial(us(20, 20, 59), coasts) == []
    assert dial(us(20, 21), coasts) == ["hours.outside"]
    assert next_allowed(us(20, 9), coasts, (), "us") == us(20, 11)


def test_a_day_that_has_begun_in_one_zone_only_counts_in_both() -> None:
    person = replace(ZHANG, time_zones=("Asia/Shanghai", "Asia/Tokyo"))
    said = talks(cn(20, 9), 3)
    agreed = replace(person, consents=frozenset({"call_outside_hours"}))
    assert dial(cn(20, 23, 30), agreed, *said) == ["contact.limit.effective_conversations"]
    assert dial(cn(21, 0), agreed, *said) == []


@pytest.mark.parametrize(
    ("now", "allowed"),
    [
        # 8 March 2026: 02:00 EST becomes 03:00 EDT; 08:00 EDT is 12:00 UTC, a day before it was 13:00.
        (datetime(2026, 3, 7, 12, 30, tzinfo=UTC), False),
        (datetime(2026, 3, 8, 12, 0, tzinfo=UTC), True),
        (datetime(2026, 3, 8, 11, 59, tzinfo=UTC), False),
        # 1 November 2026: 02:00 EDT becomes 01:00 EST; 21:00 EST is 02:00 UTC of the next day.
        (datetime(2026, 11, 1, 12, 30, tzinfo=UTC), False),
        (datetime(2026, 11, 2, 1, 59, tzinfo=UTC), True),
        (datetime(2026, 11, 2, 2, 0, tzinfo=UTC), False),
    ],
)
def test_summer_time(now: datetime, allowed: bool) -> None:
    assert (dial(now, SMITH) == []) is allowed


@pytest.mark.parametrize(
    ("hours", "zone", "now", "expected"),
    [
        # Spring: 02:30 does not exist, so the window opens with the clock's jump to 03:00.
        ('allowed: {start: "02:30", end: "05:00"}', "America/New_York", (2026, 3, 8, 0, 0), (2026, 3, 8, 7, 0)),
        # Autumn: 01:30 comes twice; the first closes the window, the jump back opens it again.
        ('allowed: {start: "00:30", end: "01:30"}', "America/New_York", (2026, 11, 1, 1, 45), (2026, 11, 1, 6, 0)),
        # A night window, asked at noon.
        ('allowed: {start: "22:00", end: "08:00"}', "Asia/Shanghai", (2026, 11, 20, 12, 0), (2026, 11, 20, 14, 0)),
        # A zone of half an hour.
        ('allowed: {start: "08:00", end: "19:00"}', "Asia/Kolkata", (2026, 11, 20, 20, 0), (2026, 11, 21, 2, 30)),
        # Lord Howe Island moves its clocks by half an hour.
        ('allowed: {start: "02:15", end: "03:00"}', "Australia/Lord_Howe", (2026, 10, 4, 1, 0), (2026, 10, 3, 15, 30)),
    ],
)
def test_the_next_moment_over_a_change_of_clocks(
    pack: Callable[..., Policies],
    hours: str,
    zone: str,
    now: tuple[int, int, int, int, int],
    expected: tuple[int, int, int, int, int],
) -> None:
    policies = pack(f"contact:\n  hours: {{cite: c, {hours}}}")
    start = datetime(*now, tzinfo=ZoneInfo(zone))
    person = ContactPerson("p", "d", (zone,))
    found = next_allowed(start, person, (), "test", policies=policies)
    assert found == datetime(*expected, tzinfo=UTC)
    assert may_dial(found, person, (), "test", policies=policies).decision == "allow"
    before = found - timedelta(seconds=1)
    assert before < start or may_dial(before, person, (), "test", policies=policies).decision == "refuse"


def test_a_quiet_window_crosses_midnight() -> None:
    for hour, allowed in ((21, True), (22, False), (23, False), (0, False), (7, False), (8, True)):
        assert (dial(cn(20, hour), ZHANG) == []) is allowed


def test_leap_days(pack: Callable[..., Policies]) -> None:
    policies = pack('contact:\n  blackout: {cite: c, dates: ["02-29", "2027-03-01"]}')
    person = ContactPerson("p", "d", ("Europe/London",))

    def asked(*day: int) -> list[str]:
        return ids(may_dial(datetime(*day, 10, tzinfo=UTC), person, (), "test", policies=policies))

    assert asked(2028, 2, 29) == ["contact.blackout"]
    assert asked(2027, 2, 28) == []
    assert asked(2027, 3, 1) == ["contact.blackout"]
    assert asked(2028, 3, 1) == []
    leap = datetime(2028, 2, 29, 10, tzinfo=UTC)
    assert next_allowed(leap, person, (), "test", policies=policies) == datetime(2028, 3, 1, 8, tzinfo=UTC)


def test_a_month_that_ends_on_a_leap_day(pack: Callable[..., Policies]) -> None:
    policies = pack("contact:\n  limits: [{cite: c, count: attempts, each: month, max: 1}]")
    person = ContactPerson("p", "d", ("Europe/London",))
    rung = [ContactRecord(datetime(2028, 2, 29, 20, tzinfo=UTC), "attempt")]
    now = datetime(2028, 2, 29, 20, 30, tzinfo=UTC)
    assert next_allowed(now, person, rung, "test", policies=policies) == datetime(2028, 3, 1, 8, tzinfo=UTC)


def test_public_holidays_and_weekdays(pack: Callable[..., Policies]) -> None:
    rules = 'contact:\n  hours: {cite: c, allowed: {start: "08:00", end: "20:00"}, no_holidays: true, days: [mon, sat]}'
    policies = pack(rules)

    def asked(month: int, day: int, country: str) -> list[str]:
        person = ContactPerson("p", "d", ("America/Los_Angeles",), country)
        now = datetime(2026, month, day, 10, tzinfo=ZoneInfo("America/Los_Angeles"))
        return ids(may_dial(now, person, (), "test", policies=policies))

    assert asked(7, 4, "US") == ["hours.holiday"]  # a Saturday
    assert asked(11, 21, "US") == []
    assert asked(11, 22, "US") == ["hours.weekday"]
    assert asked(5, 25, "US") == ["hours.holiday"]
    assert asked(5, 25, "GB-ENG") == ["hours.holiday"]  # the spring bank holiday
    assert asked(6, 1, "US") == []
    assert asked(6, 1, "CN") == []
    for unknown in ("", "XX", "United States", "US-XX"):
        assert asked(11, 21, unknown) == ["hours.cannot_judge"]


# -- what is not known


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"time_zones": ()}, "hours.unknown_zone"),
        ({"time_zones": ("Asia/Shanghai", "")}, "hours.unknown_zone"),
        ({"time_zones": ("Asia/Shanghai", "Mars/Olympus")}, "hours.unknown_zone"),
        ({"time_zones": "Asia/Shanghai"}, "hours.unknown_zone"),
        ({"time_zones": None}, "hours.unknown_zone"),
        ({"person_id": ""}, "contact.missing_data"),
        ({"debt_id": ""}, "contact.missing_data"),
        ({"callee": "neighbour"}, "contact.missing_data"),
        ({"not_before": datetime(2026, 11, 20)}, "contact.missing_data"),
        ({"only_between": ("08:00", "09:00")}, "contact.cannot_judge"),
        ({"consents": None}, "contact.cannot_judge"),
    ],
)
def test_what_is_not_known_is_refused(change: dict[str, Any], rule: str) -> None:
    person = replace(SMITH, **change)
    assert rule in dial(us(20, 10), person, policy="us+us-tcpa")
    assert next_allowed(us(20, 10), person, (), "us+us-tcpa") is None


def test_a_record_that_cannot_be_read_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    naive = ContactRecord(datetime(2026, 11, 1), "attempt")
    odd = ContactRecord(cn(1, 9), "seance")  # type: ignore[arg-type]
    for history in ([naive], [odd], ["13800138000"], [None]):
        assert ids(may_dial(cn(20, 10), ZHANG, history, "cn")) == ["contact.bad_history"]  # type: ignore[arg-type]
    for broken in (None, 3):
        assert ids(may_dial(cn(20, 10), ZHANG, broken, "cn")) == ["contact.cannot_judge"]  # type: ignore[arg-type]
    assert ids(may_dial(cn(20, 10), None, (), "cn")) == ["contact.cannot_judge"]  # type: ignore[arg-type]
    assert ids(may_dial(datetime(2026, 11, 20, 10), ZHANG, (), "cn")) == ["hours.naive_time"]
    assert ids(may_dial("now", ZHANG, (), "cn")) == ["hours.naive_time"]  # type: ignore[arg-type]
    assert ids(may_dial(cn(20, 10), ZHANG, (), "moon")) == ["hours.unknown_policy"]
    assert ids(may_dial(cn(20, 10), ZHANG, (), None, lang="fr")) == ["hours.unknown_policy"]  # type: ignore[arg-type]
    said = " ".join(record.getMessage() for record in caplog.records)  # not `caplog.text`: it has line numbers
    assert "138" not in said
    assert "p1" not in said
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * len(caplog.records)


def test_the_order_of_the_history_does_not_matter() -> None:
    history = [*attempts(us(14, 9), 8, debt_id="d2"), *talks(us(15, 9), 2, debt_id="d2")]
    first = may_dial(us(20, 10), SMITH, history, "us")
    assert first == may_dial(us(20, 10), SMITH, tuple(reversed(history)), "us")
    assert first.policy_hash


MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 31), timezones=st.just(UTC))
ZONES = st.sampled_from(["Asia/Shanghai", "America/New_York", "Asia/Kolkata", "Europe/London", "Pacific/Apia"])
RECORDS = st.builds(
    ContactRecord,
    at=MOMENTS,
    kind=st.sampled_from(sorted(KINDS)),
    debt_id=st.sampled_from(["", "d", "other"]),
    effective=st.booleans(),
    answered=st.booleans(),
    third_party_id=st.sampled_from(["", "aunt"]),
)
PEOPLE = st.builds(
    ContactPerson,
    person_id=st.just("p"),
    debt_id=st.just("d"),
    time_zones=st.lists(ZONES, max_size=2).map(tuple),
    country=st.sampled_from(["CN", "US", "GB", ""]),
    consents=st.frozensets(st.sampled_from(["call_outside_hours", "robot_call", "requested_call"])),
    cease_requested=st.booleans(),
    callee=st.sampled_from(["borrower", "third_party"]),
    unreachable=st.booleans(),
    risk=st.sampled_from(["", "low", "medium"]),
)
POLICY = st.sampled_from(["cn", "cn-house", "us", "us+us-tcpa", "uk", "in", "us+in"])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(MOMENTS, PEOPLE, st.lists(RECORDS, max_size=12), RECORDS, POLICY)
def test_more_history_and_more_law_never_allow_more(
    now: datetime, person: ContactPerson, history: list[ContactRecord], more: ContactRecord, policy: str
) -> None:
    verdict = may_dial(now, person, history, policy)
    if verdict.decision == "refuse":
        assert may_dial(now, person, [*history, more], policy).decision == "refuse"
        assert all(hit.clause and hit.explanation["zh"] and hit.explanation["en"] for hit in verdict.rules)
        for other in ("cn", "uk", "cn-house", "us-tcpa"):
            assert may_dial(now, person, history, f"{policy}+{other}").decision == "refuse"
    else:
        assert next_allowed(now, person, history, policy) == now


@settings(max_examples=40, deadline=None, derandomize=True)
@given(MOMENTS, PEOPLE, st.lists(RECORDS, max_size=8), POLICY)
def test_the_next_moment_is_allowed_and_the_first(
    now: datetime, person: ContactPerson, history: list[ContactRecord], policy: str
) -> None:
    found = next_allowed(now, person, history, policy, days=9)
    if found is None:
        found = now + timedelta(days=9)
    else:
        assert may_dial(found, person, history, policy).decision == "allow"
    step = (found - now) / 23
    for n in range(23):
        if now + step * n < found:
            assert may_dial(now + step * n, person, history, policy).decision == "refuse"


@pytest.fixture
def pack(tmp_path: Path) -> Callable[..., Policies]:
    """Policies with one more pack, ``test``, that says what the argument says."""

    def write(rules: str) -> Policies:
        head = "id: test\njurisdiction: xx\nlevel: country\ntitle: {zh: t, en: t}\nsource: s\n"
        (tmp_path / "test.yaml").write_text(f"{head}source_kind: house\nreview: confirmed\n{rules}\n", encoding="utf-8")
        return Policies(overlays_dir=tmp_path)

    return write
