"""Both languages say everything: texts of templates and code, and every key of the archive that a page shows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import get_args

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po

import agent
import archive
import campaigns
import console
import scripts
from agent.events import Decision, Disposition
from archive.dashboards import Dimension
from archive.flagging import SEVERITIES
from archive.models import Review, Status, Who
from campaigns.models import AttemptState, CampaignState, ContactState, DebtState, MessageState
from campaigns.outcomes import EFFECTS
from campaigns.receivers import INTERNAL
from compliance_checks.contact.facts import CONSENTS, Channel, ContactKind
from compliance_checks.contact.wording import TEXT
from compliance_checks.explain import CATEGORIES
from compliance_checks.fields import SourceKind
from compliance_checks.pack import LEVELS
from console import i18n, panels
from console.alerts import GROUPS
from console.evidence import PURPOSES
from console.i18n import LANGS, messages, translator
from console.pages.audit import KINDS
from console.pages.queue import FURTHER
from console.permissions import ROLES, Permission
from console.scorecard import CHOICES
from console.webhooks import DISABLED, TEST
from console.webhooks import EVENTS as EVENTS_TOLD
from scripts.schema import Style
from sentiment.analytics import Resolution
from sentiment.labels import EMOTIONS, INTENTS

CONSOLE = Path(console.__file__).parent
PLACE = re.compile(r"%\((\w+)\)s")
RAISES = frozenset(
    {"HTTPException", "PeopleError", "ValueError", "UnapprovedScriptError", "PermissionError", "OidcError"}
    | {"WebhookError"}
)
SAID = frozenset({"SLOW", "WRONG", "LOST", "ELSEWHERE", "NO_PAGE", "NO_METHOD"})
"""Constants that are shown."""
LINES = {"softphone", "calls", "state", "ready", "all agents busy", "set up", "not set up"}
"""What ``agent.health`` says of lines."""


def package(module: object) -> Path:
    return Path(str(module.__file__)).parent  # type: ignore[attr-defined]


# -- what is shown


@cache
def in_templates() -> set[str]:
    """Every literal ``_("…")`` of the templates, read as babel's extractors read it."""
    found: set[str] = set()
    for path in (CONSOLE / "templates").rglob("*.html"):
        for _, message, _, _ in extract(
            "jinja2.ext:babel_extract", BytesIO(path.read_bytes()), {"_": None}, options={"silent": "false"}
        ):
            found.add(str(message))
    return found


@cache
def in_code() -> set[str]:
    """``_("…")`` calls, the words of the errors that pages show, and ``error="…"``; f-strings as patterns."""
    found: set[str] = set()
    for path in CONSOLE.rglob("*.py"):
        if "migrations" in path.parts or path.is_relative_to(CONSOLE / "api"):
            continue  # programs read English
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                found |= set(_words_of(node))
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in SAID:
                found.add(str(_literal(node.value)))
    return found


def _words_of(call: ast.Call) -> Iterator[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    shown: list[ast.expr] = []
    if name == "_" or name in RAISES:
        shown = call.args
    shown = shown + [keyword.value for keyword in call.keywords if keyword.arg in ("error", "detail")]
    if name in ("_script", "_refused"):
        shown = shown + call.args[3:]
    if name == "_error":
        shown = shown + [each for each in call.args[2:] if isinstance(each, ast.Constant)]
    for each in shown:
        if name == "_" and isinstance(each, ast.JoinedStr):
            continue  # a key of the archive under a prefix: among the keys below
        text = _literal(each)
        if text is None or text.startswith("scorecard "):
            continue
        if " " in text.strip() or name == "_":
            yield text


def _literal(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts, n = "", 0
        for part in node.values:
            if isinstance(part, ast.Constant):
                parts += str(part.value)
            else:
                n += 1
                parts += f"%({n})s"
        return parts if PLACE.sub("", parts).strip() else None
    return None


def scanned(module: object, pattern: str) -> set[str]:
    """Names that the code of a package gives to what it writes down."""
    texts = [path.read_text(encoding="utf-8") for path in package(module).rglob("*.py")]
    return {name for text in texts for name in re.findall(pattern, text)}


EVENTS = (
    scanned(agent, r'EventFrame\(\s*"(\w+)"')
    | scanned(agent, r'[._]event\(\s*"(\w+)"')
    | {"other_language_heard", "language_changed"}  # named by a variable
)
FLAGS = {
    name
    for path in package(scripts).rglob("*.yaml")
    for name in re.findall(r"flag: \{reason: (\w+)", path.read_text("utf-8"))
}
SAID_FOR = {
    purpose
    for path in package(scripts).rglob("*.yaml")
    for found in re.findall(r"purposes: \[([^\]]*)\]", path.read_text("utf-8"))
    for purpose in re.findall(r"\w+", found)
}
REASONS = FLAGS | {
    "low_confidence", "repeated_anger", "long_silence", "talk_over", "random_sample", "pipeline_error",
    "transfer_failed", "whisper_refused", "refused_utterance", "line_refused", "line_unrenderable",
    "verification_failed",
    "agent_and_borrower_not_told_apart_for_sure",
}  # fmt: skip
FILLED = {
    "line_refused:%(line)s", "line_unrenderable:%(why)s", "agent: %(category)s", "%(reason)s_at_close",
    "the person speaks %(heard)s, the script %(script)s", "contact.limit.%(what)s", "contact.pause.%(what)s",
    "%(1)s: Field required", "campaign: %(1)s: Field required", "status %(status)s",
}  # fmt: skip
COLUMNS = {"Day", "Week from", "Rule", "Category", "Decision", "Times", "Calls"}
"""Headings that the dashboard's panels name in a loop."""
WAITING = {
    "contact.no_number", "campaign.no_caller_id", "campaign.max_attempts", "campaign.stage_passed",
    "campaign.stage_not_reached", "person_in_a_call", "campaign_stopped", "dialer_died", "dialer_stopped",
    "trunk_busy", "database_failed", "never_placed", "unknown_attempt", "cease", "do_not_contact",
}  # fmt: skip


DELIVERY = {
    INTERNAL, "ConnectError", "ConnectTimeout", "ReadTimeout", "WriteTimeout", "ReadError", "WriteError",
    "RemoteProtocolError", "PoolTimeout", "status %(status)s",
}  # fmt: skip
"""Why a piece of news was not taken, as the outbox writes it down: what httpx calls it, or the receiver's status."""


def prefixed(prefix: str, values: object) -> set[str]:
    return {f"{prefix}{value}" for value in values}  # type: ignore[attr-defined]


def keys() -> set[str]:
    """Every key of the archive, the campaigns and the packs that a page shows by its name."""
    found = {*get_args(Disposition), *get_args(Status), *get_args(Who), *ROLES, *SEVERITIES, *EFFECTS}
    found |= set(CATEGORIES) - set(INTENTS)  # a flag's "crisis" is the person's, not the gate's category
    found |= {
        *EVENTS,
        *REASONS,
        *WAITING,
        *FILLED,
        *TEXT,
        *KINDS,
        "intent",
        "emotion",
        "verdict",
        "text",
        "none",
        "legal",
    }
    found |= {"third_party", "amount", "date", "time", "callback_date", "callback_time", "digits"}  # slots
    found |= {"error", "state", "healthy", "registered"}  # what lines say of themselves
    found |= {DISABLED, *DELIVERY}
    for prefix, values in {
        "review: ": (*get_args(Review), "all"),
        "calibration: ": ("open",),
        "purpose: ": PURPOSES,
        "said for: ": SAID_FOR,
        "decision: ": get_args(Decision),
        "answer: ": {choice for kind, choices in CHOICES.items() if kind != "scale" for choice in choices},
        "found: ": ("chain", "call", "recording"),
        "filter: ": FURTHER,
        "promise: ": ("kept", "broken", "open"),
        "may: ": set(get_args(Permission)) - {"account"},
        "campaign: ": get_args(CampaignState),
        "queue: ": get_args(ContactState),
        "attempt: ": get_args(AttemptState),
        "debt: ": get_args(DebtState),
        "debt.": set(get_args(DebtState)) - {"open"},
        "message: ": (*get_args(MessageState), "waiting", "delivered", "dead"),
        "contact: ": get_args(ContactKind),
        "channel: ": get_args(Channel),
        "consent: ": CONSENTS,
        "person: ": ("attorney", "deceased", "bankrupt"),
        "rows: ": ("new", "updated", "unchanged", "older", "repeated", "refused", "applied"),
        "import: ": ("portfolio", "updates"),
        "model: ": ("voice", "asr", "intent", "emotion", "sentiment", "tts", "diarization", "vad", "semantic"),
        "level: ": LEVELS,
        "source: ": get_args(SourceKind),
        "section: ": ("contact", "clauses", "records"),
        "style: ": get_args(Style),
        "by: ": get_args(Dimension),
        "alert: ": (*GROUPS, "line_unrenderable", "transfer_failed"),
        "resolution: ": get_args(Resolution),
        "state: ": ("live", "ending", "handing_over"),
        "news: ": (*EVENTS_TOLD, TEST),
    }.items():
        found |= prefixed(prefix, values)
    return found | LINES


REFUSALS = ("SoftphoneRefused", "OfferRefused", "CaseError", "UnapprovedScriptError")


@cache
def told_elsewhere() -> set[str]:
    """The findings of ``archive.verify``, the reasons of the importers and of live calls, as patterns."""
    found: set[str] = set()
    importing = package(campaigns) / "importing"
    own = (
        package(archive) / "verify.py", package(archive) / "digest.py", package(agent) / "live_hub.py",
        package(agent) / "softphone.py", package(agent) / "telephony" / "browser.py", package(agent) / "case.py",
        package(scripts) / "approvals.py",
    )  # fmt: skip
    for path in (*own, *importing.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            words: list[ast.expr] = []
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                words = node.args[2:] if name in ("Finding", "Problem") else []
                words = words + (node.args if name in ("FieldError", "append", "ValueError", *REFUSALS) else [])
            elif isinstance(node, ast.Return) and node.value is not None and path.name == "verify.py":
                either = node.value
                words = [either.body, either.orelse] if isinstance(either, ast.IfExp) else [either]
            texts = (text for text in map(_literal, words) if text is not None and " " in text.strip())
            found |= {
                text
                for text in texts
                if not text.startswith(
                    ("case file %(1)s: ", "%(1)s: not approved", "%(1)s: changed after", "%(1)s: approval")
                )
            }  # of the command line
    return found


@cache
def refused_elsewhere() -> set[str]:
    """What imports and campaigns refuse with, the file's name in front left out: Chinese where it is wanted."""
    found: set[str] = set()
    refusals = ("ConfigError", "LedgerError", "ImportRefused")
    for path in package(campaigns).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in refusals:
                for text in filter(None, map(_literal, node.args)):
                    bare = text.removeprefix("%(1)s: ")
                    found |= {text, PLACE.sub(lambda m: f"%({int(m[1]) - 1})s", bare)}
    return found | {"attempt %(1)s: no such attempt", "campaign: must hold a mapping of settings"}


def shown() -> set[str]:
    literal = {text for text in in_templates() | in_code() if not text.endswith(": %(1)s")}
    return literal | keys() | told_elsewhere() | {rate.title for rate in panels._RATES} | COLUMNS


# -- tests


def test_enough_is_found_for_the_other_tests_to_mean_something() -> None:
    assert len(in_templates()) > 250 and "Review queue" in in_templates()
    assert len(in_code()) > 40 and "there is no such call" in in_code()
    assert "there is no role %(1)s" in in_code() and "barge_in" in EVENTS and "crisis" in FLAGS
    assert "its row is gone" in told_elsewhere() and "is no telephone number" in told_elsewhere()


def test_every_text_has_its_chinese() -> None:
    labels = {label.key for label in (*INTENTS.values(), *EMOTIONS.values())}
    missing = sorted(shown() - set(messages("zh")) - labels)
    assert not missing, f"{len(missing)} texts without Chinese: {missing}"


def test_every_key_has_an_english_name() -> None:
    """A key reads as English as it is (``reviewer``), or ``locale/en`` says what it is called."""
    en = translator("en")
    raw = sorted(key for key in keys() - FILLED if "_" in en(key) or (en(key) == key and re.search("[.:]", key)))
    assert not raw, f"raw keys on the English pages: {raw}"


@pytest.mark.parametrize("lang", LANGS)
def test_no_entry_is_unused(lang: i18n.PageLang) -> None:
    wanted = shown() | refused_elsewhere()
    unused = sorted(set(messages(lang)) - wanted)
    assert not unused, f"entries that nothing shows: {unused}"


@pytest.mark.parametrize("lang", LANGS)
def test_every_entry_fills_the_places_of_its_message(lang: i18n.PageLang) -> None:
    path = i18n.LOCALE / lang / "messages.po"
    with path.open("rb") as file:
        catalog = read_po(file, locale=lang)
    assert path.read_text("utf-8").count("msgid ") == len([m for m in catalog if m.id]) + 1, "a message stands twice"
    for message, text in messages(lang).items():
        assert set(PLACE.findall(message)) == set(PLACE.findall(text)), message
        assert text.strip() and text == text.strip(), message


def test_chinese_is_chinese() -> None:
    latin = {"at：接通后的秒数"}
    odd = [m for m, text in messages("zh").items() if not re.search(r"[\u4e00-\u9fff、]", text) and text not in latin]
    assert not odd, odd


@pytest.mark.parametrize(
    ("message", "zh", "en"),
    [
        ("review: open", "待复核", "to review"),
        ("hung_up", "对方挂断", "Hung up"),
        ("stop_contact_at_close", "要求停止联系（结束时）", "Asked to stop contact, while closing"),
        ("line_refused:ask_name", "语句被拒：ask_name", "Line refused: ask_name"),
        ("refused utterance", "语句被拒", "Refused utterance"),
        ("a comment has 1 to 4000 characters", "备注须为 1 到 4000 个字符", "a comment has 1 to 4000 characters"),
        ("reviewer_2: Field required", "缺少 reviewer_2", "reviewer_2: Field required"),
        ("hardship", "经济困难", "Hardship"),
        ("the_person_speaks_en,_the_script_zh", "对方说 en，脚本为 zh", "The person speaks en, the script zh"),
        ("a_flag_of_tomorrow", "a flag of tomorrow", "a flag of tomorrow"),
        ("100% (a) %(b)s", "100% (a) %(b)s", "100% (a) %(b)s"),
    ],
)
def test_translating(message: str, zh: str, en: str) -> None:
    assert translator("zh")(message) == zh
    assert translator("en")(message) == en


def test_a_long_text_is_not_searched_for_patterns() -> None:
    text = "a comment has 1 to " + "9" * 100_000 + " characters"
    assert translator("zh")(text) == text
