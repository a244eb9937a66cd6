"""Full identifiers are never spoken: ID cards, bank cards, phone numbers, social security numbers.

Sources: GB 11643-1999 (resident ID checksum, ISO 7064 MOD 11-2), ISO/IEC 7812-1 annex B (Luhn).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.events import CallFacts
from compliance_checks.check import Finding, Sentence
from compliance_checks.numbers import digit_strings
from compliance_checks.policy import Policy

_OWN_NUMBERS = ("call_back_number", "callback_number", "hotline", "complaint_number", "payment_number")
_SERVICE = re.compile(r"(?:1?(?:800|888|877|866|855|844|833)\d{7}|400\d{7}|95\d{3,6}|12\d{3})$")
_CALLBACK = re.compile(
    r"回拨|回电|拨打|致电|来电|我们的电话|客服电话|热线|投诉电话|联系我们|我的电话"
    r"|\b(?:call|reach|contact|ring|phone|text)\b[^.]{0,30}\b(?:us|me|back|at|on)\b|our number|hotline|call back"
)
# A date, with a time behind it or not, is nobody's number: 2026-11-25 14:30 的电话.
_DATE = re.compile(
    r"(?<!\d)(?:19|20)\d\d([-/.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])"
    r"(?:[ t]*(?:[01]\d|2[0-3])(?::?[0-5]\d){0,2})?(?!\d)"
)
_MONEY_AFTER = re.compile(r"\s*(?:\.\d+)?\s*(?:元|块|万|美元|港币|dollars?\b|usd\b)")
_MONEY_BEFORE = re.compile(r"[$¥￥£€]\s*$")
_TEXT = {
    "id": {"zh": "说出了完整证件号码。", "en": "Speaks a full identity number."},
    "card": {"zh": "说出了完整银行卡号。", "en": "Speaks a full card number."},
    "phone": {"zh": "说出了个人电话号码。", "en": "Speaks a personal phone number."},
    "number": {"zh": "说出了长串个人识别号码。", "en": "Speaks a long identifying number."},
}
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def id_checksum(digits: str) -> bool:
    """True if ``digits`` is an 18-character resident ID number with a right check character."""
    if not re.fullmatch(r"\d{17}[\dX]", digits):
        return False
    total = sum(int(d) * w for d, w in zip(digits[:17], _WEIGHTS, strict=True))
    return "10X98765432"[total % 11] == digits[17]


def _birth_date(digits: str) -> bool:
    return bool(re.fullmatch(r"[1-9]\d{5}(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dX]", digits))


def luhn(digits: str) -> bool:
    """True if ``digits`` has a right Luhn check digit."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if index % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def classify(digits: str, context: str) -> str | None:
    """What a digit string identifies: ``id``, ``card``, ``phone``, ``number`` or ``None``."""
    size = len(digits)
    if id_checksum(digits) or _birth_date(digits):
        return "id"
    if not digits.isdigit():
        return "id"
    if 13 <= size <= 19 and (luhn(digits) or re.search(r"卡|账号|账户|card|account", context)):
        return "card"
    if re.fullmatch(r"(?:86)?1[3-9]\d{9}", digits) or re.fullmatch(r"0[1-9]\d{1,2}[2-8]\d{6,7}", digits):
        return "phone"
    if re.fullmatch(r"1?[2-9]\d{2}[2-9]\d{6}", digits) or re.fullmatch(r"(?:44)?0?7\d{9}|91[6-9]\d{9}", digits):
        return "phone"
    if size == 9 and re.search(r"social|ssn|tax|national insurance|passport|护照|社保", context):
        return "id"
    if re.search(r"身份证|证件|passport|social security|ssn|aadhaar|护照", context) and size >= 8:
        return "id"
    if re.search(r"手机|电话|号码|phone|mobile|cell|number", context) and 7 <= size <= 8:
        return "phone"
    # What is called a telephone number is one, whatever its area code.
    if re.search(r"手机|电话|\b(?:phone|mobile|cell)", context) and 9 <= size <= 11:
        return "phone"
    return "number" if size >= 12 else None


def _is_amount(text: str, start: int, end: int, size: int) -> bool:
    """True for seven or eight digits with a currency at one side: three million is no phone number."""
    return size < 10 and bool(_MONEY_AFTER.match(text[end:].lower()) or _MONEY_BEFORE.search(text[:start]))


class Identifiers:
    def findings(self, sentence: Sentence, facts: CallFacts, policy: Policy) -> Iterator[Finding]:
        own = {re.sub(r"\D", "", str(facts.case.get(key) or "")) for key in _OWN_NUMBERS} - {""}
        dates = [sentence.base.origin(*match.span()) for match in _DATE.finditer(sentence.base.text)]
        for digits, start, end in digit_strings(sentence.base):
            if any(low <= start and end <= high for low, high in dates):
                continue
            folded = sentence.original[max(0, start - 40) : start].lower()
            kind = classify(digits, folded)
            if kind is None or digits in own:
                continue
            if kind == "phone":
                if _is_amount(sentence.original, start, end, len(digits)):
                    continue
                if _SERVICE.fullmatch(digits):
                    continue
                # A number to call back is ours; where the case file names one, only that one.
                if _CALLBACK.search(folded) and not own:
                    continue
            yield Finding(f"privacy.{kind}", "privacy", start, end, explanation=_TEXT[kind])
