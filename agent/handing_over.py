"""Handing a person over to a human: what the human is told first, in a few sentences of our own.

Who it is and whether that was verified, why they are handed over, what they said of their troubles, what was agreed.
The summary passes the gate like any line: a colleague of the lender may hear what the verified borrower may, no more.
One that the gate refuses is replaced by a sentence without particulars, and a reviewer is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal

from agent.case import CaseFile
from agent.dialogue_types import State
from agent.errors import SpeechError
from agent.events import CallFacts, Lang, Proposed, Verdict
from agent.speech.cache import PromptCache
from agent.speech.speaker import VoiceStyle
from agent.telephony.whisper import Whisper
from compliance_checks.approved import ApprovedLine
from compliance_checks.gate import Gate
from scripts.errors import RenderError
from scripts.render import day, money, number_en, number_zh
from scripts.schema import MANDATORY
from sentiment.labels import INTENTS

log = logging.getLogger(__name__)

SUMMARY, PLAIN = "handoff_summary", "handoff_plain"
TROUBLES = (
    "hardship", "already_paid", "dispute_amount", "dispute_debt", "complain", "request_plan", "suspect_scam", "abuse",
)  # fmt: skip
"""What a human should know was said, in this order."""
REASONS: Mapping[str, Mapping[str, str]] = {
    "crisis": {"zh": "对方可能有危险，请先关心对方的安全", "en": "the person may be in danger, look after them first"},
    "request_human": {"zh": "对方要求人工服务", "en": "the person asked for a human"},
    "complaint": {"zh": "对方要投诉", "en": "the person has a complaint"},
    "hardship": {"zh": "对方有经济困难", "en": "the person is in hardship"},
    "request_plan": {"zh": "对方想商量还款安排", "en": "the person would like another arrangement"},
    "no_plan_agreed": {"zh": "没有谈成还款安排", "en": "no arrangement was agreed"},
    "no_date_agreed": {"zh": "没有谈成还款日期", "en": "no date was agreed"},
    "no_amount_agreed": {"zh": "没有谈成还款金额", "en": "no amount was agreed"},
    "not_verified": {"zh": "身份没有核实成功", "en": "the identity could not be verified"},
    "not_heard": {"zh": "线路听不清", "en": "the line is hard to understand"},
    "not_understood": {"zh": "语音助手没有听懂", "en": "the assistant did not understand"},
    "line_refused": {"zh": "语音助手不能继续", "en": "the assistant cannot go on"},
    "too_long": {"zh": "通话时间过长", "en": "the call took too long"},
}


def summary(
    case: CaseFile, state: State, reason: str, promise: tuple[date, Decimal] | None, today: date, *, key: str = ""
) -> str:
    """What the human is told. ``key`` is what they press to take the person, where the carrier wants one.

    Raises ``RenderError`` for a value that cannot be spoken.
    """
    lang = state.lang
    zh = lang == "zh"
    name = case.borrower_name
    parts = []
    if state.party == "borrower":
        parts.append(f"转接来电，{name}，身份已核实" if zh else f"Hand-over: {name}, identity verified")
    elif state.party == "third_party":
        parts.append(
            "转接来电，接电话的不是本人，请不要透露任何信息" if zh
            else "Hand-over: this is not the person we asked for, please disclose nothing"
        )  # fmt: skip
    else:
        parts.append("转接来电，身份未核实，请先核实" if zh else "Hand-over: not verified, please verify first")
    known = REASONS.get(reason)
    if known is None and reason in INTENTS:
        known = INTENTS[reason].name
    if known is not None:
        parts.append(f"原因是{known[lang]}" if zh else f"The reason: {known[lang]}")
    said = [INTENTS[each].name[lang] for each in TROUBLES if each != reason and state.count(each)]
    if said and state.party == "borrower":
        parts.append(f"通话中还涉及{'、'.join(said)}" if zh else f"Also mentioned: {', '.join(said).lower()}")
    if promise is not None and state.party == "borrower":
        when, amount = day(promise[0], today, lang), money(f"{promise[1]:.2f}", case.currency, lang)
        parts.append(f"对方承诺{when}还{amount}" if zh else f"Promised {amount} on {when}")
    if key:
        parts.append(f"请按{_key(key, lang)}接听" if zh else f"Press {_key(key, lang)} to take the call")
    return "".join(f"{part}。" if zh else f"{part}. " for part in parts).strip()


def plain(lang: Lang, *, key: str = "") -> str:
    """The summary without particulars."""
    if lang == "zh":
        return "转接来电，请先核实身份。" + (f"请按{_key(key, lang)}接听。" if key else "")
    return "Hand-over, please verify first." + (f" Press {_key(key, lang)} to take the call." if key else "")


def _key(key: str, lang: Lang) -> str:
    return number_zh(int(key)) if lang == "zh" else number_en(int(key))


def approved(
    gate: Gate,
    case: CaseFile,
    state: State,
    reason: str,
    promise: tuple[date, Decimal] | None,
    today: date,
    *,
    key: str = "",
) -> tuple[ApprovedLine | None, list[tuple[Proposed, Verdict]]]:
    """The line to whisper (``None``: nothing may be said), and every verdict on the way to it."""
    # Towards a colleague nothing is left to disclose: the mandatory notices are for the borrower's ear.
    facts: CallFacts = replace(state.facts(case), party="borrower", purposes_done=MANDATORY)
    verdicts = []
    for line_id in (SUMMARY, PLAIN):
        try:
            text = (
                summary(case, state, reason, promise, today, key=key)
                if line_id == SUMMARY
                else plain(state.lang, key=key)
            )
        except RenderError:
            continue
        proposed = Proposed(line_id, text, state.lang, interruptible=False)
        verdict, line = gate.approve(proposed, facts)
        verdicts.append((proposed, verdict))
        if line is not None:
            return line, verdicts
    return None, verdicts


async def whisper(line: ApprovedLine, cache: PromptCache, style: VoiceStyle) -> Whisper | None:
    """``line`` as sound; ``None`` where the voice fails: the hand-over matters more than the whisper."""
    try:
        return Whisper(line, await asyncio.to_thread(cache.get, line, style))
    except SpeechError as e:
        log.error("a whisper could not be spoken: %s", type(e).__name__)
        return None
