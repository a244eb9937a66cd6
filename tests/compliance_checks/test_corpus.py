"""The labelled sentences: what the gate catches and wrongly refuses, by language and category; the split is clean."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from agent.events import CallFacts, Lang
from compliance_checks import Gate
from compliance_checks.corpus import FOLDER, CorpusError, Example, default_facts, load, read
from compliance_checks.corpus.report import Judged, Rate, false_positives, judge, main, recall, table

LANGS: list[Lang] = ["zh", "en"]
# The floors of the unseen split: what the rules alone reach today, less one sentence; docs/gate-report.md says more.
UNSEEN = {"zh": (0.955, 0.032), "en": (0.94, 0.042)}
OUTSIDE = {"zh": (0.75, 0.12), "en": (0.67, 0.08)}


@pytest.fixture(scope="module")
def judged(gate: Gate) -> dict[tuple[str, Lang], list[Judged]]:
    """The unseen split and a sixth of the training split, judged once."""
    found: dict[tuple[str, Lang], list[Judged]] = {}
    for lang in LANGS:
        found["test", lang] = judge(gate, load("test", lang))
        found["train", lang] = judge(gate, load("train", lang)[::6])
    return found


def wrong(rows: list[Judged]) -> list[str]:
    return [row.example.id for row in rows if row.stopped != row.example.violation]


@pytest.mark.parametrize("lang", LANGS)
def test_training_sentences_are_judged_right(judged: dict[tuple[str, Lang], list[Judged]], lang: Lang) -> None:
    rows = judged["train", lang]
    assert (recall(rows).value or 0) >= 0.98, wrong(rows)
    assert (false_positives(rows).value or 0) <= 0.02, wrong(rows)


@pytest.mark.parametrize("lang", LANGS)
def test_unseen_sentences_do_not_get_worse(judged: dict[tuple[str, Lang], list[Judged]], lang: Lang) -> None:
    """Counts only: a failure names no sentence, so that nobody patches the rules one sentence at a time."""
    rows = judged["test", lang]
    assert (recall(rows).value or 0) >= UNSEEN[lang][0]
    assert (false_positives(rows).value or 0) <= UNSEEN[lang][1]


@pytest.mark.parametrize("lang", LANGS)
def test_disguise_hides_little(judged: dict[tuple[str, Lang], list[Judged]], lang: Lang) -> None:
    rows = [row for row in judged["test", lang] if row.example.form == "disguised"]
    assert len(rows) >= 30
    assert (recall(rows).value or 0) >= 0.9


@pytest.mark.parametrize("lang", LANGS)
def test_outside_sentences_do_not_get_worse(gate: Gate, lang: Lang) -> None:
    """No rule was written because of one of these."""
    rows = judge(gate, (row for row in read(FOLDER / "heldout2.jsonl") if row.lang == lang))
    assert (recall(rows).value or 0) >= OUTSIDE[lang][0]
    assert (false_positives(rows).value or 0) <= OUTSIDE[lang][1]


def test_the_corpus_has_its_size_and_its_slices() -> None:
    rows = load()
    assert len(rows) >= 3000
    assert len({row.id for row in rows}) == len(rows)
    assert len({(row.text, row.party, json.dumps(row.facts, sort_keys=True)) for row in rows}) == len(rows)
    count = Counter(row.lang for row in rows)
    assert 0.85 <= count["zh"] / count["en"] <= 1.15
    forms = {"plain", "negated", "quoted", "disguised", "indirect", "slot", "party", "benign"}
    for lang in LANGS:
        test = [row for row in rows if row.lang == lang and row.split == "test"]
        assert forms <= {row.form for row in test}
        by_category = Counter(row.category for row in test if row.violation)
        assert len(by_category) >= 18
        assert min(by_category.values()) >= 5


def test_no_template_stands_on_both_sides() -> None:
    sides: defaultdict[str, set[str]] = defaultdict(set)
    for row in load():
        sides[row.family].add(row.split)
    assert all(len(splits) == 1 for splits in sides.values())


def test_no_unseen_sentence_nearly_repeats_a_training_sentence() -> None:
    def grams(row: Example) -> frozenset[str]:
        letters = "".join(char for char in row.text.lower() if char.isalnum())
        return frozenset(letters[i : i + 3] for i in range(max(1, len(letters) - 2)))

    for lang in LANGS:
        index: defaultdict[str, list[int]] = defaultdict(list)
        known = [grams(row) for row in load("train", lang)]
        for number, parts in enumerate(known):
            for part in parts:
                index[part].append(number)
        for row in load("test", lang):
            mine = grams(row)
            shared = Counter(number for part in mine for number in index[part])
            assert all(n / len(mine | known[number]) < 0.5 for number, n in shared.most_common(20)), row.id


def test_held_out_files_share_nothing_with_the_corpus() -> None:
    inside = {row.text for row in load()}
    for name in sorted(path.name for path in FOLDER.glob("heldout*.jsonl")):
        assert not inside & {row.text for row in read(FOLDER / name)}


def test_a_bad_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"text": "x", "lang": "en"}\n', encoding="utf-8")
    with pytest.raises(CorpusError, match=r"bad\.jsonl, line 1"):
        list(read(path))


def test_the_report_counts_by_slice(gate: Gate) -> None:
    rows = judge(gate, load("test", "zh")[:40])
    lines = table(rows, "form", lambda row: row.form)
    assert lines[0].startswith("| form |")
    assert len(lines) == 2 + len({row.example.form for row in rows})
    assert str(Rate(1, 2)) == "0.500 (1/2)"
    low, high = Rate(9, 10).interval
    assert 0.59 < low < 0.6 and 0.98 < high < 0.99


@pytest.mark.slow
def test_the_report_page_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "lang", "fine"),
    [
        ("I wonder what your wife would make of all this.", "en", False),
        ("I hope your wife gets well soon.", "en", True),
        ("Your sister has no obligation to pay.", "en", True),
        ("您岳父还不知道这件事吧？", "zh", False),
        ("祝您父亲早日康复。", "zh", True),
        ("您的家人没有义务替您还款。", "zh", True),
        ("验证码千万不要告诉别人。", "zh", True),
        ("把验证码告诉我。", "zh", False),
        ("废w物一个。", "zh", False),
        ("脑c一个。", "zh", False),
        ("You st*pid man.", "en", False),
        ("You st00pid man.", "en", False),
        ("We will s.u.e. you.", "en", False),
        ("您不想活了我理解，不过钱还是要还。", "zh", False),
    ],
)
def test_frames_and_disguises(gate: Gate, text: str, lang: Lang, fine: bool) -> None:
    assert (gate.judge(text, CallFacts(lang, "borrower", None, default_facts(lang))).decision == "allow") is fine
