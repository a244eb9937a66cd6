# ruff: noqa: E501 - tables of phrases
"""Which voice of a recorded call is the agent's: by what each says, for the recording itself does not tell.

Evidence is counted in nats and summed: set phrases of either side, who asks, who says "you" and who says "I", and who
answers the telephone. Weights are our own judgement, tuned on no call; the confidence says how far the two sides lie
apart, and whatever must not happen to an employee (reading emotion) waits for it to be high.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from agent.events import Lang

Role = Literal["agent", "borrower"]

SURE = 0.8
"""Confidence from which the roles are relied on."""
_PHRASE, _PRONOUN, _QUESTION, _ANSWERS_FIRST, _HOUSE_CHANNEL = 1.2, 0.15, 0.15, 0.4, 0.7
_MOST_PHRASES, _MOST_COUNTED = 4, 8

_AGENT: dict[Lang, re.Pattern[str]] = {
    "zh": re.compile(
        r"这里是|(?:我|这边)(?:们)?是.{1,10}(?:公司|银行|金融|客服|中心)|工号|(?:通话|电话).{0,4}录音|您的?(?:贷款|借款|账单|欠款)"
        r"|提醒您|(?:逾期|拖欠)了?.{0,4}天|应还|还款日|请问(?:您)?(?:是|什么时候|哪天|今天)|核实.{0,4}(?:身份|信息)|身份证.{0,3}后四位"
        r"|给您.{0,6}(?:转接|登记|备注|申请)|感谢您的(?:配合|接听)|祝您生活愉快|有什么可以帮"
    ),
    "en": re.compile(
        r"\bcalling (?:from|on behalf|about|regarding)\b|\bthis call (?:is|may be|will be)\b|\bcall (?:is|may be) (?:being )?recorded\b"
        r"|\bam i speaking (?:with|to)\b|\bmay i speak\b|\byour (?:account|loan|payment|balance) (?:is|was|of|has)\b|\bpast due\b"
        r"|\bdays? (?:late|overdue)\b|\bwhen (?:can|could|will) you (?:pay|make)\b|\blast four (?:digits)?\b|\bverify your\b"
        r"|\bhow (?:can|may) i help\b|\bthank you for (?:calling|your time|holding)\b|\btransfer you\b|\bcustomer service\b"
        r"|\bhave a (?:nice|good|great) day\b|\bon (?:my|your) (?:file|record)\b|\battempt to collect\b"
    ),
}
_BORROWER: dict[Lang, re.Pattern[str]] = {
    "zh": re.compile(
        r"我(?:就)?没(?:有)?钱|我.{0,6}(?:失业|生病|住院|被裁)|(?:发|领)(?:了)?工资|我.{0,8}(?:再|就|会|先)还|我已经还|我还(?:过|了|不)|你们?(?:是)?(?:谁|哪里|哪个|哪家)"
        r"|你打错|别(?:再)?(?:给我)?打|我不(?:认识|是)|能不能(?:分期|延|宽限|减)|骗子|投诉你|凭什么|我没借"
    ),
    "en": re.compile(
        r"\bi (?:can't|cannot|can not) (?:pay|afford)\b|\bi(?:'ll| will| can) pay\b|\bi (?:already|just) paid\b|\bi lost my job\b"
        r"|\bwho(?:'s| is) (?:this|calling)\b|\bwrong number\b|\bstop calling\b|\bi (?:get|got) paid\b|\bmy (?:paycheck|car|husband|wife|mother)\b"
        r"|\bi don't owe\b|\bi never (?:took|borrowed)\b|\bnot paying\b|\bi need (?:more time|help|to)\b|\bcan you help me\b|\bspeaking\b$"
    ),
}
_QUESTION_MARK: dict[Lang, re.Pattern[str]] = {
    "zh": re.compile(r"吗|呢|请问|什么时候|哪天|多少|\?|？"),
    "en": re.compile(r"\?|^(?:can|could|will|would|do|did|are|is|when|what|how|may)\b"),
}
_YOU: dict[Lang, re.Pattern[str]] = {"zh": re.compile(r"您"), "en": re.compile(r"\byou(?:r)?\b")}
_ME: dict[Lang, re.Pattern[str]] = {"zh": re.compile(r"我(?!们|这边)"), "en": re.compile(r"\b(?:i|my|me)\b")}
_PICKS_UP = re.compile(
    r"^(?:喂|你好|您好|哪位|hello|hi|yes|yeah|hey)[\s,，。.?？!]*(?:hello|喂|你好|哪位|speaking)?[.。?？!]*$"
)


@dataclass(frozen=True, slots=True)
class Utterance:
    """What one voice said. ``voice`` is any key that is the same for all that it says."""

    voice: int
    text: str
    lang: Lang


@dataclass(frozen=True, slots=True)
class Roles:
    """The role of each voice, and how sure that is, 0.5 to 1. More than one voice may be the borrower's side."""

    of: Mapping[int, Role]
    confidence: float

    @property
    def sure(self) -> bool:
        return self.confidence >= SURE


def find_roles(said: Sequence[Utterance], *, house_channels: bool = False) -> Roles:
    """Tell agent and borrower apart. One voice is the agent's, the others are the borrower's side.

    ``said`` in order of time. ``house_channels``: the voices are the channels of a recording, which by the house's
    custom has the agent on the second (1); a custom that other systems do not share, so it is evidence among others.
    """
    voices = sorted({u.voice for u in said})
    if not voices:
        return Roles({}, 0.5)
    score = {voice: _score([u for u in said if u.voice == voice]) for voice in voices}
    if _PICKS_UP.match(said[0].text.strip().lower()):
        score[said[0].voice] -= _ANSWERS_FIRST
    if house_channels:
        for voice in voices:
            score[voice] += _HOUSE_CHANNEL if voice == 1 else -_HOUSE_CHANNEL
    if len(voices) == 1:
        only = voices[0]
        return Roles({only: "agent" if score[only] > 0 else "borrower"}, _logistic(abs(score[only])))
    ranked = sorted(voices, key=lambda v: -score[v])
    agent = ranked[0]
    roles: dict[int, Role] = {voice: "agent" if voice == agent else "borrower" for voice in voices}
    return Roles(roles, _logistic(score[agent] - score[ranked[1]]))


def _score(said: Sequence[Utterance]) -> float:
    """Evidence for the agent (positive) or the borrower (negative)."""
    agent = borrower = you = me = questions = 0
    for u in said:
        text = u.text.lower()
        agent += len(_AGENT[u.lang].findall(text))
        borrower += len(_BORROWER[u.lang].findall(text))
        you += len(_YOU[u.lang].findall(text))
        me += len(_ME[u.lang].findall(text))
        questions += bool(_QUESTION_MARK[u.lang].search(text))
    phrases = min(agent, _MOST_PHRASES) - min(borrower, _MOST_PHRASES)
    pronouns = max(-_MOST_COUNTED, min(_MOST_COUNTED, you - me))
    return _PHRASE * phrases + _PRONOUN * pronouns + _QUESTION * min(questions, _MOST_COUNTED)


def _logistic(difference: float) -> float:
    return 1.0 / (1.0 + math.exp(-difference))
