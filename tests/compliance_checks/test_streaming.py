"""A reply in pieces: the same lines for every cutting, no prefix that could still turn, nothing round the gate."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.events import CallFacts, Lang, Proposed, Verdict
from compliance_checks import Gate, is_approved
from compliance_checks.approved import ApprovedLine
from compliance_checks.gate import MAX_TEXT
from compliance_checks.streaming import StreamingGate

GATE = Gate.load()
DONE = frozenset({"ai_disclosure", "recording_disclosure"})
CASE = {"amount_due": "3500.00", "currency": "CNY", "lender": "安心银行", "borrower_name": "张伟"}
CASE_EN = {"amount_due": "3500.00", "currency": "USD", "lender": "Anxin Bank", "borrower_name": "James Wilson"}
QUICK = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
REPLIES: list[tuple[Lang, str]] = [
    ("zh", "我理解您现在的难处。请问您打算什么时候还款？我们可以一起看看分期。"),
    ("zh", "您好，谢谢您接听。再不还钱我们就报警抓你。谢谢您的配合。"),
    ("zh", "我们不会报警。您可以放心，我们也不会联系您的家人。"),
    ("zh", "有些骗子会说：“再不还钱就抓你！你等着。”我们绝不会这样说。"),
    ("zh", "报。警。抓。你。"),
    ("zh", "您应还三千五百元。您可以在手机应用里还款。\n\n祝您生活愉快！"),
    ("en", "I understand that this is hard. When do you plan to pay? We can look at a plan together."),
    ("en", "Thank you, Mr. Wilson. The amount is $3,500.00 today. We will have you arrested. Goodbye."),
    ("en", "We will not call the police. You may complain to the regulator at any time."),
    ("en", 'Some callers say "Pay or we will tell your boss. Today!" and that is not allowed.'),
    ("en", "We will call the police. Just kidding, we will not do that."),
]


def facts(lang: Lang) -> CallFacts:
    return CallFacts(lang, "borrower", None, CASE if lang == "zh" else CASE_EN, DONE)


def run(lang: Lang, pieces: list[str]) -> tuple[list[str], Verdict | None]:
    stream = StreamingGate(GATE, facts(lang))
    lines = [line for piece in pieces for line in stream.feed(piece)]
    lines += stream.close()
    assert all(is_approved(line) for line in lines)
    return [line.text for line in lines], stream.refusal


def cut(text: str, at: list[int]) -> list[str]:
    marks = [0, *sorted(at), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(marks)]


@QUICK
@given(st.data(), st.sampled_from(REPLIES))
def test_every_cutting_gives_the_same_lines_and_verdict(data: st.DataObject, reply: tuple[Lang, str]) -> None:
    lang, text = reply
    at = data.draw(st.lists(st.integers(0, len(text)), max_size=12))
    assert run(lang, cut(text, at)) == run(lang, [text]) == run(lang, list(text))


@QUICK
@given(st.text(max_size=120), st.sampled_from(["zh", "en"]), st.lists(st.integers(0, 120), max_size=8))
def test_any_text_at_all_never_raises_and_is_cut_invariant(text: str, lang: Lang, at: list[int]) -> None:
    whole = run(lang, [text])
    assert run(lang, cut(text, [min(i, len(text)) for i in at])) == whole
    if whole[1] is None and whole[0]:
        assert GATE.judge(text, facts(lang)).decision == "allow" or len(whole[0]) == 1


@pytest.mark.parametrize(("lang", "text"), REPLIES)
def test_what_comes_out_is_a_prefix_that_the_gate_allows(lang: Lang, text: str) -> None:
    stream = StreamingGate(GATE, facts(lang))
    lines = [line for char in text for line in stream.feed(char)]
    lines += stream.close()
    assert text.startswith(stream.released)
    if lines:
        assert GATE.judge(stream.released, facts(lang)).decision == "allow"
    assert (stream.refusal is None) == (stream.released.strip() == text.strip())
    if GATE.judge(text, facts(lang)).decision != "allow":
        assert stream.refusal is not None


def test_a_sentence_waits_for_its_end() -> None:
    stream = StreamingGate(GATE, facts("zh"))
    assert stream.feed("我们不会") == ()
    assert stream.feed("报警") == ()
    assert stream.feed("，请您放心。") == ()  # a closing quotation mark could still follow
    (line,) = stream.feed("请")
    assert line.text == "我们不会报警，请您放心。"
    assert isinstance(line, ApprovedLine)


def test_a_later_word_cannot_turn_what_was_said() -> None:
    """``我们会报`` is no violation yet, ``We will not`` no promise: neither may leave before its sentence is whole."""
    for lang, begin in (("zh", "我们会报"), ("en", "We will ")):
        stream = StreamingGate(GATE, facts(lang))  # type: ignore[arg-type]
        assert stream.feed(begin) == ()
        assert stream.feed("警抓你。好" if lang == "zh" else "have you arrested. So") == ()
        assert stream.refusal is not None


def test_after_a_refusal_nothing_comes_out() -> None:
    stream = StreamingGate(GATE, facts("zh"))
    first = stream.feed("谢谢您接听电话。再不还钱我们就报警抓你。谢谢您的配合。祝您生活愉快。")
    assert [line.text for line in first] == ["谢谢您接听电话。"]
    assert stream.refusal is not None
    assert {hit.category for hit in stream.refusal.rules} & {"threat"}
    assert stream.feed("请问您方便吗？好的。") == ()
    assert stream.close() == ()


@pytest.mark.parametrize("piece", [None, 7, b"bytes", "\ud800你好，请问您方便吗？", "您好" * MAX_TEXT])
def test_what_cannot_be_judged_stops_the_stream(piece: object) -> None:
    stream = StreamingGate(GATE, facts("zh"))
    assert [*stream.feed(piece), *stream.feed("请问您方便吗？好的。"), *stream.close()] == []
    assert stream.refusal is not None
    assert stream.refusal.decision != "allow"


def test_disclosures_come_first() -> None:
    stream = StreamingGate(GATE, CallFacts("zh", "borrower", None, CASE))
    assert [*stream.feed("请问您打算什么时候还款？"), *stream.close()] == []
    assert stream.refusal is not None
    assert "disclosure.missing" in {hit.id for hit in stream.refusal.rules}


def test_closed_is_closed() -> None:
    stream = StreamingGate(GATE, facts("zh"))
    stream.feed("请问您打算什么时候还款？")
    assert len(stream.close()) == 1
    assert stream.close() == ()
    with pytest.raises(ValueError, match="closed"):
        stream.feed("好")


class _Liar:
    """A stand-in for the gate that allows everything."""

    def approve(self, proposed: Proposed, facts: CallFacts) -> tuple[Verdict, object]:
        forged = object.__new__(ApprovedLine)
        object.__setattr__(forged, "text", proposed.text)
        return Verdict("allow", proposed.text), forged

    def judge(self, text: str, facts: CallFacts) -> Verdict:
        return Verdict("allow", text)


def test_a_stream_over_another_gate_releases_nothing() -> None:
    stream = StreamingGate(_Liar(), facts("zh"))  # type: ignore[arg-type]
    stream.feed("再不还钱我们就报警抓你。")
    with pytest.raises(TypeError):
        stream.close()


def test_inner_state_cannot_make_a_line() -> None:
    """Even with its private fields set by force, a stream asks the gate for every line."""
    stream = StreamingGate(GATE, facts("zh"))
    stream._segment = list("再不还钱我们就报警抓你。")
    stream._refusal = None
    assert stream.close() == ()
    assert stream.refusal is not None
