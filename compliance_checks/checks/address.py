"""Where somebody lives or works is never spoken."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.events import CallFacts
from compliance_checks.check import Finding, Sentence
from compliance_checks.policy import Policy

_N = r"[\d零〇一二两三四五六七八九十百]+"
_ZH = re.compile(
    rf"[\u4e00-\u9fff]{{2,8}}(?:路|街|大街|大道|巷|弄|胡同|道){_N}号|{_N}(?:号楼|栋|幢|座|单元)(?:{_N}(?:单元|层|楼"
    rf"|室|号|户))?|{_N}(?:单元|楼){_N}(?:室|号|户)"
    rf"|(?:住在|住址是?|家住|地址是|家庭地址是?|家在|搬到)[\u4e00-\u9fff]{{1,10}}(?:省|市|区|县|镇|乡|村|小区|路|街"
    rf"|花园|公寓|苑|庄园|里)(?!哪)"
)
_NUMBER = (
    r"(?:\d{1,5}[a-d]?|(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty"
    r"|sixty|seventy|eighty|ninety)(?: \w+)?)"
)
# No street is called so: "no one is taking you to court", "two of us were on the way".
_NO_STREET = (
    r"(?!(?:is|are|was|were|be|been|has|have|had|will|would|can|could|may|might|should|must|not|never|to|of|in|on|at|for"
    r"|from|by|with|and|or|as|if|that|this|than|who|you|your|we|our|i|my|he|she|they|them|it|its|a|an|any|until|till"
    r"|before|after|out|days?|weeks?|months?|years?|dollars?|pounds?|percent|payments?|calls?|times?|people|more|go|goes"
    r"|going|take[sn]?|taking|pay|paid|am|pm|o|hours?|minutes?) )"
)
_EN = re.compile(
    rf"\b{_NUMBER} (?:(?:north|south|east|west) )?(?:{_NO_STREET}[a-z]+ ){{1,3}}(?:street|st|avenue|ave|road|rd|lane|ln"
    rf"|drive|dr|boulevard|blvd|court|ct|terrace|close|crescent|way|parkway|highway)\b"
    # Words of place that are common words too: only after a number in figures.
    r"|\b\d{1,5}[a-d]? (?:[a-z]+ ){1,3}(?:gardens?|square|place|row|hill|view|park|circle|walk|mews|grove|nagar|colony"
    r"|sector|marg|layout|villas|estate|heights|rise|green|wharf|towers?)\b"
    r"|\b(?:live|lives|living|stay|stays|staying|apartment|flat|house|home) (?:is )?(?:at|on|in) (?:the )?[a-z]+"
    r" (?:street|avenue|road|lane|boulevard|terrace|crescent|nagar|colony)\b"
    r"|\b(?:living|staying|residing|resident|registered|live|stay|reside) at (?:number )?\d+\b"
    r"|\b(?:apartment|apt|unit|flat) (?:number )?\d+\w?\b"
    r"|\b(?:you|your family|he|she|they) lives? (?:at|on|in) (?!\b(?:a|the|this)\b)\w+"
)
_TEXT = {"zh": "说出了住址或工作地址。", "en": "Speaks a home or work address."}


class Address:
    def findings(self, sentence: Sentence, facts: CallFacts, policy: Policy) -> Iterator[Finding]:
        for reading in sentence.readings:
            for match in (_ZH if reading.lang == "zh" else _EN).finditer(reading.view.text):
                if "court" in match.group() and "days" in match.group():
                    continue
                start, end = reading.view.origin(match.start(), match.end())
                yield Finding("privacy.address", "privacy", start, end, explanation=_TEXT)
