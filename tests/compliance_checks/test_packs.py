"""Policy packs: what ships keeps its own examples, what an operator writes is checked before it holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from compliance_checks import Gate
from compliance_checks.examples import run_examples
from compliance_checks.explain import CATEGORIES, marked
from compliance_checks.in_force import policies_in_force
from compliance_checks.pack import LEVELS, Pack, PolicyError, read_pack
from compliance_checks.policy import FLOOR, PACKS, Policies

SHIPPED = {path.stem: read_pack(path) for path in sorted(PACKS.glob("*.yaml"))}
# Rules of a whole stack, which nothing that is said or dialled breaks by itself.
WITHOUT_EXAMPLES = {"clauses.hours", "clauses.contact", "contact.requests"}
LENDER = """\
id: my-bank
jurisdiction: my-bank
level: lender
extends: {extends}
title: {{zh: 我行, en: My bank}}
source: Our handbook
source_kind: house
review: confirmed
"""
WriteOverlay = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> WriteOverlay:
    """A lender's overlay ``my-bank.yaml`` in a folder of its own."""

    def overlay(rules: str, extends: str = "cn", head: str = LENDER) -> Path:
        (tmp_path / "my-bank.yaml").write_text(head.format(extends=extends) + rules, encoding="utf-8")
        return tmp_path

    return overlay


# -- the packs that ship


def test_the_packs_of_the_design_are_there() -> None:
    ids = {pack.id for pack in SHIPPED.values()}
    assert ids >= {"cn-gbt45251", "cn-working-guide", "cn-credit-card", "cn-consumer-finance", "cn-house"}
    assert ids >= {"us-fdcpa", "uk-conc7", "in-rbi", "eu-ai-act", FLOOR}
    assert all(
        path.stem in (pack_id, "floor") for path, pack_id in ((p, read_pack(p).id) for p in PACKS.glob("*.yaml"))
    )


@pytest.mark.parametrize("pack", SHIPPED.values(), ids=SHIPPED)
def test_every_rule_states_its_source_and_only_the_house_confirms_itself(pack: Pack) -> None:
    for place, rule in pack.cited():
        assert rule.cite, place
        # Nobody has held a secondary reading against the primary text yet: it must not look confirmed.
        assert rule.review == "confirmed" if pack.id == FLOOR else rule.review == "needs_review", place
        assert rule.source_kind in ("primary", "secondary", "house"), place


@pytest.mark.parametrize("pack", SHIPPED.values(), ids=SHIPPED)
def test_every_example_holds_and_every_rule_has_one(pack: Pack, gate: Gate) -> None:
    outcomes = list(run_examples(pack, gate))
    assert [o for o in outcomes if o.problem] == []
    refused = {o.rule for o in outcomes if o.wanted == "refuse"}
    allowed = {o.rule for o in outcomes if o.wanted == "allow"}
    rules = {place for place, _ in pack.cited() if not place.startswith("records.")} - WITHOUT_EXAMPLES
    assert rules == refused
    assert {rule for rule in rules if not rule.startswith("contact.stops.")} <= allowed


def test_examples_can_fail(write: WriteOverlay, gate: Gate) -> None:
    overlay = write(
        "clauses:\n"
        "  threat: {cite: Ours 1, refuse: [您好。, 您的身份证号是11010519491231002X。], allow: [我们会报警抓你。]}\n"
        "contact:\n"
        "  limits:\n"
        "    - cite: Ours 2\n"
        "      count: attempts\n"
        "      each: day\n"
        "      max: 2\n"
        "      refuse:\n"
        '        - {at: "2026-11-20 10:00", zones: [Asia/Shanghai]}\n'
        '        - {at: "2026-11-20 23:00", zones: [Asia/Shanghai]}\n'
        '      allow: [{at: "2026-11-20 23:00", zones: [Asia/Shanghai]}]\n'
    )
    policies = Policies(None, gate._rulebook.hash, overlays_dir=overlay)
    gate = Gate(gate._rulebook, policies, gate._checks)
    problems = [o.problem for o in run_examples(gate.policies.packs["my-bank"], gate)]
    assert problems[0] == "is allowed"
    assert problems[1].startswith("is refused by another rule: privacy")
    assert problems[2].startswith("is not allowed: threat")
    assert problems[3] == "is allowed"
    assert problems[4:] == ["is refused by another rule: hours.outside", "is not allowed: hours.outside"]


# -- stacks


def test_a_policy_is_the_floor_and_its_packs_by_level() -> None:
    policies = Policies()
    cn = policies.resolve("cn", "zh")
    assert [p.id for p in cn.packs][:2] == [FLOOR, "cn-pipl"]
    assert {p.jurisdiction for p in cn.packs[1:]} == {"cn"}
    assert "cn-house" not in {p.id for p in cn.packs}
    house = policies.resolve("cn-house", "zh")
    assert [*cn.packs, policies.packs["cn-house"]] == list(house.packs)
    assert policies.resolve("cn+cn-house", "zh").hash == house.hash
    assert [LEVELS.index(p.level) for p in house.packs] == sorted(LEVELS.index(p.level) for p in house.packs)
    assert "us-tcpa" not in {p.id for p in policies.resolve("us", "en").packs}
    assert policies.resolve(None, "en").name == "us"
    assert policies.resolve("eu-ai-act", "en").disclosures == (
        "ai_disclosure",
        "recording_disclosure",
        "emotion_disclosure",
    )
    assert policies.resolve("us", "en").borrower_disclosures == ("debt_collector_notice",)
    assert len({policies.resolve(name, "en").hash for name in ("cn", "us", "uk", "in", "cn-house", "eu-ai-act")}) == 6
    for name in ("", "callgate", "cn+", "CN", "cn+moon", "my-bank"):
        with pytest.raises(PolicyError, match="unknown policy"):
            policies.resolve(name, "zh")


def test_conflicts_are_reported_and_the_stricter_holds() -> None:
    policies = Policies()
    hours, records = policies.resolve("cn-house", "zh").conflicts
    assert (hours.key, hours.holds) == ("contact.hours", "cn-house")
    assert dict(hours.values)["cn-gbt45251"] == "not 22:00–08:00"
    assert (records.key, records.holds) == ("records.call_recording.keep_days_min", "cn-consumer-finance")
    assert str(policies.resolve("us+in", "en").conflicts[0]) == (
        "contact.hours: us-fdcpa says 08:00–21:00; in-rbi says 08:00–19:00: in-rbi holds"
    )
    assert policies.resolve("us", "en").conflicts == ()


def test_a_floor_above_a_ceiling_is_nobodys(write: WriteOverlay) -> None:
    head = LENDER.replace("level: lender\nextends: {extends}", "level: country")
    folder = write("records:\n  call_recording: {cite: c, keep_days_max: 365}\n", head=head)
    conflicts = Policies(overlays_dir=folder).resolve("cn+my-bank", "zh").conflicts
    conflict = next(c for c in conflicts if c.key == "records.call_recording")
    assert conflict.holds == ""
    assert ("my-bank", "at most 365 days") in conflict.values
    assert str(conflict).endswith("they cannot be kept together")


def test_hours_that_share_no_minute_are_reported_and_refuse_everything(write: WriteOverlay) -> None:
    head = LENDER.replace("level: lender\nextends: {extends}", "level: country")
    folder = write('contact:\n  hours: {cite: c, allowed: {start: "22:00", end: "23:00"}}\n', head=head)
    conflict = Policies(overlays_dir=folder).resolve("us+my-bank", "en").conflicts[0]
    assert (conflict.key, conflict.holds) == ("contact.hours", "")


# -- what an operator writes


def test_an_overlay_is_stricter_and_cited(write: WriteOverlay) -> None:
    folder = write(
        "clauses:\n"
        "  threat: {cite: Handbook 4.2}\n"
        "contact:\n"
        "  hours:\n"
        "    cite: Handbook 2\n"
        '    allowed: {start: "09:00", end: "18:00"}\n'
        '    quiet: [{start: "12:00", end: "14:00"}]\n'
        "  limits: [{cite: Handbook 3, count: effective_conversations, each: day, max: 1}]\n"
        "  pauses: [{cite: Handbook 5, after: attempt, hours: 3}]\n"
        "records:\n"
        "  call_recording: {cite: Handbook 9, keep_days_min: 2000, keep_days_max: 2500}\n"
    )
    policy = Policies(overlays_dir=folder).resolve("my-bank", "zh")
    assert {p.id for p in policy.packs} > {"my-bank", "cn-gbt45251"}
    clause = policy.clause("threat")
    assert clause.cite.endswith("Handbook 4.2")
    assert clause.review == "needs_review"  # the overlay is confirmed, the standard beneath it is not
    keys = {conflict.key: conflict.holds for conflict in policy.conflicts}
    assert keys["contact.hours"] == "my-bank"
    assert keys["contact.limits: effective_conversations per person each day"] == "my-bank"
    assert keys["records.call_recording.keep_days_min"] == "my-bank"
    assert policy.hash != Policies().resolve("cn", "zh").hash


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ("colour: red\n", "my-bank.yaml: colour: unknown key"),
        ("contact:\n  houers: {}\n", "my-bank.yaml: contact.houers: unknown key"),
        ("contact:\n  hours: {cite: c, start: '08:00'}\n", "my-bank.yaml: contact.hours.start: unknown key"),
        ("clauses:\n  threat: {cite: c, reviewed: yes}\n", "my-bank.yaml: clauses.threat.reviewed: unknown key"),
        ("records:\n  shoes: {cite: c}\n", "my-bank.yaml: records.shoes: unknown key"),
        ("contact:\n  stops:\n    asleep: {cite: c}\n", "my-bank.yaml: contact.stops.asleep: unknown key"),
        (
            'contact:\n  hours: {cite: c, allowed: {start: "08:00", end: "25:00"}}\n',
            "my-bank.yaml: contact.hours.allowed.end: is no time of day \"HH:MM\": '25:00'",
        ),
        (
            "contact:\n  hours: {cite: c, allowed: {start: 8, end: 20}}\n",
            'my-bank.yaml: contact.hours.allowed.start: is no time of day "HH:MM": 8',
        ),
        (
            'contact:\n  hours: {cite: c, allowed: {start: "08:00", end: "08:00"}}\n',
            "my-bank.yaml: contact.hours.allowed: holds no time of day: 08:00–08:00",
        ),
        (
            "contact:\n  hours:\n    cite: c\n"
            '    allowed: {start: "09:00", end: "10:00"}\n    quiet: [{start: "08:00", end: "11:00"}]\n',
            "my-bank.yaml: contact.hours: leave no time of day",
        ),
        ("contact:\n  hours: {cite: c}\n", "my-bank.yaml: contact.hours: need allowed or quiet times"),
        (
            "contact:\n  hours: {cite: c, quiet: [{start: '23:00', end: '01:00'}], unless_consent: nicely}\n",
            "contact.hours.unless_consent: is no consent that we know",
        ),
        (
            'contact:\n  hours: {cite: c, allowed: {start: "08:00", end: "22:30"}}\n',
            "my-bank.yaml: contact.hours: 22:00 is looser than cn-gbt45251 (not 22:00–08:00)",
        ),
        (
            # Written like a night shift: all of it lies where the standard forbids calls.
            'contact:\n  hours: {cite: c, allowed: {start: "22:00", end: "08:00"}}\n',
            "my-bank.yaml: contact.hours: 00:00 is looser than cn-gbt45251",
        ),
        (
            "contact:\n  limits: [{cite: c, count: effective_conversations, each: day, max: 5}]\n",
            "my-bank.yaml: contact.limits.0.max: 5 each day is looser than cn-gbt45251 (3 each day)",
        ),
        (
            "contact:\n  limits: [{cite: c, count: effective_conversations, hours: 6, max: 4}]\n",
            "my-bank.yaml: contact.limits.0.max: 4 in 6 hours is looser than cn-gbt45251 (3 each day)",
        ),
        (
            "contact:\n  limits: [{cite: c, count: attempts, max: 4}]\n",
            "my-bank.yaml: contact.limits.0: needs either each (day, week, month) or days/hours",
        ),
        (
            "contact:\n  limits: [{cite: c, count: attempts, each: day, max: three}]\n",
            "my-bank.yaml: contact.limits.0.max: should be a valid integer, not 'three'",
        ),
        (
            "contact:\n  third_parties: {cite: c, only_if_unreachable: false}\n",
            "my-bank.yaml: contact.third_parties.only_if_unreachable: false is looser than cn-gbt45251 (true)",
        ),
        (
            "records:\n  call_recording: {cite: c, keep_days_min: 90}\n",
            "my-bank.yaml: records.call_recording.keep_days_min: 90 is looser than cn-consumer-finance (1826)",
        ),
        (
            "records:\n  call_recording: {cite: c, required: false}\n",
            "my-bank.yaml: records.call_recording.required: false is looser than",
        ),
        (
            "records:\n  transcript: {cite: c, keep_days_min: 90, keep_days_max: 30}\n",
            "my-bank.yaml: records.transcript: keep_days_min is above keep_days_max",
        ),
        ("contact:\n  blackout: {cite: c, dates: [02-30]}\n", "contact.blackout.dates.0: is no day"),
        ("disclosures: [ai_disclosur]\n", "my-bank.yaml: disclosures.0: is no purpose of a script's line"),
        ("clauses:\n  threat: {review: confirmed}\n", "my-bank.yaml: clauses.threat.cite: is missing"),
        ("clauses:\n  threat: {cite: c, review: maybe}\n", "my-bank.yaml: clauses.threat.review: should be"),
        ("review: confirmed\n", "my-bank.yaml: line 9: the key 'review' stands twice"),
        ("clauses: [\n", "my-bank.yaml: line "),
        (
            'contact:\n  consent: {cite: c, required: [robot_call], allow: [{at: "noon", zones: [Asia/Shanghai]}]}\n',
            'contact.consent.allow.0.at: is no time "YYYY-MM-DD HH:MM"',
        ),
        (
            "contact:\n  consent:\n    cite: c\n    required: [robot_call]\n"
            '    allow: [{at: "2026-01-01 10:00", zones: [Mars]}]\n',
            "contact.consent.allow.0.zones.0: is no IANA time zone: 'Mars'",
        ),
    ],
)
def test_a_bad_overlay_is_named_in_one_line(write: WriteOverlay, rules: str, says: str) -> None:
    with pytest.raises(PolicyError, match=re.escape(says)) as raised:
        Policies(overlays_dir=write(rules))
    assert "\n" not in str(raised.value)
    assert "my-bank.yaml" in str(raised.value)


def test_us_overlay_values_looser_than_reg_f(write: WriteOverlay) -> None:
    for rules, says in (
        ("limits: [{cite: c, count: attempts, per: debt, days: 7, max: 10}]", "10 in 7 days is looser than us-fdcpa"),
        ("limits: [{cite: c, count: attempts, per: debt, hours: 168, max: 10}]", "10 in 168 hours is looser"),
        ("pauses: [{cite: c, after: conversation, per: debt, days: 3}]", "3 days, 0:00:00 is looser than us-fdcpa"),
        ("third_parties: {cite: c, max: 2}", "third_parties.max: 2 is looser than us-fdcpa (1)"),
    ):
        with pytest.raises(PolicyError, match=re.escape(says)):
            Policies(overlays_dir=write(f"contact:\n  {rules}\n", extends="us"))


def test_layers_that_cannot_stand(write: WriteOverlay) -> None:
    no_parent = LENDER.replace("extends: {extends}\n", "")
    for head, extends, says in (
        (LENDER, "atlantis", "my-bank.yaml: extends: unknown policy 'atlantis'"),
        (LENDER, "my-bank", "my-bank.yaml: extends: 'my-bank' extends itself"),
        (no_parent, "", "my-bank.yaml: a pack of level lender, and no other, says which policy it extends"),
        (LENDER.replace("id: my-bank", "id: cn-house"), "cn", "my-bank.yaml: id: 'cn-house' is taken"),
        (LENDER.replace("id: my-bank", "id: cn"), "cn", "my-bank.yaml: id: 'cn' is the name of a jurisdiction"),
        (LENDER.replace("id: my-bank", "id: My Bank"), "cn", "my-bank.yaml: id: must be lower-case"),
        (no_parent.replace("lender", "floor"), "", "my-bank.yaml: level: the floor is Callgate's own"),
    ):
        with pytest.raises(PolicyError, match=re.escape(says)):
            Policies(overlays_dir=write("", extends, head))


def test_policies_without_the_gate_are_the_gates_own(write: WriteOverlay) -> None:
    packs = write("")
    alone, gates = policies_in_force(packs), Gate.load(packs).policies
    for name in ("cn", "us+us-tcpa", "my-bank"):
        assert alone.resolve(name, "zh") == gates.resolve(name, "zh")


def test_a_folder_or_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="is no folder of packs"):
        Policies(overlays_dir=tmp_path / "none")
    with pytest.raises(PolicyError, match=FLOOR):
        Policies(tmp_path)
    bad = tmp_path / "bad.yaml"
    for content in (b"[]", b"", b"\xff\xfe", b"a: &a [*a]", b"x: " + b"[" * 5000, b"? [a]\n: b", b"!!python/none x"):
        bad.write_bytes(content)
        with pytest.raises(PolicyError, match=r"^bad\.yaml: [^\n]+$"):
            read_pack(bad)


def test_layout_comments_and_examples_do_not_change_the_hash(write: WriteOverlay) -> None:
    def digest(rules: str) -> str:
        return Policies(overlays_dir=write(rules)).resolve("my-bank", "zh").hash

    plain = digest("clauses:\n  threat: {cite: Handbook 4.2}\n")
    assert digest("# why\nclauses:\n  threat:\n    refuse: [我们会报警。]\n    cite: 'Handbook 4.2'\n") == plain
    assert digest("clauses:\n  threat: {cite: Handbook 4.3}\n") != plain
    assert digest("clauses:\n  threat: {cite: Handbook 4.2, review: needs_review}\n") != plain


# -- words


def test_every_category_has_a_name_in_both_languages(gate: Gate) -> None:
    said = {category for pack in SHIPPED.values() for category in pack.clauses}
    said |= {rule.category for rule in gate._rulebook.rules.values()}
    assert said <= CATEGORIES.keys()
    assert all(names["zh"] and names["en"] for names in CATEGORIES.values())


def test_what_nobody_confirmed_is_marked() -> None:
    assert marked("12 CFR 1006", "confirmed", "en") == "12 CFR 1006"
    assert "NEEDS REVIEW" in marked("12 CFR 1006", "needs_review", "en")
    assert "待核实" in marked("12 CFR 1006", "needs_review", "zh")


def test_the_pack_in_the_guide_is_complete_and_holds(tmp_path: Path, gate: Gate) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "compliance.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    (tmp_path / "my-bank.yaml").write_text(next(b for b in blocks if b.startswith("id: ")), encoding="utf-8")
    policies = Policies(None, gate._rulebook.hash, overlays_dir=tmp_path)
    outcomes = list(run_examples(policies.packs["my-bank"], Gate(gate._rulebook, policies, gate._checks)))
    assert len(outcomes) == 6
    assert [o for o in outcomes if o.problem] == []
    for pack_id in re.findall(r"`(?:…\+)?([a-z]{2}-[a-z0-9-]+)`", guide):
        assert pack_id in policies.packs or "+" in pack_id
