"""One spelling for what recognisers write: simplified characters, no stray spaces, nothing invisible.

Punctuation and figures stay as the checkpoint writes them: which of them stand for what, the reader of slots knows.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import Any

from asr.transcriber import Lang, Transcription

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff\ufffd]")
_HAN = "\u3400-\u9fff\u3007"
_BETWEEN_HAN = re.compile(rf"(?<=[{_HAN}，。？！、；：]) +(?=[{_HAN}，。？！、；：])")


@lru_cache(maxsize=20_000)
def _simplified(char: str) -> str:
    converted: str = _converter().convert(char)
    return converted


@lru_cache(maxsize=1)
def _converter() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")


def tidy(text: str, lang: Lang) -> str:
    """``text`` in one spelling. Chinese is simplified character by character, so words and text stay in step."""
    text = " ".join(_INVISIBLE.sub("", text).split())
    if any("\u3400" <= char <= "\u9fff" for char in text):
        text = "".join(_simplified(char) if "\u3400" <= char <= "\u9fff" else char for char in text)
    return _BETWEEN_HAN.sub("", text) if lang == "zh" else text


def tidied(heard: Transcription) -> Transcription:
    """``heard`` with its text and words in one spelling; a word of which nothing is left goes."""
    words = tuple(replace(word, text=tidy(word.text, heard.lang)) for word in heard.words)
    return replace(heard, text=tidy(heard.text, heard.lang), words=tuple(word for word in words if word.text))
