"""Sentences by language and split: two thirds what a call brings, one third everyday speech."""

from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import accumulate
from random import Random
from typing import Any

import yaml

from asr.grammar import fillers_en, fillers_zh
from asr.grammar.splits import Lang, Split, split_of, transcript
from asr.grammar.template import Filler, Slot, Template, parse

DOMAIN_SHARE = 0.65
_HESITATION_SHARE = 0.16
_TAIL_SHARE = 0.06
_PAIR_SHARE = 0.1
_MACHINE_GROUPS = frozenset({"voicemail", "agent", "digits"})
_MAX_LENGTH = {"zh": 36, "en": 24}
_MAX_PAIR = {"zh": 20, "en": 13}
_MAX_REPEATS = 80
_ENUMERABLE = 400
_SMALL_LIST = 8
_PROBE_DRAWS = 2000
_COMMON_COUNT = 4


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence to learn from.

    `text` is the transcript (no punctuation; numbers in words; English in lower case), `spoken` what a synthesiser
    says (punctuation for its pauses). `source` is the template, or "general" for everyday speech; a sentence that
    joins two templates names both, set apart by " + ".
    """

    text: str
    spoken: str
    source: str


def length(text: str, lang: Lang) -> int:
    """Characters of a Chinese transcript, words of an English one."""
    return len(text) if lang == "zh" else text.count(" ") + 1


def _resource(name: str) -> str:
    return files("asr.grammar").joinpath(name).read_text(encoding="utf-8")


@cache
def grammar(lang: Lang) -> tuple[dict[str, list[str]], tuple[tuple[Template, float], ...]]:
    """Filler lists and (template, weight) of a language, as `zh.yaml` or `en.yaml` writes them.

    Raises ValueError for a bracket that does not match, an unknown slot, or a template written twice.
    """
    data: dict[str, Any] = yaml.safe_load(_resource(f"{lang}.yaml"))
    lists = {name: [value.strip() for value in text.split("|")] for name, text in data["lists"].items()}
    known = lists.keys() | (fillers_zh.FILLERS if lang == "zh" else fillers_en.FILLERS).keys()
    templates: dict[str, tuple[Template, float]] = {}
    for group, body in data["groups"].items():
        for line in body["lines"].splitlines():
            source = line.strip()
            if not source:
                continue
            template = parse(source, group)
            if missing := set(template.slots()) - known:
                raise ValueError(f"{lang}.yaml: {source!r} uses unknown slot {sorted(missing)[0]!r}")
            if source in templates:
                raise ValueError(f"{lang}.yaml: {source!r} is written twice")
            slots = len(list(template.slots()))
            weight = float(body.get("weight", 1)) * min(3.5, 1 + 0.8 * slots + 0.15 * template.variety())
            templates[source] = (template, weight)
    return lists, tuple(templates.values())


def template_split(template: Template) -> Split:
    """Split of a template. A bare slot is always train: its values are the words that every other template uses."""
    return "train" if template.is_bare() else split_of(template.source)


def _units(text: str, lang: Lang) -> Iterable[str]:
    return text if lang == "zh" else text.split()


@cache
def _training_units(lang: Lang) -> frozenset[str]:
    """Characters or words that the training templates write themselves."""
    seen: set[str] = set()
    for template, _ in grammar(lang)[1]:
        if template_split(template) == "train":
            for choices in template.places:
                for choice in choices:
                    for piece in choice:
                        if not isinstance(piece, Slot):
                            seen.update(_units(transcript(piece, lang), lang))
    return frozenset(seen)


def _listed(values: Sequence[str], lang: Lang, split: Split) -> Filler:
    """A closed list: part of a long one is held out, but never a value that alone brings a character or word."""
    homes = {value: split_of(value) if len(values) >= _SMALL_LIST else "train" for value in values}
    trained = set(_training_units(lang))
    for value, home in homes.items():
        if home == "train":
            trained.update(_units(transcript(value, lang), lang))
    for value in values:
        if homes[value] != "train" and not trained.issuperset(_units(transcript(value, lang), lang)):
            homes[value] = "train"
    own = [value for value in values if homes[value] == split] or list(values)

    def draw(rng: Random) -> str:
        return own[int(rng.random() * len(own))]

    return draw


@cache
def _common(lang: Lang) -> dict[str, frozenset[str]]:
    """For each generator the values that it says often ("tomorrow", "five hundred"): too usual to hold out."""
    generators = fillers_zh.FILLERS if lang == "zh" else fillers_en.FILLERS
    common: dict[str, frozenset[str]] = {}
    for name, filler in generators.items():
        rng = Random(name)
        counts = Counter(transcript(filler(rng), lang) for _ in range(_PROBE_DRAWS))
        often = frozenset(value for value, count in counts.items() if count >= _COMMON_COUNT)
        common[name] = frozenset(counts) if len(counts) < _PROBE_DRAWS / 10 else often
    return common


def _generated(filler: Filler, name: str, lang: Lang, split: Split) -> Filler:
    """A generator whose rarer values are told apart by their hash, where it has enough of them to tell apart."""
    common = _common(lang)[name]
    if split != "train" and not _has_rare(filler, common, lang, split):
        return filler

    def draw(rng: Random) -> str:
        while True:
            value = filler(rng)
            written = transcript(value, lang)
            if ("train" if written in common else split_of(written)) == split:
                return value

    return draw


def _has_rare(filler: Filler, common: frozenset[str], lang: Lang, split: Split) -> bool:
    rng = Random(0)
    drawn = {transcript(filler(rng), lang) for _ in range(_PROBE_DRAWS)}
    return sum(split_of(value) == split for value in drawn - common) >= _SMALL_LIST


@cache
def fillers(lang: Lang, split: Split) -> dict[str, Filler]:
    """What fills each slot in a split: generated values and lists, less what the other splits hold."""
    generators = fillers_zh.FILLERS if lang == "zh" else fillers_en.FILLERS
    out: dict[str, Filler] = {name: _generated(filler, name, lang, split) for name, filler in generators.items()}
    out.update({name: _listed(values, lang, split) for name, values in grammar(lang)[0].items()})
    return out


@cache
def _general(lang: Lang, split: Split) -> tuple[str, ...]:
    lines = _resource(f"general_{lang}.txt").splitlines()
    return tuple(line for line in lines if split_of(transcript(line, lang)) == split)


@cache
def _training_texts(lang: Lang) -> frozenset[str]:
    """Transcripts that training can hold whole: general lines, and templates small enough to list."""
    texts = {transcript(line, lang) for line in _general(lang, "train")}
    lists = grammar(lang)[0]
    for template, _ in grammar(lang)[1]:
        if template_split(template) != "train" or template.variety() > _ENUMERABLE:
            continue
        slots = list(template.slots())
        if not slots:
            texts.update(transcript(text, lang) for text in template.every())
        elif len(slots) == 1 and slots[0] in lists:
            texts.update(
                transcript(template.fill({slots[0]: lambda _, value=value: value}, Random(k)), lang)  # type: ignore[misc]
                for value in lists[slots[0]]
                for k in range(template.variety())
            )
    return frozenset(texts)


def _is_sibling(text: str, lang: Lang) -> bool:
    """True when training can hold `text`, whole or without a hesitation before it or a tail after it."""
    lists, trained = grammar(lang)[0], _training_texts(lang)
    heads = ["", *(transcript(value, lang) for value in lists["hesitation"])]
    tails = ["", *(transcript(value, lang) for value in lists["tail"])]
    return any(
        text.removeprefix(head).strip().removesuffix(tail).strip() in trained
        for head in heads
        if text.startswith(head)
        for tail in tails
        if text.endswith(tail)
    )


def _capital(spoken: str, lang: Lang) -> str:
    return spoken if lang == "zh" else spoken[:1].upper() + spoken[1:]


def _end(spoken: str, lang: Lang) -> str:
    full_stop = "。" if lang == "zh" else "."
    return spoken if spoken[-1:] in "。？！.?!" else spoken.rstrip("，, ") + full_stop


def _domain(lang: Lang, split: Split) -> Callable[[Random], Sentence]:
    pool = [(template, weight) for template, weight in grammar(lang)[1] if template_split(template) == split]
    if not pool:
        raise ValueError(f"{lang}.yaml has no template in split {split!r}")
    cumulative = list(accumulate(weight for _, weight in pool))
    values = fillers(lang, split)
    lists = grammar(lang)[0]
    space, comma = ("", "，") if lang == "zh" else (" ", ", ")

    def pick(rng: Random) -> Template:
        return pool[bisect(cumulative, rng.random() * cumulative[-1], hi=len(pool) - 1)][0]

    def draw(rng: Random) -> Sentence:
        template = pick(rng)
        source = template.source
        spoken = _end(template.fill(values, rng).strip(), lang)
        if template.group not in _MACHINE_GROUPS:
            chance = rng.random()
            if chance < _PAIR_SHARE and length(transcript(spoken, lang), lang) <= _MAX_PAIR[lang]:
                second = pick(rng)
                if second.group not in _MACHINE_GROUPS and second is not template:
                    source += f" + {second.source}"
                    spoken += space + _capital(_end(second.fill(values, rng).strip(), lang), lang)
            elif chance < _PAIR_SHARE + _HESITATION_SHARE:
                spoken = rng.choice(lists["hesitation"]) + comma + spoken
            elif chance < _PAIR_SHARE + _HESITATION_SHARE + _TAIL_SHARE:
                spoken = spoken.rstrip("。？！.?!") + comma + rng.choice(lists["tail"])
        spoken = _capital(_end(spoken, lang), lang)
        return Sentence(transcript(spoken, lang), spoken, source)

    return draw


def sentences(lang: Lang, split: Split, n: int, seed: int, *, domain_share: float = DOMAIN_SHARE) -> list[Sentence]:
    """`n` sentences of one language and split; the same arguments give the same list.

    Templates, filler values and everyday lines each belong to one split, and a dev or test sentence that training
    could also say is dropped, so nothing in dev or test has its template or its text in train. Dev and test repeat a
    text only when `n` asks for more than they hold. `domain_share` is the share of sentences from a call (1.0: no
    everyday speech). Raises ValueError for a negative `n`.
    """
    if n < 0:
        raise ValueError(f"cannot make {n} sentences")
    rng = Random(f"{lang}/{split}/{seed}")
    draw, general = _domain(lang, split), _general(lang, split)
    out: list[Sentence] = []
    seen: set[str] = set()
    repeats = 0
    while len(out) < n:
        if rng.random() < domain_share:
            sentence = draw(rng)
        else:
            line = rng.choice(general)
            spoken = _capital(_end(line, lang), lang)
            sentence = Sentence(transcript(line, lang), spoken, "general")
        if length(sentence.text, lang) > _MAX_LENGTH[lang]:
            continue
        if split != "train":
            if _is_sibling(sentence.text, lang):
                continue
            repeats = repeats + 1 if sentence.text in seen else 0
            if 0 < repeats < _MAX_REPEATS:
                continue
            seen.add(sentence.text)
        out.append(sentence)
    return out
