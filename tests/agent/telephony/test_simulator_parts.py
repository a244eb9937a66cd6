"""The simulated borrower's parts: numbers in words, scenarios, playout, ear, behaviour, gaps."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import yaml

from agent.events import Disposition, Lang
from agent.telephony.simulator import SCENARIOS, Scenario, ScenarioError, Step, load_scenario, read_scenario
from agent.telephony.simulator.borrower import Action, Borrower, HangUp, Press, Say
from agent.telephony.simulator.ear import AgentTurn, Ear, sounds_alike
from agent.telephony.simulator.faults import spoil_token
from agent.telephony.simulator.report import Said, timeline
from agent.telephony.simulator.sound import Mouth, Playout
from agent.telephony.simulator.spoken import amount, cardinal, digits
from agent.telephony.simulator.voices import VOICES, speak, trim
from audio.espeak import Voice
from audio.g711 import SILENCE, Floats, decode, encode, to_float, to_pcm16
from audio.telephone import Line


def tone(seconds: float, hertz: float = 440.0) -> Floats:
    t = np.arange(round(seconds * 8000)) / 8000
    return (0.3 * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


def mulaw(samples: Floats) -> bytes:
    return encode(to_pcm16(samples))


# Numbers


@pytest.mark.parametrize(("n", "zh", "en"), [
    (0, "零", "zero"), (10, "十", "ten"), (15, "十五", "fifteen"),
    (20, "二十", "twenty"), (99, "九十九", "ninety nine"),
    (105, "一百零五", "one hundred five"), (110, "一百一十", "one hundred ten"), (1000, "一千", "one thousand"),
    (3500, "三千五百", "three thousand five hundred"), (3005, "三千零五", "three thousand five"),
    (10_000, "一万", "ten thousand"), (10_500, "一万零五百", "ten thousand five hundred"),
    (120_000, "十二万", "one hundred twenty thousand"),
    (203_040, "二十万三千零四十", "two hundred three thousand forty"),
    (1_000_001, "一百万零一", "one million one"),
])  # fmt: skip
def test_cardinals(n: int, zh: str, en: str) -> None:
    assert (cardinal(n, "zh"), cardinal(n, "en")) == (zh, en)


def test_digits_and_amounts() -> None:
    assert (digits("40-21", "zh"), digits("4021", "en")) == ("四零二一", "four zero two one")
    assert amount("3500.00", "zh") == "三千五百"
    for bad in ("", "x", "-1", "1e99", "NaN"):
        with pytest.raises(ValueError):
            amount(bad, "zh")


# Scenarios


@pytest.mark.parametrize("lang", get_args(Lang))
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_is_usable(name: str, lang: Lang) -> None:
    scenario = load_scenario(name, lang, {"borrower_name": "赵敏", "id_last4": "0917", "amount_due": "12000.50"})
    assert scenario.name == name and scenario.lang == lang and scenario.summary
    assert scenario.expected_disposition in get_args(Disposition)
    for text in [t for step in scenario.steps for t in step.say]:
        assert "{" not in text
        assert not any(c.isdigit() for c in text), "numbers are said, not shown"
    borrower = Borrower(scenario, seed=3)
    assert borrower.voice.name in VOICES[lang] and 150 <= borrower.voice.rate <= 190
    for number, step in enumerate(scenario.steps, 1):
        assert step.say or step.silent_s or step.hang_up or step.dtmf, number


def test_both_languages_expect_the_same() -> None:
    for name in SCENARIOS:
        zh, en = load_scenario(name, "zh"), load_scenario(name, "en")
        assert zh.expected_disposition == en.expected_disposition
        assert len(zh.steps) == len(en.steps)


def test_slots_are_spoken() -> None:
    said = [t for step in load_scenario("promise", "zh", {"id_last4": "0917"}).steps for t in step.say]
    assert "零九一七" in said
    assert any("三千五百" in text for text in said)


GOOD: dict[str, Any] = {
    "name": "x", "lang": "en", "summary": "s", "expected_disposition": "refused", "hello": "", "fallback": [],
    "steps": [{"say": ["no"]}],
}  # fmt: skip


@pytest.mark.parametrize(("change", "named"), [
    ({"steps": [{}]}, "step 1: does nothing"), ({"steps": [{"shout": ["no"]}]}, "step 1: unknown key 'shout'"),
    ({"steps": [{"say": [1]}]}, "say is not a list of texts"), ({"steps": {}}, "steps is not a list"),
    ({"steps": [{"say": ["{salary}"]}]}, "cannot fill the slot {salary}"), ({"lang": "zh"}, "lang is 'zh'"),
    ({"expected_disposition": "happy"}, "unknown disposition 'happy'"), ({"line": "string"}, "unknown line 'string'"),
    ({"steps": [{"say": ["a"], "cut_after_s": 1}]}, "cut_after_s needs"), ({"colour": "red"}, "unknown key 'colour'"),
    ({"steps": [{"dtmf": "12x"}]}, "dtmf holds"), ({"steps": [{"say": ["a"], "think_ms": [9, 3]}]}, "think_ms"),
    ({"steps": [{"say": ["a"], "manner": "loud"}]}, "unknown manner"), ({"steps": [{"beep": 1}]}, "beep is not true"),
    ({"steps": [{"silent_s": -1}]}, "silent_s is not a number"), ({"steps": ["no"]}, "step 1 is not a mapping"),
])  # fmt: skip
def test_a_bad_scenario_is_named(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump({**GOOD, **change}), encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        read_scenario(path, "en")
    assert named in str(caught.value) and "x.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_unknown_scenarios_and_files(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="unknown scenario 'weather'"):
        load_scenario("weather", "zh")
    with pytest.raises(ScenarioError, match="unknown language"):
        load_scenario("promise", "fr")  # type: ignore[arg-type]
    with pytest.raises(ScenarioError, match="cannot be read"):
        read_scenario(tmp_path / "none.yaml", "zh")
    (tmp_path / "broken.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(ScenarioError, match="not valid YAML"):
        read_scenario(tmp_path / "broken.yaml", "zh")
    with pytest.raises(ScenarioError, match="not an amount"):
        load_scenario("promise", "zh", {"amount_due": "a lot"})


# Playout and mouth


def test_playout_plays_20_ms_at_a_time_and_echoes_marks_when_reached() -> None:
    playout = Playout()
    playout.mark("at once")
    playout.push(b"\x01" * 200)
    playout.mark("after 200")
    playout.push(b"\x02" * 200)
    playout.mark("end")
    assert playout.tick() == (b"\x01" * 160, ("at once",))
    assert playout.tick() == (b"\x01" * 40 + b"\x02" * 120, ("after 200",))
    assert playout.pending_ms == 10
    assert playout.tick() == (b"\x02" * 80 + SILENCE * 80, ("end",))
    assert playout.tick() == (SILENCE * 160, ())


def test_clear_empties_the_queue_and_echoes_at_once() -> None:
    playout = Playout()
    playout.push(b"\x01" * 8000)
    playout.mark("a")
    playout.tick()
    playout.clear()
    assert playout.tick() == (SILENCE * 160, ("a",))
    playout.push(b"\x02" * 160)
    playout.mark("b")
    assert playout.tick() == (b"\x02" * 160, ("b",))


def test_underruns_are_gaps_in_sound_not_pauses() -> None:
    playout = Playout()
    playout.push(b"\x01" * 160)
    playout.tick()
    playout.tick()
    playout.push(b"\x01" * 160)
    playout.tick()
    assert playout.underruns == 1
    for _ in range(20):
        playout.tick()
    playout.push(b"\x01" * 160)
    playout.tick()
    assert playout.underruns == 1


def test_the_line_is_never_digitally_silent_and_is_seeded() -> None:
    line = Line(snr_db=25, loss=0.05, clip=0.5)
    first, second = (Mouth(line, np.random.default_rng(5)) for _ in range(2))
    frames = [first.tick() for _ in range(100)]
    assert all(frame != SILENCE * 160 and len(frame) == 160 for frame in frames)
    assert frames == [second.tick() for _ in range(100)]
    first.say(tone(0.1))
    voiced = [first.tick() for _ in range(5)]
    assert not first.speaking
    assert np.sqrt(np.mean(to_float(decode(voiced[2])) ** 2)) > 0.1


# Ear


def hear(ear: Ear, samples: Floats) -> None:
    data = mulaw(samples)
    for at in range(0, len(data) - 159, 160):
        ear.hear(data[at : at + 160])


def test_the_ear_finds_turns_and_ignores_clicks_and_noise() -> None:
    ear = Ear()
    rng = np.random.default_rng(1)
    noise = (rng.standard_normal(8000) * 0.001).astype(np.float32)
    hear(ear, noise)
    hear(ear, tone(0.02))  # a click
    hear(ear, noise)
    assert ear.onset is None and ear.turns == []
    hear(ear, tone(1.0))
    assert ear.onset == 101 and ear.quiet_s == 0
    hear(ear, noise)
    (turn,) = ear.turns
    assert (turn.start, turn.end, len(turn.sound)) == (101, 151, 8000)
    assert ear.quiet_s == pytest.approx(1.0)


def test_a_short_pause_does_not_end_a_turn() -> None:
    ear = Ear()
    for samples in (tone(0.5), np.zeros(2400, np.float32), tone(0.5), np.zeros(8000, np.float32)):
        hear(ear, samples)
    assert len(ear.turns) == 1


VOICE = Voice("en-us+f2")
QUESTIONS = (
    "Am I speaking with David Miller?",
    "When can you pay?",
    "What are the last four digits?",
    "Is that right?",
)


def test_a_question_asked_again_is_recognised_by_its_sound() -> None:
    sounds = [speak(text, VOICE, Line()).samples for text in QUESTIONS]
    for i, a in enumerate(sounds):
        again = np.concatenate([np.zeros(91, np.float32), a])
        assert sounds_alike(a, to_float(decode(mulaw(again))))
        assert sounds_alike(a, speak("Sorry. " + QUESTIONS[i], VOICE, Line()).samples)
        assert not any(sounds_alike(a, b) for j, b in enumerate(sounds) if i != j)
    assert not sounds_alike(sounds[0], np.zeros(0, np.float32))


def test_trim() -> None:
    padded = np.concatenate([np.zeros(800, np.float32), tone(0.5), np.zeros(1600, np.float32)])
    assert abs(len(trim(padded)) - 4000) <= 40
    assert len(trim(padded, before=False)) == 800 + len(trim(padded))
    assert len(trim(np.zeros(800, np.float32))) == 0


def test_an_utterance_ends_where_it_stops_being_heard() -> None:
    words = speak("Yes", VOICE, Line())
    assert 0 < words.audible <= len(words.samples)
    rest = words.samples[words.audible :]
    assert len(rest) < 40 or np.sqrt(np.mean(rest**2)) < 10 ** (-45 / 20)


# Behaviour


def scene(*steps: Step, fallback: tuple[str, ...] = (), hello: str = "") -> Scenario:
    return Scenario("promise", "en", "test", "refused", steps, hello, fallback)


class Playbook:
    """Plays the agent's sound to a borrower and notes, frame by frame, what it does."""

    def __init__(self, *steps: Step, **options: Any) -> None:
        self.borrower = Borrower(scene(*steps, **options), seed=1, voice=Voice("en-us"), line=Line())
        self.ear = Ear()
        self.mouth = Mouth(self.borrower.line, np.random.default_rng(0))
        self.log: list[tuple[float, Action]] = []

    def agent(self, sound: Floats) -> Playbook:
        data = mulaw(sound)
        for at in range(0, len(data) - 159, 160):
            self.ear.hear(data[at : at + 160])
            for action in self.borrower.tick(self.ear, self.mouth.speaking):
                self.log.append(((self.ear.frame - 1) * 0.02, action))
                if isinstance(action, Say):
                    self.mouth.say(action.utterance.samples)
            self.mouth.tick()
        return self

    def quiet(self, seconds: float) -> Playbook:
        return self.agent(np.zeros(int(seconds * 8000), np.float32))

    @property
    def said(self) -> list[str]:
        return [action.utterance.text for _, action in self.log if isinstance(action, Say)]


NOW = (0, 0)


def test_waits_for_the_agents_turn_to_end_then_thinks() -> None:
    book = Playbook(Step(say=("yes",), think_ms=(400, 400)))
    book.quiet(1).agent(tone(1.0)).quiet(0.5).agent(tone(1.0)).quiet(3)
    assert book.said == ["yes"]
    assert book.log[0][0] == pytest.approx(1 + 2.5 + 0.7 + 0.4, abs=0.05)


def test_steps_follow_the_agents_turns() -> None:
    book = Playbook(Step(say=("one",), think_ms=NOW), Step(say=("two",), think_ms=NOW, dtmf="12#", hang_up=True))
    assert book.borrower.missed == (1, 2)
    book.agent(tone(1)).quiet(2)
    assert book.said == ["one"] and book.borrower.missed == (2,)
    book.agent(tone(2, 900)).quiet(3)
    assert book.said == ["one", "two"] and book.borrower.missed == ()
    assert [action for _, action in book.log[2:]] == [Press("12#"), HangUp()]


def test_interrupts_after_so_much_speech() -> None:
    book = Playbook(Step(say=("wait",), after_speech_s=1.5))
    book.quiet(1).agent(tone(4))
    assert book.said == ["wait"] and book.log[0][0] == pytest.approx(2.5, abs=0.06)


def test_an_interruption_that_comes_too_late_is_said_in_turn() -> None:
    book = Playbook(Step(say=("wait",), after_speech_s=5, think_ms=NOW))
    book.agent(tone(1)).quiet(2)
    assert book.said == ["wait"]


def test_the_rest_of_an_interrupted_word_is_no_turn() -> None:
    book = Playbook(Step(say=("stop",), after_speech_s=1), Step(say=("next",), think_ms=NOW))
    seconds = book.borrower._wordings[0][0].seconds
    book.agent(tone(1.0 + seconds + 0.15)).quiet(2)
    assert book.said == ["stop"]
    book.agent(tone(1)).quiet(2)
    assert book.said == ["stop", "next"]


def test_hangs_up_in_mid_sentence() -> None:
    book = Playbook(Step(say=("a long sentence that goes on and on",), think_ms=NOW, cut_after_s=0.5, hang_up=True))
    book.agent(tone(1)).quiet(3)
    (said_at, _), (hung_up_at, action) = book.log[:2]
    assert action == HangUp() and hung_up_at - said_at == pytest.approx(0.5, abs=0.03)


def test_says_hello_when_nobody_speaks_then_gives_up() -> None:
    book = Playbook(Step(say=("yes",), timeout_s=3), hello="Hello?").quiet(30)
    assert book.said == ["Hello?"]
    assert book.log[-1][1] == HangUp()


def test_repeats_the_last_words_when_no_answer_comes() -> None:
    book = Playbook(Step(say=("yes",), think_ms=NOW), Step(say=("no",), think_ms=NOW, timeout_s=2))
    book.agent(tone(1)).quiet(9)
    assert book.said == ["yes", "yes"]
    book.agent(tone(1, 900)).quiet(2)
    assert book.said == ["yes", "yes", "no"]


def test_a_question_asked_again_gets_the_same_answer_in_other_words() -> None:
    ask, other = (speak(text, VOICE, Line()).samples for text in QUESTIONS[:2])
    book = Playbook(Step(say=("yes", "speaking"), think_ms=NOW), Step(say=("no",), think_ms=NOW, on_repeat="next"))
    book.agent(ask).quiet(2).agent(ask).quiet(2)
    assert sorted(book.said) == ["speaking", "yes"]
    book.agent(other).quiet(2).agent(other).quiet(2)
    assert book.said[2:] == ["no"]


def test_keys_are_pressed_again_too() -> None:
    ask = speak(QUESTIONS[2], VOICE, Line()).samples
    book = Playbook(Step(dtmf="4072", think_ms=NOW), Step(say=("no",), think_ms=NOW))
    book.agent(ask).quiet(2).agent(ask).quiet(2)
    assert [action for _, action in book.log] == [Press("4072"), Press("4072")]


def test_repeating_ends() -> None:
    ask = speak(QUESTIONS[0], VOICE, Line()).samples
    book = Playbook(Step(say=("yes",), think_ms=NOW, repeats=1), Step(say=("no",), think_ms=NOW, repeats=0))
    for _ in range(4):
        book.agent(ask).quiet(2)
    assert book.said == ["yes", "yes", "no"]


def test_a_turn_too_short_for_the_question_is_taken_for_pardon() -> None:
    book = Playbook(Step(say=("yes",), think_ms=NOW), Step(say=("no",), think_ms=NOW, min_turn_s=2))
    book.agent(tone(2)).quiet(2).agent(tone(0.8, 900)).quiet(2).agent(tone(2.2, 700)).quiet(2)
    assert book.said == ["yes", "yes", "no"]


def test_after_the_last_step_two_phrases_then_silence() -> None:
    book = Playbook(Step(say=("yes",), think_ms=NOW, repeats=0), fallback=("okay", "bye", "never"))
    for hertz in (300, 500, 800, 1200, 1700):
        book.agent(tone(1, hertz)).quiet(2.5)
    assert book.said == ["yes", "okay", "bye"]


def test_voicemail_speaks_whatever_the_agent_does_and_beeps() -> None:
    book = Playbook(
        Step(say=("leave a message",), after_answer_s=0.5, beep=True),
        Step(silent_s=3, after_answer_s=0, hang_up=True),
    )
    book.agent(tone(12))
    assert book.said == ["leave a message", ""]
    assert book.log[0][0] == pytest.approx(0.5) and book.log[-1][1] == HangUp()


def test_the_same_seed_is_the_same_person() -> None:
    def facts(seed: int) -> tuple[Voice, list[list[str]]]:
        borrower = Borrower(load_scenario("promise", "en"), seed)
        return borrower.voice, [[u.text for u in step] for step in borrower._wordings]

    assert facts(7) == facts(7)
    assert len({facts(seed)[0].name for seed in range(12)}) > 5


# Gaps


def test_gaps_are_measured_where_an_answer_came() -> None:
    heard = np.zeros(8 * 8000, np.float32)
    agent = []
    for start, end in ((0.0, 1.0), (2.33, 3.0), (4.0, 5.0), (6.5, 7.0)):
        heard[round(start * 8000) : round(end * 8000)] = tone(end - start)
        agent.append(AgentTurn(round(start * 50), round(end * 50), np.zeros(0, np.float32)))
    said = [
        Said("answered", 12_000, 16_000),  # 1.5–2.0 → 2.33
        Said("spoke again first", 24_800, 25_600),  # 3.1–3.2
        Said("agent too early", 28_000, 36_000),  # 3.5–4.5, agent from 4.0
        Said("", 40_000, 44_000),  # a beep
        Said("cut", 57_600, 60_000, cut=True),
    ]
    turns, overlaps = timeline(said, agent, to_pcm16(heard))
    gaps = {t.text: t.gap_ms for t in turns if t.who == "borrower"}
    assert gaps["answered"] == pytest.approx(330, abs=5)
    assert [gaps[k] for k in ("spoke again first", "agent too early", "", "cut")] == [None] * 4
    assert overlaps == 1
    assert [t.start for t in turns] == sorted(t.start for t in turns)


def test_an_agent_that_stops_for_an_interruption_has_a_gap() -> None:
    heard = to_pcm16(np.concatenate([tone(2.0), np.zeros(4000, np.float32), tone(1.0)]))
    agent = [AgentTurn(0, 100, np.zeros(0, np.float32)), AgentTurn(125, 175, np.zeros(0, np.float32))]
    turns, overlaps = timeline([Said("stop", 8000, 14_400)], agent, heard)
    assert [t.gap_ms for t in turns if t.who == "borrower"] == [pytest.approx(700, abs=5)]
    assert overlaps == 0


def test_a_spoiled_token_differs_in_one_character() -> None:
    url = "ws://host/media/twilio/AAAABBBB"
    assert sum(a != b for a, b in zip(url, spoil_token(url), strict=True)) == 1
