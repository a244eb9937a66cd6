"""Words as full-text search sees them: Chinese cut by jieba, everything else at its letters and digits.

Text is folded first: NFKC, case, traditional characters to simplified. Of Chinese every dictionary word is indexed at
every place where it stands, overlapping ones too, and every single character; a search is cut into dictionary words and
single characters. So a search finds what it names however the sentence around it would be cut, and a word asks for more
than its characters. Tokens hold letters and digits only; the database splits them at spaces and knows no language.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import threading
import unicodedata
from pathlib import Path
from typing import Any

_RUNS = re.compile(r"(?P<han>[\u3400-\u9fff\U00020000-\U0003134f]+)|(?P<word>[^\W_]+(?:['’][^\W_]+)*)")
_LONGEST = 40
_lock = threading.Lock()


def fold(text: str) -> str:
    """``text`` as it is compared: compatibility forms, lower case, simplified characters."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _simplify(folded) if not folded.isascii() else folded


def index_tokens(text: str) -> str:
    """The tokens of ``text``, space-joined, each once, in order of first appearance."""
    found: dict[str, None] = {}
    for run in _RUNS.finditer(fold(text)):
        han = run["han"]
        if han:
            found.update(dict.fromkeys(_cutter().lcut(han, cut_all=True)))
            found.update(dict.fromkeys(han))
        else:
            found[_plain(run["word"])] = None
    return " ".join(found)


def query_tokens(text: str) -> list[tuple[str, bool]]:
    """What a search for ``text`` must find, all of it: ``(token, is a prefix)``. ``pay*`` asks for a prefix."""
    found: dict[tuple[str, bool], None] = {}
    folded = fold(text)
    for run in _RUNS.finditer(folded):
        han = run["han"]
        if han:
            found.update({(word, False): None for word in _cutter().lcut(han, HMM=False)})
        else:
            found[_plain(run["word"]), folded[run.end() : run.end() + 1] == "*"] = None
    return list(found)


def _plain(word: str) -> str:
    return word.replace("'", "").replace("’", "")[:_LONGEST]


def warm_up() -> None:
    """Load the dictionary now (a second), not while somebody waits."""
    _cutter()


@functools.cache
def _cutter() -> Any:
    import jieba

    with _lock:
        jieba.setLogLevel(logging.WARNING)
        cutter = jieba.Tokenizer()
        # jieba keeps its parsed dictionary in a file that it unmarshals: in a folder that nobody else writes to.
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "callgate"
        try:
            cache.mkdir(mode=0o700, parents=True, exist_ok=True)
            cutter.tmp_dir = str(cache)
        except OSError:
            cutter.tmp_dir = os.devnull  # cannot be written to: the dictionary is parsed at every start then
        cutter.initialize()
    return cutter


def _simplify(text: str) -> str:
    return text.translate(_simplified())


@functools.cache
def _simplified() -> dict[int, str]:
    """Traditional to simplified, character by character: offsets stay, and it is quick."""
    from opencc import OpenCC

    characters = [chr(code) for code in range(0x3400, 0xA000)]
    converted = OpenCC("t2s").convert("\n".join(characters)).split("\n")
    pairs = zip(characters, converted, strict=True)
    return {ord(old): new for old, new in pairs if new != old and len(new) == 1}
