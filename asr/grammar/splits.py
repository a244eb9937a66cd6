"""Which split a template, a filler value or a line belongs to: decided by its own text, so it never moves."""

import re
from typing import Literal
from zlib import crc32

Lang = Literal["zh", "en"]
Split = Literal["train", "dev", "test"]

_BUCKETS = 25
_PUNCTUATION = re.compile(r"[，。？！、；：…—,.?!;:\"“”()（）]+")
_SPACES = re.compile(r"[\s\-]+")


def split_of(key: str) -> Split:
    """Split of `key`: one text in 25 is dev, one in 25 is test, the rest are train."""
    bucket = crc32(key.encode("utf-8")) % _BUCKETS
    if bucket == 0:
        return "dev"
    return "test" if bucket == 1 else "train"


def transcript(spoken: str, lang: Lang) -> str:
    """The written form of a spoken text: no punctuation; English lower case, words set apart by one space."""
    bare = _PUNCTUATION.sub("" if lang == "zh" else " ", spoken)
    if lang == "zh":
        return _SPACES.sub("", bare)
    return _SPACES.sub(" ", bare).strip().lower()
