"""The synthesiser says a sentence with the same samples, whatever was said before in the process.

libespeak-ng keeps the state of its noise, its vocal tract and its flutter from one sentence to the next: a clip made
in a test would depend on the tests that ran before it in its worker, and pytest-xdist hands files to workers in
another order in every run. So every fixture and every test starts with a library that has said nothing. Processes that
a test starts are fresh anyway; sentences that race in threads are not covered.

``CALLGATE_TEST_SPEECH`` (a whole number) has the synthesiser say some other sentences first, chosen by that number:
a test of what is heard should hold for any of them.
"""

from __future__ import annotations

import _ctypes
import ctypes
import os
import random
import sys

SAYINGS = (("cmn", "我下周三还三千五"), ("cmn+f2", "您好"), ("en-us", "you said what"), ("en-us+m3", "twenty one"))
SEED = os.environ.get("CALLGATE_TEST_SPEECH", "")


def forget() -> None:
    """Unload the synthesiser, if this process has loaded it, and seed the C library's ``rand`` as at its start."""
    espeak = sys.modules.get("audio.espeak")
    if espeak is None:
        return  # and say nothing: most tests never load it
    with espeak._lock:
        if espeak._engine is not None:
            library = espeak._engine.lib
            espeak._engine = None
            library.espeak_Terminate()
            _ctypes.dlclose(library._handle)
        ctypes.CDLL(None).srand(1)
    if SEED:
        chance = random.Random(int(SEED))
        for _ in range(chance.randint(1, 8)):
            voice, text = chance.choice(SAYINGS)
            espeak.synthesize(text, espeak.Voice(voice, rate=chance.randint(100, 220)))
