"""The hot words of a call: what is in them, and what must not be."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from agent.case import demo_case
from agent.events import Lang
from agent.frames import HeardFrame
from agent.hearing_words import MOST, hotwords
from asr.transcriber import Transcription
from audio.g711 import Floats
from tests.agent.test_hearing import Scripted, call


def test_names_lender_product_sums_and_plans() -> None:
    assert (
        hotwords(demo_case("zh"), "zh")
        == "张明，安信消费金融，消费贷款，3500元，三期分期还款，安信消费金融官方应用，小安"
    )
    english = hotwords(demo_case("en"), "en")
    assert english.startswith("Alex Morgan, Harbor Lending, personal loan, $350, $50, three month payment plan")
    assert english.endswith("the Harbor Lending website, Robin")


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_secret_is_never_expected(lang: Lang) -> None:
    case = replace(demo_case(lang), id_last4="9137", note="9137")
    assert "9137" not in hotwords(case, lang)


def test_cents_are_said_and_length_is_bounded() -> None:
    case = replace(demo_case("en"), amount_due=Decimal("350.75"), product="loan " * 16, plans=("plan " * 15,) * 3)
    words = hotwords(case, "en")
    assert "$350.75" in words
    assert len(words) <= MOST


def test_a_word_within_another_is_not_said_twice() -> None:
    case = replace(demo_case("en"), payee="Harbor Lending", agent_name="Alex Morgan")
    assert hotwords(case, "en").lower().count("harbor lending") == 1


async def test_the_recogniser_is_told_with_every_decode() -> None:
    told: list[str | None] = []

    class Listening(Scripted):
        def transcribe(
            self, samples: Floats, rate: int, lang: Lang | None = None, *, hotwords: str | None = None
        ) -> Transcription:
            told.append(hotwords)
            return super().transcribe(samples, rate, lang, hotwords=hotwords)

    async with call(Listening({0.2: "我没有钱"}), hotwords="张明，3500元") as play:
        await play.say(0.6)
        await play.wait_until_ended()
        await play.got(HeardFrame)
    assert told and set(told) == {"张明，3500元"}
