"""What a simulated person does in a call: scenarios as YAML, checked when they are read.

A scenario is an ordered list of steps. The person cannot understand the agent, only hear whether there is speech,
so a step waits for the agent's turn to end (or to have gone on for a while) and then acts. The dataclasses below
are the schema; unknown keys are refused.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, cast, get_args

import yaml

from agent.case import demo_case
from agent.events import Disposition, Lang
from agent.telephony.simulator import spoken
from audio.telephone import Line

SCENARIOS: tuple[str, ...] = (
    "promise", "hardship", "already_paid", "wrong_number", "family_member", "robot_question", "angry_stop",
    "wants_human", "voicemail", "silence", "crisis", "barge_in", "hang_up", "dispute", "refuses",
)  # fmt: skip
_FOLDER = Path(__file__).parent / "scenarios"

LINES: Mapping[str, Line] = {
    "good": Line(snr_db=30.0),
    "mobile": Line(snr_db=26.0, noise_color=0.8, band=(250.0, 3400.0), loss=0.003),
    "street": Line(snr_db=20.0, noise_color=1.4, level_db=-18.0),
    "poor": Line(snr_db=17.0, band=(300.0, 3000.0), level_db=-24.0, clip=0.5, loss=0.02),
}
"""Line qualities by name, for ``line:`` in a scenario and ``--line``."""

Manner = Literal["calm", "angry", "sad", "hurried"]
OnRepeat = Literal["repeat", "next"]


class ScenarioError(ValueError):
    """A scenario cannot be used; one line that names the file and what is wrong."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the person does. It needs at least one of ``say``, ``dtmf``, ``beep``, ``silent_s``, ``hang_up``.

    When: after the agent's turn (``quiet_ms`` without speech, then ``think_ms``), or ``after_speech_s`` into
    the agent's turn (talking over it), or ``after_answer_s`` after picking up. If the agent says nothing for
    ``timeout_s`` the person repeats what he said last, once.

    ``say`` lists wordings of one utterance; the seed picks. ``on_repeat``: what to do if the agent then asks
    the very same again (it sounds the same): ``repeat`` the answer in other words, or go on to the ``next`` step.
    ``min_turn_s``: an agent's turn shorter than this cannot be the question this step answers, so it is taken
    for "please say that again". ``cut_after_s`` with ``hang_up`` ends the call that far into the utterance.
    ``optional``: the call may well end before this step.
    """

    say: tuple[str, ...] = ()
    dtmf: str = ""
    beep: bool = False
    silent_s: float = 0.0
    hang_up: bool = False
    cut_after_s: float | None = None
    after_speech_s: float | None = None
    after_answer_s: float | None = None
    quiet_ms: int = 700
    think_ms: tuple[int, int] = (300, 900)
    timeout_s: float = 9.0
    on_repeat: OnRepeat = "repeat"
    repeats: int = 2
    min_turn_s: float = 0.0
    manner: Manner | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """One simulated call. ``hello`` is said if nobody speaks after the person picked up; ``fallback`` after the
    last step, at most twice. ``voices`` (espeak-ng names) replaces the language's list; ``ring_s`` before answering.
    """

    name: str
    lang: Lang
    summary: str
    expected_disposition: Disposition
    steps: tuple[Step, ...]
    hello: str
    fallback: tuple[str, ...]
    line: str = "good"
    manner: Manner = "calm"
    voices: tuple[str, ...] = ()
    ring_s: float = 0.4


def load_scenario(name: str, lang: Lang, case: Mapping[str, Any] | None = None) -> Scenario:
    """The scenario ``name`` in ``lang`` with its slots filled from ``case``, or from the demo's case file.

    Raises ``ScenarioError`` for an unknown name, a broken file, or a slot that the case cannot fill.
    """
    if lang not in get_args(Lang):
        raise ScenarioError(f"unknown language {lang!r}: expected zh or en")
    if name not in SCENARIOS:
        raise ScenarioError(f"unknown scenario {name!r}: expected one of {', '.join(SCENARIOS)}")
    return read_scenario(_FOLDER / lang / f"{name}.yaml", lang, case)


def read_scenario(path: Path, lang: Lang, case: Mapping[str, Any] | None = None) -> Scenario:
    """Like ``load_scenario`` for any file."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as e:
        raise ScenarioError(f"{path.name}: cannot be read: {e}") from e
    except yaml.YAMLError as e:
        raise ScenarioError(f"{path.name}: not valid YAML: {str(e).splitlines()[0]}") from e
    try:
        return _scenario(data, lang, {**asdict(demo_case(lang)), **(case or {})})
    except (TypeError, ValueError) as e:
        raise ScenarioError(f"{path.parent.name}/{path.name}: {e}") from e


def _scenario(data: object, lang: Lang, case: Mapping[str, Any]) -> Scenario:
    table = _table(data, "the scenario", {f.name for f in fields(Scenario)})
    for key in ("name", "summary", "expected_disposition", "hello", "fallback", "steps"):
        if key not in table:
            raise ValueError(f"{key} is missing")
    if table.get("lang") != lang:
        raise ValueError(f"lang is {table.get('lang')!r}, expected {lang!r}")
    if table["expected_disposition"] not in get_args(Disposition):
        raise ValueError(f"unknown disposition {table['expected_disposition']!r}")
    if table.get("line", "good") not in LINES:
        raise ValueError(f"unknown line {table['line']!r}: expected one of {', '.join(LINES)}")
    slots = _slots(case, lang)
    steps = table["steps"]
    if not isinstance(steps, list):
        raise ValueError("steps is not a list")
    return Scenario(
        name=str(table["name"]),
        lang=lang,
        summary=str(table["summary"]),
        expected_disposition=table["expected_disposition"],
        steps=tuple(_step(step, i, slots) for i, step in enumerate(steps, 1)),
        hello=_fill(table["hello"], slots),
        fallback=tuple(_fill(text, slots) for text in _texts(table["fallback"], "fallback")),
        line=table.get("line", "good"),
        manner=_manner(table.get("manner", "calm")),
        voices=_texts(table.get("voices", []), "voices"),
        ring_s=_number(table.get("ring_s", 0.4), "ring_s", 60),
    )


def _step(data: object, number: int, slots: Mapping[str, str]) -> Step:
    where = f"step {number}"
    table = _table(data, where, {f.name for f in fields(Step)})
    try:
        step = Step(
            say=tuple(_fill(text, slots) for text in _texts(table.get("say", []), "say")),
            dtmf=_fill(str(table.get("dtmf", "")), slots),
            beep=_flag(table, "beep"),
            silent_s=_number(table.get("silent_s", 0), "silent_s", 600),
            hang_up=_flag(table, "hang_up"),
            cut_after_s=_optional(table, "cut_after_s"),
            after_speech_s=_optional(table, "after_speech_s"),
            after_answer_s=_optional(table, "after_answer_s"),
            quiet_ms=int(_number(table.get("quiet_ms", 700), "quiet_ms", 10_000)),
            think_ms=_range(table.get("think_ms", [300, 900])),
            timeout_s=_number(table.get("timeout_s", 9.0), "timeout_s", 600),
            on_repeat=_on_repeat(table.get("on_repeat", "repeat")),
            repeats=int(_number(table.get("repeats", 2), "repeats", 10)),
            min_turn_s=_number(table.get("min_turn_s", 0), "min_turn_s", 60),
            manner=_manner(table["manner"]) if "manner" in table else None,
            optional=_flag(table, "optional"),
        )
    except ValueError as e:
        raise ValueError(f"{where}: {e}") from e
    if not (step.say or step.dtmf or step.beep or step.silent_s or step.hang_up):
        raise ValueError(f"{where}: does nothing (say, dtmf, beep, silent_s or hang_up)")
    if step.cut_after_s is not None and not (step.hang_up and step.say):
        raise ValueError(f"{where}: cut_after_s needs say and hang_up")
    if step.after_speech_s is not None and step.after_answer_s is not None:
        raise ValueError(f"{where}: after_speech_s and after_answer_s exclude each other")
    if set(step.dtmf) - set("0123456789*#"):
        raise ValueError(f"{where}: dtmf holds something other than 0-9, * and #")
    return step


def _slots(case: Mapping[str, Any], lang: Lang) -> dict[str, str]:
    """The words that a template may use, each as the person would say it."""
    slots: dict[str, str] = {}
    if "borrower_name" in case:
        slots["name"] = str(case["borrower_name"])
    if "id_last4" in case:
        slots["id_last4"] = spoken.digits(str(case["id_last4"]), lang)
        slots["id_last4_keys"] = str(case["id_last4"])
    for slot, key in (("amount", "amount_due"), ("min_payment", "min_payment")):
        if case.get(key) is not None:
            slots[slot] = spoken.amount(str(case[key]), lang)
    return slots


def _fill(text: object, slots: Mapping[str, str]) -> str:
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is not text")
    used = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    for name in used:
        if name not in slots:
            raise ValueError(f"the case cannot fill the slot {{{name}}}")
    return text.format(**slots)


def _table(data: object, where: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError(f"{where} is not a mapping")
    for key in data:
        if key not in known:
            raise ValueError(f"{where}: unknown key {key!r}")
    return data


def _texts(value: object, name: str) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) and item.strip() for item in items):
        raise ValueError(f"{name} is not a list of texts")
    return tuple(items)


def _number(value: object, name: str, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise ValueError(f"{name} is not a number from 0 to {most:g}")
    return float(value)


def _optional(table: Mapping[str, Any], name: str) -> float | None:
    return _number(table[name], name, 600) if name in table else None


def _flag(table: Mapping[str, Any], name: str) -> bool:
    value = table.get(name, False)
    if not isinstance(value, bool):
        raise ValueError(f"{name} is not true or false")
    return value


def _range(value: object) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("think_ms is not [least, most]")
    low, high = (int(_number(v, "think_ms", 60_000)) for v in value)
    if low > high:
        raise ValueError("think_ms: least is above most")
    return low, high


def _manner(value: object) -> Manner:
    if value not in get_args(Manner):
        raise ValueError(f"unknown manner {value!r}: expected one of {', '.join(get_args(Manner))}")
    return cast(Manner, value)


def _on_repeat(value: object) -> OnRepeat:
    if value not in get_args(OnRepeat):
        raise ValueError("on_repeat is not repeat or next")
    return cast(OnRepeat, value)
