"""What is said about the debt must be what the ledger says: amounts, days late, the due date."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from agent.events import CallFacts
from compliance_checks.check import Finding, Sentence
from compliance_checks.dates import due_dates
from compliance_checks.numbers import Money, days_late, money_en, money_zh
from compliance_checks.policy import Policy

_AMOUNT = {"zh": "所说金额与账务记录不符。", "en": "An amount differs from the ledger."}
_CURRENCY = {"zh": "所说币种与账务记录不符。", "en": "The currency differs from the ledger."}
_DAYS = {"zh": "所说逾期天数与账务记录不符。", "en": "The days past due differ from the ledger."}
_DUE = {"zh": "所说到期日与账务记录不符。", "en": "The due date differs from the ledger."}
_LEDGER_KEY = re.compile(
    r"(?:^|_)(?:amount|amounts|payment|payments|instal+ment|instal+ments|principal|interest|balance|fee|fees"
    r"|fees_allowed|plans?)(?:_|$)"
)
_LEDGER_KEYS = frozenset(
    {"amount_due", "min_payment", "minimum_payment", "balance", "principal", "total_due", "plan_amount"}
)


# An amount that the borrower named is no claim of ours while it is being looked into or asked back.
_SAID = re.compile(
    r"(?<![跟和对给向])(?:您|你)(?:刚才|刚刚|之前|上次|是)?(?:说|提到|提及|反映|反馈|问|讲|表示|看到|收到)"
)
_LOOKED_INTO = re.compile(
    r"(?:已经|已|都|刚|上个月|上月|昨天|前天|上周|之前)?(?:还|付|转|存|交|缴|扣)(?:了|过)|写的?是|写着|显示|不一样|不一致|对不上|不对|异议|疑问"
    r"|查(?:一下|证|询|流水)?|核实|核对|备注|反馈|还是|别[给交付信]|不要[给交付信]|不用[给交付]|骗"
)
# "You have already paid fifteen hundred, is that right?": read back to be confirmed, whatever the ledger says.
_READ_BACK = re.compile(
    r"(?:您|你)(?:这边|那边)?(?:说)?(?:上次|之前|昨天|前天|上周|上个?月|已经?|刚刚?|先)*(?:还|付|转|存|交|缴)(?:了|过)"
    r"|\byou(?: say you)?(?: have| had|'ve)?(?: already| just)?(?: paid| sent| transferred| deposited)\b",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"(?:对吗|对吧|对不对|是吗|是吧|是不是|是这样吗|没错吧|没错吗|没听错吧|没有错吧|吗)[？?。!！]?\s*$"
    r"|(?:right|correct|is that (?:it|right|so|how)[^?]*|did i (?:get|hear)[^?]*)\?\s*$",
    re.IGNORECASE,
)


def _borrowers_own(text: str, start: int, end: int) -> bool:
    """True if the clause of ``text`` around ``start:end`` reports an amount that the borrower named."""
    if (paid := _READ_BACK.search(text, max(0, start - 40), start)) and start - paid.end() < 12:
        stop = min((at for mark in "。！!\n" if (at := text.find(mark, end)) >= 0), default=len(text))
        if _ASKED.search(text[end:stop]):
            return True
    low = max(text.rfind(mark, 0, start) for mark in "。！？!?\n，,；;") + 1
    said = _SAID.search(text, low, start)
    if said is None or "我" in text[said.end() : start]:
        return False
    ends = [place for mark in "。！？!?\n" if (place := text.find(mark, end)) >= 0]
    return _LOOKED_INTO.search(text, said.end(), min(ends, default=len(text))) is not None


# "If anyone asks you for ten thousand, that is not us": a sum in another's mouth, disowned in the same breath.
_OTHERS = re.compile(
    r"(?:有人|别人|谁|骗子|对方|同事|对方平台|中介|催收员?)[^。！？!?]{0,12}(?:让|叫|要|跟|向|收|说|催|骗|报)"
    r"|\b(?:if )?(?:any(?:one|body)|some(?:one|body)|a (?:caller|scammer|stranger|colleague)|my colleague|another agent"
    r"|(?:letter|message|email|text|notice) that)\b[^.!?]{0,40}"
    r"\b(?:ask|asks|asked|tell|tells|told|charge|charges|charged|want|wants|demand|demands|said|claims?)\b",
    re.IGNORECASE,
)
_DISOWNED = re.compile(
    r"不是我们|不是我行|别转|不要转|别给|不要给|别付|违规|不对|骗|报警|举报|投诉|抱歉|对不起|道歉|不属实|不是事实|错误|说错|不应该|不该"
    r"|\b(?:not us|not from us|not our|do ?n[o']t (?:pay|send|transfer|recogni[sz]e)|scam|fraud|report|wrong|sorry"
    r"|apologi[sz]e|mistake|not true|untrue|incorrect|not allowed)\b",
    re.IGNORECASE,
)
# "You were asked for 200? I don't recognise that, please don't pay it": disowned in the next breath.
_ASKED_OF_THEM = re.compile(
    r"\b(?:you (?:were|have been|had been|got) (?:asked|charged|billed|told|quoted|texted)"
    r"|(?:he|she|they|somebody|someone) (?:asked|charged|billed|quoted) you)\b[^.!?]{0,20}$"
    r"|(?:您|你)(?:说)?(?:被|收到|被人)[^。！？]{0,12}$",
    re.IGNORECASE,
)
# "It is not five thousand, the system shows 3,500": named to be put right by what the ledger says.
_NOT_BUT = re.compile(
    r"(?:不是|并非|不欠|没有)(?:欠|要还|要|还)?\s*$|\b(?:not|is ?n['o]t|do ?n[o']t(?: owe)?)\s+(?:\w+\s+){0,2}$",
    re.IGNORECASE,
)
_REMAINS = re.compile(r"剩|还差|余下|余额|再还|\b(?:left|remain\w*|leaves?|rest|still|balance)\b", re.IGNORECASE)
_MINIMUM = re.compile(
    r"最低(?:还款额?|应还|额度)?(?:也|是|为|要|得|都|您|还|付|交|可以?|只)*\s*$"
    r"|\bminimum(?: (?:payment|amount|due|you|can|have|has|gone|went|up|to|must|pay|is|was|now|today|will|be|going|just"
    r"|only|about|actually|of))*\s*\$?$",
    re.IGNORECASE,
)


def _in_anothers_mouth(text: str, start: int, end: int) -> bool:
    """True if the sentence of ``text`` around ``start:end`` tells what somebody else asked for, and disowns it; a
    question is answered by the next sentence."""
    low = max(text.rfind(mark, 0, start) for mark in "。！？!?\n") + 1
    stop = _sentence_end(text, end)
    if text[stop : stop + 1] in ("？", "?"):
        stop = _sentence_end(text, stop + 1)
    return bool(_OTHERS.search(text, low, start) and _DISOWNED.search(text, low, stop))


def _sentence_end(text: str, at: int) -> int:
    return min((place for mark in "。！？!?\n" if (place := text.find(mark, at)) >= 0), default=len(text))


def decimal_of(value: object) -> Decimal | None:
    """A money value of the case file as ``Decimal``: a decimal string or a number, never a sentence."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    text = str(value).strip().replace(",", "")
    if not re.fullmatch(r"\d{1,12}(?:\.\d{1,4})?", text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def amounts_of(case: Mapping[str, Any]) -> set[Decimal]:
    """Every amount that the case file allows to be said."""
    found: set[Decimal] = set()
    for key, value in case.items():
        if not isinstance(key, str) or not _LEDGER_KEY.search(key):
            continue
        stack: list[object] = [value]
        while stack:
            entry = stack.pop()
            if isinstance(entry, Mapping):
                stack.extend(v for k, v in entry.items() if k != "name")
            elif isinstance(entry, list | tuple):
                stack.extend(entry)
            elif (amount := decimal_of(entry)) is not None:
                found.add(amount)
    return found


def has_ledger(case: Mapping[str, Any]) -> bool:
    return any(decimal_of(case.get(key)) is not None for key in _LEDGER_KEYS)


class Amounts:
    def findings(self, sentence: Sentence, facts: CallFacts, policy: Policy) -> Iterator[Finding]:
        # Without any ledger amount there is nothing to compare with here; Gate.approve refuses such a line.
        if facts.party != "borrower":
            return
        said = [
            money
            for reading in sentence.readings
            for money in (money_zh(reading.view) if reading.lang == "zh" else money_en(reading.view))
        ]
        if said and has_ledger(facts.case):
            allowed = amounts_of(facts.case)
            currency = facts.case.get("currency")
            for money in said:
                if not _stands(money, said, sentence.original, facts.case, allowed):
                    yield Finding("ledger.amount_mismatch", "amount", money.start, money.end, explanation=_AMOUNT)
                elif money.currency and isinstance(currency, str) and money.currency != currency.upper():
                    yield Finding("ledger.currency_mismatch", "amount", money.start, money.end, explanation=_CURRENCY)


def _stands(
    money: Money, said: Sequence[Money], text: str, case: Mapping[str, Any], allowed: Container[Decimal]
) -> bool:
    """True if the ledger bears ``money`` out, or it is no claim of ours."""
    before = text[max(0, money.start - 40) : money.start]
    least = decimal_of(case.get("min_payment"))
    if money.amount in allowed:
        return least is None or money.amount == least or not _MINIMUM.search(before)
    if _borrowers_own(text, money.start, money.end) or _in_anothers_mouth(text, money.start, money.end):
        return True
    if _ASKED_OF_THEM.search(before) and _DISOWNED.search(text, money.end):
        return True
    due = decimal_of(case.get("amount_due"))
    others = [one.amount for one in said if one.start != money.start]
    if due is not None and _REMAINS.search(text) and any(due - one == money.amount for one in others if one in allowed):
        return True
    return (due in others or _said_bare(text, money.end, due)) and _NOT_BUT.search(before) is not None


def _said_bare(text: str, at: int, due: Decimal | None) -> bool:
    """True if ``due`` is written behind ``at`` in digits, without a word for money."""
    numbers = re.findall(r"(?<![\d.])\d[\d,]*(?:\.\d+)?", text[at:])
    return due is not None and any(decimal_of(one.rstrip(",")) == due for one in numbers)


class Days:
    def findings(self, sentence: Sentence, facts: CallFacts, policy: Policy) -> Iterator[Finding]:
        known = facts.case.get("days_past_due")
        if facts.party != "borrower" or known is None:
            return
        try:
            days = int(known)
        except (TypeError, ValueError):
            days = -1
        for reading in sentence.readings:
            for count, unit, start, end in days_late(reading.view, reading.lang):
                if _in_anothers_mouth(sentence.original, start, end):
                    continue
                if not (days == count if unit == 1 else abs(days - count * unit) < unit / 2):
                    yield Finding("ledger.days_mismatch", "amount", start, end, explanation=_DAYS)


class DueDate:
    def findings(self, sentence: Sentence, facts: CallFacts, policy: Policy) -> Iterator[Finding]:
        if facts.party != "borrower":
            return
        known = _date_of(facts.case.get("due_date"))
        if known is None:
            return
        others = {_date_of(v) for k, v in facts.case.items() if isinstance(k, str) and "date" in k} - {None}
        for reading in sentence.readings:
            for said, start, end in due_dates(reading):
                if not any(said.matches(day) for day in (known, *others) if day is not None):
                    yield Finding("ledger.due_date_mismatch", "amount", start, end, explanation=_DUE)


def _date_of(value: object) -> date | None:
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value.strip()[:10])
        except ValueError:
            return None
    return None
