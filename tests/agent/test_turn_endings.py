"""Turn endings from sound: synthesised borrowers over a noisy line, the real recogniser, detector and turn model.

The stream runs without a clock: what a decode and a look at the voice take is taken from ``DECODE`` and ``LOOK``, so
that the figures do not depend on the machine's load. Silence is counted from the last audible sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from pipecat.audio.vad.silero import SileroVADAnalyzer

from agent.events import Expects, Lang
from agent.hearing import PRE_ROLL
from agent.smart_turn import shared
from agent.telephony.simulator import SCENARIOS, load_scenario
from agent.telephony.simulator.borrower import Borrower
from agent.telephony.simulator.scenario import LINES
from agent.telephony.simulator.sound import Mouth
from agent.telephony.simulator.voices import speak
from agent.turn_evidence import evidence
from asr.endpointing import Endpointer, Pause, SpeechResumed, TurnEnded
from asr.guards import turn_doubt
from asr.languages import transcribe_either
from asr.turns import TurnPolicy
from asr.whisper import FasterWhisper
from audio.espeak import Voice
from audio.g711 import Floats, Pcm16, decode, to_float
from audio.telephone import RATE, Line

WINDOW = 256
DECODE, LOOK = 0.08, 0.16
pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Ending:
    """One sentence: seconds from its last sound to the end of its turn, and whether a turn ended inside it."""

    text: str
    delay: float
    cut: bool


@pytest.fixture(scope="module")
def model() -> FasterWhisper:
    return FasterWhisper.load()


def on_the_line(samples: Floats, line: Line, seed: int) -> tuple[Pcm16, int]:
    """A second of line noise, the voice, two more seconds; and the sample at which the voice begins."""
    mouth = Mouth(line, np.random.default_rng(seed))
    frames = [mouth.tick() for _ in range(50)]
    mouth.say(samples)
    while mouth.speaking:
        frames.append(mouth.tick())
    frames += [mouth.tick() for _ in range(100)]
    return decode(b"".join(frames)), 50 * 160


def ending(model: FasterWhisper, pcm: Pcm16, last: int, lang: Lang, expects: Expects | None, text: str) -> Ending:
    """Play ``pcm``, whose voice is last audible at sample ``last``."""
    vad = SileroVADAnalyzer(sample_rate=RATE)
    vad.set_sample_rate(RATE)
    policy = TurnPolicy()
    endpointer = Endpointer(patience=policy.blind)
    due: list[tuple[float, float]] = []  # (when it will be known, the silence that is then allowed)
    ends: list[float] = []
    for index in range(len(pcm) // WINDOW):
        window = pcm[index * WINDOW : (index + 1) * WINDOW]
        now = (index + 1) * WINDOW / RATE
        events = endpointer.feed(float(np.squeeze(vad.voice_confidence(window.tobytes()))))
        for when, patience in [d for d in due if d[0] <= now]:
            events += endpointer.allow(patience)
            due.remove((when, patience))
        for event in events:
            if isinstance(event, SpeechResumed):
                due.clear()
            elif isinstance(event, TurnEnded):
                due.clear()
                ends.append(now)
            elif isinstance(event, Pause):
                heard_from = max(0, int((event.start - PRE_ROLL) * RATE))
                audio = to_float(pcm[heard_from : (index + 1) * WINDOW])
                due = list(decisions(model, audio, lang, expects, policy, now))
    assert ends, f"never heard: {text}"
    return Ending(text, ends[-1] - last / RATE, cut=len(ends) > 1 or ends[-1] < last / RATE)


def decisions(
    model: FasterWhisper, audio: Floats, lang: Lang, expects: Expects | None, policy: TurnPolicy, now: float
) -> Iterator[tuple[float, float]]:
    heard = transcribe_either(model, audio, RATE, lang)
    words = evidence(heard.text, heard.lang, expects) if turn_doubt(heard, len(audio) / RATE) is None else "open"
    yield now + DECODE, policy.patience(words)
    if words == "open":
        yield now + DECODE + LOOK, policy.patience(words, shared().finished(audio, RATE))


def what_was_asked(lang: Lang, text: str, step: int) -> Expects:
    """The question that the demo's script has asked where a scenario's borrower says ``text``."""
    if any(word in text for word in ("四零七二", "four zero seven two")):
        return "digits"
    if step == 0:
        return "identity"
    yes = {
        "zh": ("对，没错", "对，是的", "是的，没问题"),
        "en": ("Yes, that's right.", "Yes, correct.", "Yes, that is correct."),
    }
    return "yes_no" if text in yes[lang] else "date_amount"


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_scenarios_borrowers_are_answered_soon_and_not_cut_off(model: FasterWhisper, lang: Lang) -> None:
    endings = []
    for name in SCENARIOS:
        if name in ("voicemail", "silence"):
            continue
        borrower = Borrower(load_scenario(name, lang), seed=5)
        for number, step in enumerate(borrower.scenario.steps):
            if step.say:
                words = borrower._wordings[number][0]
                pcm, first = on_the_line(words.samples, borrower.line, number)
                asked = what_was_asked(lang, words.text, number)
                endings.append(ending(model, pcm, first + words.audible, lang, asked, words.text))
    delays = [e.delay for e in endings if not e.cut]
    assert len(endings) > 35
    # The target is 2 % over all calls; of these forty, the synthesiser's mood may cost one.
    assert sum(e.cut for e in endings) <= 1, [e.text for e in endings if e.cut]
    assert np.percentile(delays, 50) <= 0.45
    assert np.percentile(delays, 95) <= 0.75


@pytest.mark.parametrize(
    ("lang", "expects", "parts", "pause"),
    [
        ("zh", "digits", ("四零", "七二"), 0.6),
        ("zh", "date_amount", ("我下周", "三还三千块"), 0.6),
        ("zh", "open", ("我失业了，所以", "现在没钱还"), 0.7),
        ("zh", "date_amount", ("那个", "我没有钱"), 0.7),
        ("en", "digits", ("four zero", "seven two"), 0.6),
        ("en", "open", ("I lost my job and", "I can't pay right now"), 0.7),
        ("en", "date_amount", ("I will pay", "next Friday"), 0.2),
        ("en", "identity", ("yes", "this is she"), 0.25),
    ],
)
def test_people_may_think_in_the_middle_of_a_sentence(
    model: FasterWhisper, lang: Lang, expects: Expects, parts: Sequence[str], pause: float
) -> None:
    cut = []
    for seed, voice in enumerate(("cmn+f2", "cmn+m3", "cmn") if lang == "zh" else ("en-us+m3", "en-us+f2", "en-us")):
        said = [speak(part, Voice(voice, rate=165), LINES["good"]) for part in parts]
        gap = np.zeros(int(pause * RATE), np.float32)
        samples = np.concatenate([said[0].samples, gap, said[1].samples])
        pcm, first = on_the_line(samples, LINES["good"], seed)
        last = first + len(said[0].samples) + len(gap) + said[1].audible
        cut.append(ending(model, pcm, last, lang, expects, " … ".join(parts)).cut)
    assert sum(cut) <= 1, f"{sum(cut)} of {len(cut)} voices were cut off"
