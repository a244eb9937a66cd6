"""The recogniser's text: written forms, coverage, and splits that share nothing."""

import re
from random import Random

import pytest

from asr.grammar import Lang, Sentence, Split, fillers_en, fillers_zh, sentences
from asr.grammar.build_general import choose
from asr.grammar.sentences import fillers, grammar, length, template_split
from asr.grammar.splits import split_of, transcript
from asr.grammar.template import parse

SPLITS: tuple[Split, ...] = ("train", "dev", "test")
LANGS: tuple[Lang, ...] = ("zh", "en")


@pytest.fixture(scope="module", params=LANGS)
def lang(request: pytest.FixtureRequest) -> Lang:
    chosen: Lang = request.param
    return chosen


@pytest.fixture(scope="module")
def train(lang: Lang) -> list[Sentence]:
    return sentences(lang, "train", 30_000, seed=1)


@pytest.fixture(scope="module")
def held_out(lang: Lang) -> list[Sentence]:
    return [*sentences(lang, "dev", 1_200, seed=2), *sentences(lang, "test", 1_200, seed=3)]


def test_same_arguments_same_sentences(lang: Lang) -> None:
    assert sentences(lang, "train", 50, 7) == sentences(lang, "train", 50, 7)
    assert sentences(lang, "train", 50, 7) != sentences(lang, "train", 50, 8)
    assert sentences(lang, "train", 50, 7) == sentences(lang, "train", 80, 7)[:50]
    assert sentences(lang, "test", 0, 7) == []
    with pytest.raises(ValueError, match="-1"):
        sentences(lang, "train", -1, 7)


def test_no_text_and_no_template_is_in_two_splits(lang: Lang, train: list[Sentence], held_out: list[Sentence]) -> None:
    assert not {s.text for s in train} & {s.text for s in held_out}
    parts = [{p for s in group for p in s.source.split(" + ")} - {"general"} for group in (train, held_out)]
    assert not parts[0] & parts[1]
    dev, test = (sentences(lang, split, 600, 4) for split in ("dev", "test"))
    assert not {p for s in dev for p in s.source.split(" + ")} & {p for s in test for p in s.source.split(" + ")} - {
        "general"
    }


@pytest.mark.slow
def test_values_of_a_held_out_split_are_never_trained_on(lang: Lang) -> None:
    rng = Random(5)
    for slot in ("d4", "d6", "mobile", "birthday", "amount", "date"):
        drawn = {split: {transcript(fillers(lang, split)[slot](rng), lang) for _ in range(1_500)} for split in SPLITS}
        assert not drawn["train"] & drawn["test"]
        assert not drawn["train"] & drawn["dev"]
        assert not drawn["dev"] & drawn["test"]


def test_written_form(lang: Lang, train: list[Sentence], held_out: list[Sentence]) -> None:
    pattern = re.compile(r"[\u4e00-\u9fff]+" if lang == "zh" else r"[a-z']+( [a-z']+)*")
    for sentence in [*train, *held_out]:
        assert pattern.fullmatch(sentence.text), sentence
        assert transcript(sentence.spoken, lang) == sentence.text
        assert lang == "zh" or {word for word in sentence.text.split() if len(word) == 1} <= {"a", "i"}, sentence
        assert sentence.spoken[-1] in "。？！.?!"
        assert length(sentence.text, lang) <= (36 if lang == "zh" else 24)


def test_breadth(lang: Lang, train: list[Sentence]) -> None:
    lists, templates = grammar(lang)
    assert len(templates) >= 1000
    assert len({template.group for template, _ in templates}) >= 30
    assert all(len(values) == len(set(values)) for values in lists.values())
    held = [t for t, _ in templates if template_split(t) != "train"]
    assert 0.05 <= len(held) / len(templates) <= 0.13
    general = sum(s.source == "general" for s in train) / len(train)
    assert 0.3 < general < 0.4
    if lang == "zh":
        assert len(set("".join(s.text for s in train))) >= 2500
    else:
        assert len({word for s in train for word in s.text.split()}) >= 3500


@pytest.mark.parametrize(
    ("n", "said"),
    [
        *((0, "零"), (10, "十"), (15, "十五"), (20, "二十"), (22, "二十二"), (105, "一百零五"), (110, "一百一十")),
        *((200, "两百"), (222, "两百二十二"), (1005, "一千零五"), (1050, "一千零五十"), (3500, "三千五百")),
        *(
            (10_000, "一万"),
            (12_000, "一万两千"),
            (20_305, "两万零三百零五"),
            (100_000, "十万"),
            (120_050, "十二万零五十"),
        ),
        *((1_000_001, "一百万零一"), (30_015, "三万零一十五")),
    ],
)
def test_chinese_cardinals(n: int, said: str) -> None:
    assert fillers_zh.cardinal(n) == said


def test_chinese_cardinals_without_liang() -> None:
    assert fillers_zh.cardinal(222, liang=False) == "二百二十二"
    assert fillers_zh.cardinal(22_000, liang=False) == "两万二千"


@pytest.mark.parametrize(
    ("n", "said"),
    [
        *((0, "zero"), (13, "thirteen"), (40, "forty"), (99, "ninety nine"), (100, "one hundred")),
        *((3500, "three thousand five hundred"), (12_345, "twelve thousand three hundred forty five")),
        *((200_007, "two hundred thousand seven"), (1001, "one thousand one")),
    ],
)
def test_english_cardinals(n: int, said: str) -> None:
    assert fillers_en.cardinal(n) == said


def test_english_and() -> None:
    assert fillers_en.cardinal(1_205, with_and=True) == "one thousand two hundred and five"
    assert fillers_en.cardinal(1_005, with_and=True) == "one thousand and five"


@pytest.mark.parametrize(
    ("n", "said"),
    [
        *((1, "first"), (2, "second"), (3, "third"), (5, "fifth"), (8, "eighth"), (9, "ninth"), (12, "twelfth")),
        *((15, "fifteenth"), (20, "twentieth"), (21, "twenty first"), (30, "thirtieth"), (31, "thirty first")),
    ],
)
def test_english_ordinals(n: int, said: str) -> None:
    assert fillers_en.ordinal(n) == said


def test_one_digit_string_says_one_and_zero_one_way() -> None:
    rng = Random(0)
    for _ in range(500):
        said = fillers_zh.digits(rng, 8)
        assert not ("幺" in said and "一" in said)
        words = fillers_en.digits(rng, 8).replace(",", "").split()
        assert not ("oh" in words and "zero" in words)


def test_transcript_drops_punctuation_only() -> None:
    assert transcript("嗯，{}？".format("三千五"), "zh") == "嗯三千五"
    assert transcript("No - it's the Twenty-First, O.K.?", "en") == "no it's the twenty first o k"


def test_template_choices_and_errors() -> None:
    template = parse("[a|b {x}|]c", "g")
    said = {template.fill({"x": lambda _: "1"}, Random(k)) for k in range(40)}
    assert said == {"ac", "b 1c", "c"}
    assert parse("{d4}。", "g").is_bare()
    assert not parse("{d4}{d4}", "g").is_bare()
    for broken in ("[a|b", "a]b", "[a[b]]", "{d4", "{D}"):
        with pytest.raises(ValueError, match="unbalanced"):
            parse(broken, "g")


def test_splits_stay_small_and_stable() -> None:
    homes = [split_of(str(k)) for k in range(5000)]
    assert 0.06 < sum(home != "train" for home in homes) / len(homes) < 0.1
    assert {split_of("我在听") for _ in range(3)} == {split_of("我在听")}


def test_general_lines_are_chosen_once_and_rare_characters_first() -> None:
    assert choose(["好的", "好的。", "鳄鱼"], 2, str) == choose(["鳄鱼", "好的"], 2, str)
    assert len(choose([f"line {chr(97 + k)}" for k in range(20)], 5)) == 5
