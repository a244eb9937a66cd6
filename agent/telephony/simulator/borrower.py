"""The simulated person's behaviour, without IO: each 20 ms it hears what was played and may act."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.telephony.simulator.ear import FRAME_S, Ear, sounds_alike
from agent.telephony.simulator.scenario import LINES, Manner, Scenario, Step
from agent.telephony.simulator.voices import Utterance, beep, draw_voice, in_manner, speak
from audio.espeak import Voice
from audio.g711 import Floats
from audio.telephone import Line

_LEAST_TURN_S = 0.3  # the rest of a word that was cut off is no turn
_GIVE_UP_S = 20.0


@dataclass(frozen=True, slots=True)
class Say:
    utterance: Utterance


@dataclass(frozen=True, slots=True)
class Press:
    digits: str


@dataclass(frozen=True, slots=True)
class HangUp:
    pass


Action = Say | Press | HangUp


class Borrower:
    """Follows a scenario by ear. Everything that may be said is rendered before the call.

    Deterministic in ``scenario`` and ``seed`` for the same sound at the same frames. ``voice`` and ``line``
    override what the scenario and the seed would choose.
    """

    def __init__(self, scenario: Scenario, seed: int, voice: Voice | None = None, line: Line | None = None) -> None:
        self.scenario = scenario
        rng = np.random.default_rng([seed, *scenario.name.encode(), *scenario.lang.encode()])
        self.voice = voice or draw_voice(scenario, rng)
        self.line = line or LINES[scenario.line]
        self.rng = rng
        self._wordings = [self._render(step) for step in scenario.steps]
        self._think = [int(rng.integers(s.think_ms[0], s.think_ms[1] + 1)) / 1000 for s in scenario.steps]
        self._hello = self._speak(scenario.hello) if scenario.hello else None
        self._fallback = [self._speak(text) for text in scenario.fallback][:2]
        self._step = 0
        self._said: list[int] = [0] * len(scenario.steps)  # how often each step's answer was given
        self._nudged = False
        self._asked: Floats | None = None  # the agent's last words before ours
        self._last_words: Utterance | None = None
        self._waiting_since = 0
        self._think_until: int | None = None
        self._acting: _Acting | None = None

    @property
    def missed(self) -> tuple[int, ...]:
        """Numbers (from 1) of the steps that were not reached and are not optional."""
        steps = enumerate(self.scenario.steps[self._step :], self._step + 1)
        return tuple(number for number, step in steps if not step.optional)

    def tick(self, ear: Ear, speaking: bool) -> tuple[Action, ...]:
        """What to do in the frame that ``ear`` has just heard; ``speaking`` while our own voice is going out."""
        now = ear.frame - 1
        if self._acting is not None:
            return self._go_on(self._acting, now, speaking)
        if speaking:  # a hello, a nudge or a fallback phrase
            self._waiting_since = now + 1
            return ()
        step = self.scenario.steps[self._step] if self._step < len(self.scenario.steps) else None
        if step is not None and step.after_answer_s is not None:
            return self._begin(step, now, ear) if now * FRAME_S >= step.after_answer_s else ()
        if step is not None and step.after_speech_s is not None and self._spoken_for(ear) >= step.after_speech_s:
            return self._begin(step, now, ear)
        quiet = (step.quiet_ms if step else 700) / 1000
        if ear.onset is not None or ear.quiet_s < quiet:
            self._think_until = None
            return ()
        if self._turn_s(ear) < _LEAST_TURN_S:
            return self._nobody_speaks(step, now, ear)
        if self._think_until is None:
            think = self._think[self._step] if step else 0.4
            self._think_until = now + round(think / FRAME_S)
        if now < self._think_until:
            return ()
        self._think_until = None
        return self._answer(step, now, ear)

    def _answer(self, step: Step | None, now: int, ear: Ear) -> tuple[Action, ...]:
        previous = self.scenario.steps[self._step - 1] if self._step else None
        again = previous is not None and previous.on_repeat == "repeat" and bool(previous.say or previous.dtmf)
        if again and previous is not None and self._said[self._step - 1] <= previous.repeats:
            same = self._asked is not None and sounds_alike(self._asked, ear.turns[-1].sound)
            if same or (step is not None and self._turn_s(ear) < step.min_turn_s):
                self._step -= 1
                return self._begin(previous, now, ear)
        if step is not None:
            return self._begin(step, now, ear)
        if self._fallback:
            return self._voice(self._fallback.pop(0), now, ear)
        self._waiting_since = now
        return ()

    def _nobody_speaks(self, step: Step | None, now: int, ear: Ear) -> tuple[Action, ...]:
        waited = (now - max(self._waiting_since, ear.last_loud)) * FRAME_S
        timeout = step.timeout_s if step else 9.0
        if waited >= timeout + _GIVE_UP_S:
            return (HangUp(),)
        if waited < timeout or self._nudged:
            return ()
        self._nudged = True
        words = self._last_words or self._hello
        return self._voice(words, now, ear) if words else ()

    def _begin(self, step: Step, now: int, ear: Ear) -> tuple[Action, ...]:
        self._nudged = False
        actions: list[Action] = []
        seconds = step.silent_s
        if step.beep:
            actions.append(Say(beep(self.line)))
        if step.say:
            wordings = self._wordings[self._step]
            words = wordings[self._said[self._step] % len(wordings)]
            actions.insert(0, Say(words))
            self._last_words = words
        self._said[self._step] += 1
        self._asked = ear.turns[-1].sound if ear.turns else None
        cut = None if step.cut_after_s is None else now + round(step.cut_after_s / FRAME_S)
        self._acting = _Acting(step, now + round(seconds / FRAME_S), cut)
        return tuple(actions)

    def _go_on(self, acting: _Acting, now: int, speaking: bool) -> tuple[Action, ...]:
        if acting.cut_at is not None and now >= acting.cut_at:
            self._finish(now)
            return (HangUp(),)
        if speaking or now < acting.until:
            return ()
        self._finish(now)
        actions: list[Action] = []
        if acting.step.dtmf:
            actions.append(Press(acting.step.dtmf))
        if acting.step.hang_up:
            actions.append(HangUp())
        return tuple(actions)

    def _finish(self, now: int) -> None:
        self._acting = None
        self._step += 1
        self._waiting_since = now

    def _voice(self, words: Utterance, now: int, ear: Ear) -> tuple[Action, ...]:
        self._asked = ear.turns[-1].sound if ear.turns else None
        self._waiting_since = now
        return (Say(words),)

    def _turn_s(self, ear: Ear) -> float:
        """Seconds from the agent's first to its last sound since we stopped speaking."""
        turns = [t for t in ear.turns if t.end > self._waiting_since]
        if not turns:
            return 0.0
        return (turns[-1].end - max(turns[0].start, self._waiting_since)) * FRAME_S

    def _spoken_for(self, ear: Ear) -> float:
        """Seconds the agent's present turn has gone on, 0 while it is silent."""
        if ear.onset is None:
            return 0.0
        starts = [t.start for t in ear.turns if t.end > self._waiting_since]
        return (ear.frame - max(min([*starts, ear.onset]), self._waiting_since)) * FRAME_S

    def _render(self, step: Step) -> list[Utterance]:
        order = self.rng.permutation(len(step.say))[: 1 + step.repeats]
        return [self._speak(step.say[int(i)], step.manner) for i in order]

    def _speak(self, text: str, manner: Manner | None = None) -> Utterance:
        return speak(text, in_manner(self.voice, manner or self.scenario.manner), self.line)


@dataclass(frozen=True, slots=True)
class _Acting:
    """A step under way: not before frame ``until`` does it end; at frame ``cut_at`` the person hangs up."""

    step: Step
    until: int
    cut_at: int | None
