"""The espeak-ng speakers that the recogniser trains on, and those kept away from it for measuring.

A speaker is an accent and a voice variant (formants, breath, roughness) at some rate, pitch and pitch range.
Left out altogether: whispering, robots and sound effects, which no caller sounds like; ``rob`` and
``kaukovalta``, with which libespeak-ng 1.52 crashes on some sentences.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from audio.espeak import Voice

Lang = Literal["zh", "en"]
VoiceSet = Literal["seen", "unseen"]

_COMMON = ("", "f1", "f2", "f4", "f5", "m1", "m2", "m3", "m4", "m6", "m7", "m8")
_OTHER = (
    "Alex", "Alicia", "Andy", "AnxiousAndy", "Denis", "Diogo", "Gene", "Gene2", "Henrique", "Hugo", "Jacky", "Lee",
    "Marco", "Mario", "Michael", "Mike", "Nguyen", "Reed", "RicishayMax", "RicishayMax2", "adam", "anika",
    "announcer", "antonio", "aunty", "belinda", "benjamin", "boris", "caleb", "david", "ed", "edward", "edward2",
    "grandma", "gustave", "ian", "iven", "iven2", "iven3", "john", "klatt", "klatt2", "klatt3", "klatt4", "marcelo",
    "michel", "miguel", "mike2", "norbert", "pablo", "paul", "pedro", "robert", "sandro", "shelby", "steph", "steph2",
    "travis", "victor", "zac",
)  # fmt: skip
SEEN_VARIANTS: tuple[str, ...] = (*_COMMON * 3, *_OTHER)
"""Variants heard in training; the plain ones, which sound most like people, three times as often."""
UNSEEN_VARIANTS: tuple[str, ...] = ("f3", "m5", "Andrea", "Annie", "max", "linda", "quincy", "grandpa")
"""Variants never heard in training."""

_ACCENTS: dict[Lang, dict[VoiceSet, tuple[str, ...]]] = {
    "zh": {"seen": ("cmn",), "unseen": ("cmn",)},
    "en": {
        "seen": ("en-us", "en-us", "en-us", "en", "en", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-029",
                 "en-us-nyc"),
        "unseen": ("en-us", "en", "en-gb-x-gbcwmd", "en-gb-x-gbcwmd"),
    },
}  # fmt: skip


def draw(lang: Lang, which: VoiceSet, rng: np.random.Generator) -> Voice:
    """A random speaker of ``lang`` from the set ``which``, at a rate and pitch that people speak at."""
    accents = _ACCENTS[lang][which]
    variants = SEEN_VARIANTS if which == "seen" else UNSEEN_VARIANTS
    accent, variant = accents[rng.integers(len(accents))], variants[rng.integers(len(variants))]
    slow, fast = (120, 235) if which == "seen" else (135, 225)
    return Voice(
        name=f"{accent}+{variant}" if variant else accent,
        rate=int(rng.integers(slow, fast)),
        pitch=int(rng.integers(20, 86)),
        pitch_range=int(rng.integers(30, 81)),
        word_gap=int(rng.choice([0, 0, 0, 1, 2])),
    )
