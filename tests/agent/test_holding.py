"""When the agent falls silent at a sound, and when it goes on: windows of 32 ms in, moves out."""

from __future__ import annotations

from agent.holding import ALARMS, LIMIT, Holding

STEP = 0.032


class Play:
    """``say`` and ``quiet`` feed windows; ``moves`` is what came of them, with the time of each."""

    def __init__(self) -> None:
        self.holding = Holding()
        self.now = 0.0
        self.moves: list[str] = []
        self.at: list[float] = []
        self.in_turn = self.sounding = True

    def say(self, seconds: float, probability: float = 0.95) -> None:
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            self.note(
                self.holding.heard(probability, self.now, in_turn=self.in_turn, sounding=self.sounding)
            )  # fmt: skip

    def quiet(self, seconds: float) -> None:
        self.say(seconds, 0.02)

    def words(self, believed: bool) -> None:
        self.note(self.holding.decided(believed))

    def note(self, move: str | None) -> None:
        if move is not None:
            self.moves.append(move)
            self.at.append(self.now)


def test_the_first_sure_window_holds_the_line() -> None:
    play = Play()
    play.quiet(0.5)
    play.say(0.096)
    assert play.moves == ["hold"]
    assert play.at[0] <= 0.5 + STEP + 0.02


def test_one_doubtful_window_does_not_but_two_do() -> None:
    play = Play()
    play.say(STEP, 0.6)
    play.quiet(0.2)
    assert not play.moves
    play.say(2 * STEP, 0.6)
    assert play.moves == ["hold"]


def test_a_back_channel_lets_the_line_go_on_as_soon_as_it_is_known() -> None:
    play = Play()
    play.say(0.3)
    play.quiet(0.1)
    play.words(believed=True)
    assert play.moves == ["hold", "go_on"]


def test_words_that_are_long_in_coming_do_not_keep_anybody_waiting() -> None:
    play = Play()
    play.say(0.3)
    play.quiet(LIMIT - 0.1)
    assert play.moves == ["hold"]
    play.quiet(0.2)
    assert play.moves == ["hold", "go_on"]
    play.words(believed=True)  # too late to matter
    assert play.moves == ["hold", "go_on"]


def test_a_click_is_forgotten_sooner_than_a_word() -> None:
    play = Play()
    play.in_turn = False  # too short for a turn
    play.say(0.064)
    play.quiet(0.25)
    assert play.moves == ["hold", "go_on"]


def test_nobody_is_held_while_the_agent_is_silent_or_was_cut() -> None:
    play = Play()
    play.sounding = False
    play.say(1.0)
    play.sounding = True
    play.quiet(0.5)
    play.say(0.1)
    play.holding.cut()
    play.say(1.0)
    assert play.moves == ["hold"]
    play.holding.new_line()
    play.say(0.1)
    assert play.moves == ["hold", "hold"]  # whoever still speaks when the next line begins holds that one


def test_one_line_is_held_twice_at_most() -> None:
    play = Play()
    for _ in range(5):
        play.say(0.3)
        play.quiet(0.3)
        play.words(believed=True)
    assert play.moves == ["hold", "go_on"] * 2
    play.holding.new_line()
    play.say(0.3)
    assert play.moves[-1] == "hold"


def test_a_television_holds_a_few_lines_and_then_none_until_somebody_speaks() -> None:
    play = Play()
    for _ in range(ALARMS + 3):
        play.holding.new_line()
        play.say(0.6)
        play.words(believed=False)
    assert play.moves == ["hold", "go_on"] * ALARMS
    play.words(believed=True)
    play.holding.new_line()
    play.say(0.1)
    assert play.moves[-1] == "hold"
