"""Why contacts of a campaign are not called: each rule with its source and its reason in words, and how many it keeps.

A contact's row keeps a rule's id alone. What the rule says of it is asked of the rules again, as things stand now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.database import Database
from campaigns.config import read_config
from campaigns.errors import ConfigError
from campaigns.models import Campaign, Contact
from campaigns.outcomes import EFFECTS
from campaigns.rules import Refusal, Rules, fetch_cases

OWN: Final[Mapping[str, Mapping[str, str]]] = {
    "campaign.max_attempts": {"zh": "本次活动的拨打次数已用完。", "en": "The campaign's own number of calls is spent."},
    "campaign.stage_passed": {"zh": "逾期天数已超出本次活动。", "en": "Past due for longer than the campaign's stage."},
    "campaign.stage_not_reached": {"zh": "逾期天数未到本次活动。", "en": "Not yet past due for so long."},
    "campaign.no_caller_id": {"zh": "该地区没有可显示的主叫号码。", "en": "The campaign has no number to show there."},
    "contact.no_number": {"zh": "没有可拨打的号码。", "en": "No number is left that may be dialled."},
    "debt.paid": {"zh": "已还清。", "en": "The debt is paid."},
    "debt.ceased": {"zh": "出借人要求停止。", "en": "The lender told us to stop."},
    "debt.disputed": {"zh": "债务有争议。", "en": "The debt is disputed."},
    "debt.withdrawn": {"zh": "出借人已收回。", "en": "The lender took the debt back."},
    "campaign_stopped": {"zh": "活动已停止。", "en": "The campaign was stopped."},
    "unknown_attempt": {"zh": "一次拨打结果不明，等待人工确认。", "en": "Of one call nobody knows whether it rang."},
    "not_prepared": {"zh": "通话未能准备好。", "en": "The call could not be made ready on our side."},
}  # fmt: skip
"""What the campaign itself says no to, in both languages; the gate's contact rules explain themselves."""
_NOT_RULES: Final = frozenset({"person_in_a_call", "trunk_busy", "put_off", "dialer_stopped", "database_failed"})


@dataclass(frozen=True, slots=True)
class RuleCount:
    """``contacts`` that ``rule`` keeps from being called now. ``why`` and ``clause`` are one contact's: a count in
    them ("3 attempts today") may be another's for the next."""

    rule: str
    contacts: int
    why: str
    clause: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def refused(database: Database, name: str, rules: Rules, now: datetime, lang: str = "en") -> list[RuleCount]:
    """The campaign's refused contacts by rule, most first. Outcomes of calls are no rules and are not among them.

    Raises ``ConfigError`` for an unknown campaign.
    """
    with database.read() as session:
        campaign = session.scalar(sa.select(Campaign).where(Campaign.name == name))
        if campaign is None:
            raise ConfigError(f"no campaign {name!r}")
        wanted = (
            sa.select(Contact.reason, sa.func.count(), sa.func.min(Contact.id))
            .where(Contact.campaign_id == campaign.id, Contact.reason.is_not(None), Contact.state != "live")
            .group_by(Contact.reason)
        )
        counts: Counter[str] = Counter()
        examples: dict[str, int] = {}
        for reason, n, example in session.execute(wanted):
            if reason is not None and (reason not in EFFECTS or reason in OWN) and reason not in _NOT_RULES:
                counts[reason] = n
                examples[reason] = example
        asked = _asked(session, campaign, list(examples.values()), rules, now)
    found = []
    for rule, n in counts.most_common():
        refusal = asked.get(examples[rule])
        same = refusal is not None and refusal.rule == rule
        own = OWN.get(rule, {}).get(lang, "")
        why = refusal.why.get(lang, own) if same and refusal is not None else own
        found.append(RuleCount(rule, n, why or own, refusal.clause if same and refusal is not None else ""))
    return found


def _asked(
    session: Session, campaign: Campaign, contacts: list[int], rules: Rules, now: datetime
) -> dict[int, Refusal]:
    """What the rules say of these contacts now."""
    config = read_config(campaign.config)
    verdicts = {case.contact.id: rules.judge(case, config, now) for case in fetch_cases(session, contacts, now)}
    return {contact: verdict for contact, verdict in verdicts.items() if isinstance(verdict, Refusal)}
