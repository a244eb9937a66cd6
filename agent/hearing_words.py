"""Hot words: what this call is about, for recognisers that take prompts.

Names, the lender, the product, sums and plans are what a general model mishears most, and what the call turns on. The
last digits of the identity number are never among them: a recogniser that knows the secret beforehand would hear it
from somebody who does not know it.
"""

from __future__ import annotations

from decimal import Decimal

from agent.case import CaseFile
from agent.events import Lang

MOST = 120
"""Characters: a prompt costs time with every decode, and a long one is more likely to be repeated over silence."""
_MONEY: dict[str, tuple[str, str]] = {
    "CNY": ("{}元", "{} yuan"),
    "USD": ("{}美元", "${}"),
    "GBP": ("{}英镑", "£{}"),
    "EUR": ("{}欧元", "€{}"),
    "INR": ("{}卢比", "₹{}"),
}


def hotwords(case: CaseFile, lang: Lang) -> str:
    """The call's own words in one line, the likeliest to be said first; at most ``MOST`` characters of them."""
    sums = [_money(amount, case.currency, lang) for amount in (case.amount_due, case.min_payment) if amount is not None]
    wanted = [case.borrower_name, case.lender, case.product, *sums, *case.plans, case.plan_name, case.payee]
    found: list[str] = []
    for each in (" ".join(word.split()) for word in [*wanted, case.agent_name]):
        said_already = any(each.casefold() in other.casefold() for other in found)
        if each and not said_already and len(_joined([*found, each], lang)) <= MOST:
            found.append(each)
    return _joined(found, lang)


def _joined(words: list[str], lang: Lang) -> str:
    return ("，" if lang == "zh" else ", ").join(words)


def _money(amount: Decimal, currency: str, lang: Lang) -> str:
    plain = f"{amount:.0f}" if amount == amount.to_integral_value() else f"{amount:.2f}"
    return _MONEY[currency][lang == "en"].format(plain)
