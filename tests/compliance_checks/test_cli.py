"""``callgate check``: JSON lines in, JSON lines out."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from agent.events import CallFacts
from compliance_checks import Gate
from compliance_checks.cli import MAX_LINE, run
from compliance_checks.commands import check as check_command
from compliance_checks.commands import policy_app
from compliance_checks.explain import explain
from compliance_checks.policy import Policies
from compliance_checks.semantic.load import load_model

app = typer.Typer()
app.command()(check_command)
app.add_typer(policy_app, name="policy")


def check(gate: Gate, *lines: Any, policy: str | None = None) -> tuple[int, list[dict[str, Any]], str]:
    source = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    out, err = io.StringIO(), io.StringIO()
    status = run(io.StringIO(source), out, err, policy, gate)
    return status, [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()


def over(gate: Gate, packs: Path | None) -> Gate:
    """The gate with an operator's packs over those that ship, and none of the packs that another test added."""
    return Gate(gate._rulebook, Policies(None, gate._rulebook.hash, overlays_dir=packs), gate._checks, gate._last)


GOOD = {"text": "您好，请问您方便吗？", "lang": "zh", "party": "unverified"}
BAD = {"text": "我们会报警抓你。", "lang": "zh", "party": "borrower"}


def test_all_allowed(gate: Gate) -> None:
    status, answers, err = check(gate, GOOD, "", GOOD)
    assert (status, err) == (0, "")
    assert [a["decision"] for a in answers] == ["allow", "allow"]
    assert answers[0]["text"] == GOOD["text"]
    assert answers[0]["rules"] == []


def test_a_violation_is_explained(gate: Gate) -> None:
    status, answers, _ = check(gate, GOOD, BAD)
    assert status == 1
    hit = answers[1]["rules"][0]
    assert hit.keys() >= {"id", "category", "clause", "start", "end"}
    assert BAD["text"][hit["start"] : hit["end"]]
    assert answers[1]["text"] == ""


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        "3",
        "{}",
        '{"text": 3, "lang": "zh", "party": "borrower"}',
        '{"text": "x", "lang": "fr", "party": "borrower"}',
        '{"text": "x", "lang": ["zh"], "party": "borrower"}',
        '{"text": "x", "lang": "zh", "party": "me"}',
        '{"text": "x", "lang": "zh", "party": "borrower", "facts": []}',
        '{"text": "x", "lang": "zh", "party": "borrower", "policy": 1}',
        '{"text": "x", "lang": "zh", "party": "borrower", "text": "y"}',
        '{"text": "x", "lang": "zh", "party": "borrower", "facts": {"note": 1, "note": 2}}',
        "[" * 100_000,
    ],
)
def test_a_bad_line_is_named_and_the_next_is_read(gate: Gate, line: str) -> None:
    status, answers, err = check(gate, GOOD, line, BAD)
    assert status == 2
    assert answers[1].keys() == {"error", "line"}
    assert answers[1]["line"] == 2
    assert answers[2]["decision"] == "refuse"
    assert "line 2" in err
    assert err.count("\n") == 1


def test_policy_default_and_unknown(gate: Gate) -> None:
    _, answers, _ = check(gate, BAD, {**BAD, "policy": "us"}, policy="in")
    assert "RBI" in answers[0]["rules"][0]["clause"]
    assert "U.S.C." in answers[1]["rules"][0]["clause"]
    status, answers, _ = check(gate, {**GOOD, "policy": "moon"})
    assert status == 1
    assert answers[0]["rules"][0]["id"] == "gate.unknown_policy"


def test_lone_surrogates_do_not_break_the_stream(gate: Gate) -> None:
    status, answers, _ = check(gate, '{"text": "\\ud800您好", "lang": "zh", "party": "borrower"}', GOOD)
    assert status == 1
    assert [a["decision"] for a in answers] == ["refuse", "allow"]


def piped(gate: Gate, raw: bytes, **options: Any) -> tuple[int, list[dict[str, Any]], str]:
    out, err = io.StringIO(), io.StringIO()
    status = run(io.TextIOWrapper(io.BytesIO(raw), encoding="ascii"), out, err, None, gate, **options)
    return status, [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()


def row(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}, ensure_ascii=False).encode() + b"\n"


def test_bytes_that_are_no_text_are_one_bad_line(gate: Gate) -> None:
    status, answers, err = piped(gate, row() + b"\xff\xfe\n" + b'{"text": "\x80"}\n' + row())
    assert status == 2
    assert [a.get("decision") for a in answers] == ["allow", None, None, "allow"]
    assert [a.get("line") for a in answers] == [None, 2, 3, None]
    assert "UTF-8" in answers[1]["error"]
    assert err.count("\n") == 2


def test_a_huge_line_is_named_and_passed_over_in_bounded_memory(gate: Gate) -> None:
    class Source(io.RawIOBase):
        """A line of 64 MiB that nobody ever holds as a whole."""

        def __init__(self) -> None:
            self.left = 1 << 26
            self.largest = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            self.largest = max(self.largest, size or 0)
            assert size is not None
            assert size > 0
            if self.left == 0:
                return b""
            if self.left > 0:
                piece = min(size, self.left)
                self.left -= piece
                return b"x" * piece if self.left else b"x" * (piece - 1) + b"\n"
            return b""

    class Stream(io.StringIO):
        buffer = Source()

    out, err = io.StringIO(), io.StringIO()
    assert run(Stream(), out, err, None, gate) == 2
    assert [json.loads(line) for line in out.getvalue().splitlines()] == [
        {"error": "longer than 1048576 bytes", "line": 1}
    ]
    assert Stream.buffer.largest <= MAX_LINE + 1
    status, answers, _ = piped(gate, row(text="您" * (MAX_LINE // 3)) + row())
    assert (status, [a.get("decision") for a in answers]) == (2, [None, "allow"])


def test_odd_but_usable_input(gate: Gate) -> None:
    status, answers, _ = piped(
        gate, b"\xef\xbb\xbf" + row() + b"\r\n \n" + row().replace(b"\n", b"\r\n") + row().rstrip()
    )
    assert (status, [a["decision"] for a in answers]) == (0, ["allow"] * 3)
    for text in ("", " ", "\x00", "\x1b[31m", "您" * 3000, "𝕳𝖊𝖑𝖑𝖔", "\u202e\u2066"):
        status, answers, err = piped(gate, row(text=text))
        assert (status, err) == (1, ""), text
        assert answers[0]["decision"] == "refuse"
        assert answers[0]["rules"][0]["explanation"]["zh"]


@pytest.mark.parametrize(
    "case",
    [
        {"amount_due": [1]},
        {"amount_due": {"a": {"b": []}}},
        {"amount_due": 1e308, "currency": 7},
        {"amount_due": "three"},
        {"borrower_name": {"first": "张"}},
        {"fees_allowed": {"late_fee": [[]]}},
        {"fees_allowed": 3},
        {"due_date": 20261115},
        {"days_past_due": "six", "lawsuit_filed": "true"},
        {"note": "x" * 100_000},
        {"": None, "\ud800": "\udfff"},
    ],
)
def test_facts_of_any_shape_are_answered(gate: Gate, case: dict[str, Any]) -> None:
    for text in ("您应还三千五百元，到期日是十一月十五日，逾期六天。", "我们已经起诉，另有滞纳金。"):
        status, answers, err = check(gate, {"text": text, "lang": "zh", "party": "borrower", "facts": case})
        assert status in (0, 1)
        assert err == ""
        assert answers[0]["decision"] in ("allow", "refuse")
    assert answers[0]["decision"] == "refuse"  # a lawsuit that the case file does not literally state


def test_an_id_comes_back(gate: Gate) -> None:
    _, answers, _ = check(
        gate, {**GOOD, "id": "zh0001"}, {**BAD, "id": 7}, {**GOOD, "id": ["x"]}, {**GOOD, "id": "\ud800"}
    )
    assert [a.get("id") for a in answers] == ["zh0001", 7, None, "\ud800"]


def test_answers_come_as_the_lines_do(gate: Gate) -> None:
    asked: list[str] = []

    class Out(io.StringIO):
        def flush(self) -> None:
            asked.append("answer")

    def lines() -> Iterator[bytes]:
        for _ in range(3):
            asked.append("line")
            yield row()

    class Source(io.RawIOBase):
        feed = lines()

        def readline(self, _size: int | None = -1, /) -> bytes:
            return next(self.feed, b"")

    class Stream(io.StringIO):
        buffer = Source()

    assert run(Stream(), Out(), io.StringIO(), None, gate) == 0
    assert asked == ["line", "answer"] * 3


def test_a_thousand_lines_with_bad_ones_among_them(gate: Gate) -> None:
    bad = [b"{", b"\xff", b"[1]", b'{"text": 1}', b'{"text": "x", "lang": "zh", "party": "nobody"}']
    rows = [row() if n % 10 else bad[n // 10 % 5] + b"\n" for n in range(1000)]
    status, answers, err = piped(gate, b"".join(rows))
    assert status == 2
    assert len(answers) == 1000
    assert [a["line"] for a in answers if "error" in a] == list(range(1, 1001, 10))
    assert err.count("\n") == 100


def test_an_unknown_default_policy_is_unusable(gate: Gate) -> None:
    out, err = io.StringIO(), io.StringIO()
    assert run(io.StringIO(json.dumps(GOOD)), out, err, "moon", gate) == 2
    assert (out.getvalue(), err.getvalue()) == ("", "callgate check: --policy: unknown policy 'moon'\n")


# -- in words


def test_an_officer_reads_why_in_her_language(gate: Gate) -> None:
    said = {"text": "You can expect a visit from the police.", "lang": "en", "party": "borrower"}
    out, err = io.StringIO(), io.StringIO()
    assert run(io.StringIO(json.dumps(said)), out, err, None, gate, "zh") == 1
    page = out.getvalue()
    assert page.startswith("拒绝：“You can expect a visit from the police.”")
    assert "威胁恐吓（threat.police）" in page
    assert "以报警、公安或司法机关相威胁。" in page
    assert "15 U.S.C. 1692d(1)" in page
    assert "【待核实" in page
    out = io.StringIO()
    run(io.StringIO(json.dumps(said)), out, err, None, gate, "en")
    assert "Threatens with the police" in out.getvalue()
    assert "NEEDS REVIEW" in out.getvalue()


def test_words_say_where_and_what_instead(gate: Gate) -> None:
    text = "您好，我们会报警的。"
    verdict = gate.judge(text, CallFacts("zh", "borrower"))
    hit = verdict.rules[0]
    page = explain(text, verdict, "zh", "cn")
    assert f"“{text[hit.start : hit.end]}”（第 {hit.start + 1}–{hit.end} 字）" in page
    assert f"策略：cn（{verdict.policy_hash[:12]}）" in page
    denied = gate.judge("我不是机器人。", CallFacts("zh", "borrower"))
    assert f"改说：“{denied.text}”" in explain("我不是机器人。", denied, "zh")
    assert f"Said instead: “{denied.text}”" in explain("我不是机器人。", denied, "en")
    assert explain("您好", gate.judge("您好", CallFacts("zh")), "en").startswith("Allowed: “您好”")


def test_words_carry_nothing_that_a_terminal_obeys(gate: Gate) -> None:
    nasty = "\x1b[2J\u202e报警\ud800\n抓你"
    page = explain(nasty, gate.judge(nasty, CallFacts("zh", "borrower")), "zh", "\x1b]0;x")
    assert all(char.isprintable() or char == "\n" for char in page)
    page.encode()


# -- the program


Program = Callable[..., tuple[int, str, str]]


@pytest.fixture
def program(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Runs the program with the rules read once for all tests."""

    def load(packs: Path | None = None, semantic: str = "embedded") -> Gate:
        if semantic not in ("embedded", "none"):
            load_model(semantic)
        return over(gate, packs)

    def run_it(*arguments: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, list(arguments))
        return result.exit_code, result.stdout, result.stderr

    monkeypatch.setattr(Gate, "load", load)
    return run_it


def test_one_sentence_on_the_command_line(program: Program) -> None:
    status, out, _ = program("check", "--text", "再不还钱我们就报警抓你。")
    assert (status, out.split("：")[0]) == (1, "拒绝")
    status, out, _ = program("check", "--text", "Good morning.", "--policy", "uk")
    assert (status, out.split(":")[0]) == (0, "Allowed")
    status, out, _ = program("check", "--text", "您有一笔欠款。", "--party", "voicemail", "--explain", "en")
    assert status == 1
    assert "debt told to somebody else" in out
    status, out, _ = program("check", "--text", "我们已经起诉。", "--facts", '{"lawsuit_filed": true}', "--json")
    assert (status, json.loads(out)["decision"]) == (0, "allow")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("check", "--text", "x", "--lang", "fr"), "--lang must be zh or en, not 'fr'"),
        (("check", "--text", "x", "--party", "me"), "party must be"),
        (("check", "--text", "x", "--facts", "{"), "--facts is not JSON"),
        (("check", "--text", "x", "--facts", "[]"), "facts must be an object"),
        (("check", "--text", "x", "--policy", "moon"), "unknown policy 'moon'"),
        (("check", "--policy", "moon"), "unknown policy 'moon'"),
        (("check", "--explain", "fr"), "--explain must be zh or en"),
        (("check", "--packs", "/no/such/folder"), "/no/such/folder: is no folder of packs"),
        (("check", "--semantic", "/no/such.npz"), "/no/such.npz: there is no semantic model"),
        (("policy", "show", "moon"), "unknown policy 'moon'"),
        (("policy", "check", "/no/such/pack.yaml"), "pack.yaml: cannot be read: No such file or directory"),
    ],
)
def test_what_the_program_cannot_use_is_one_line_and_status_2(
    program: Program, arguments: tuple[str, ...], says: str
) -> None:
    status, out, err = program(*arguments)
    assert (status, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


def test_policies_can_be_read_without_code(program: Program) -> None:
    status, out, _ = program("policy", "show", "us")
    assert status == 0
    for words in (
        "at most 7 call attempts per debt in 7 days",
        "12 CFR 1006.14(b)(2)(i)(A)",
        "NEEDS REVIEW",
        "08:00–21:00",
    ):
        assert words in out
    status, out, _ = program("policy", "show", "cn-house", "--lang", "zh")
    for words in ("每天每人有效通话不超过 3 次", "仅工作日", "【待核实", "以 cn-house 为准", "威胁恐吓"):
        assert words in out
    status, out, _ = program("policy", "show", "cn-house", "--json")
    document = json.loads(out)
    assert document["conflicts"][0]["holds"] == "cn-house"
    assert "refuse" not in document["packs"][1]["clauses"]["privacy"]
    status, out, _ = program("policy", "list", "--json")
    rows = {row["id"]: row for row in json.loads(out)}
    assert rows["cn-gbt45251"]["needs_review"] == rows["cn-gbt45251"]["rules"] > 0
    assert "GB/T 45251-2025" in program("policy", "list", "--lang", "zh")[1]


def test_an_operators_pack_is_checked_with_its_examples(program: Program, tmp_path: Path) -> None:
    pack = tmp_path / "mine.yaml"
    head = (
        "id: mine\njurisdiction: mine\nlevel: lender\nextends: cn\ntitle: {zh: 我, en: mine}\nsource: s\n"
        "source_kind: house\nreview: needs_review\n"
    )
    pack.write_text(
        head + "clauses: {threat: {cite: c, refuse: [我们会报警抓你。], allow: [您好。]}}\n", encoding="utf-8"
    )
    status, out, _ = program("policy", "check", str(pack))
    assert status == 0
    assert "mine: 2 examples, 0 failed" in out
    assert "needs review: clauses.threat" in out
    pack.write_text(head + "clauses: {threat: {cite: c, refuse: [您好。]}}\n", encoding="utf-8")
    status, out, _ = program("policy", "check", str(pack))
    assert status == 1
    assert "FAILED clauses.threat: '您好。' must be refused but is allowed" in out
    status, out, _ = program("policy", "check", "--packs", str(tmp_path), "--json", str(pack))
    assert (status, json.loads(out)[0]["pack"]) == (1, "mine")
    status, out, _ = program("check", "--packs", str(tmp_path), "--policy", "mine", "--text", "我们会报警抓你。")
    assert status == 1
    assert "策略：mine" in out
    pack.write_text(head + "clauses: {threat: {cited: c}}\n", encoding="utf-8")
    status, _, err = program("policy", "check", str(pack))
    assert (status, err) == (2, "callgate policy: mine.yaml: clauses.threat.cite: is missing\n")


def test_the_model_beside_the_rules_can_be_left_out() -> None:
    sentence = ("check", "--text", "Good morning.", "--json")
    with_model, without = (
        json.loads(CliRunner().invoke(app, [*sentence, "--semantic", name]).stdout) for name in ("embedded", "none")
    )
    assert with_model["decision"] == without["decision"] == "allow"
    assert with_model["policy_hash"] != without["policy_hash"], "a verdict says which of the two judged"
