"""What will be *heard*: text folded to one spelling, with every character mapped back to the original.

:func:`fold` gives the common form (NFKD, invisible characters and marks dropped, look-alikes and
full-width forms to ASCII, lower case, traditional to simplified by OpenCC's character table).
:func:`han_view` and :func:`word_view` derive the two texts that rules are matched on: one without
separators inside Chinese words, one of space-separated English words. All run in linear time.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise

# Cyrillic, Greek and other letters drawn like Latin ones. Only letters with one plain reading.
_LOOK_ALIKES = str.maketrans(
    "аеорсухіјѕԁһԛԝвкмнтгп" + "αβεικνορτυχγηω" + "ıɑɡʟɪʀʜɴʏ" + "їёґ" + "℮",
    "aeopcyxijsdhqwbkmhtrn" + "abeikvoptuxynw" + "iaglirhny" + "ier" + "e",
)
_LETTER_NAME = re.compile(r"(?:LATIN|INDICATOR SYMBOL).*? LETTER (?:SMALL CAPITAL )?([A-Z])(?: WITH .*)?$")
_MAP_LIMIT = 1 << 16

SENTENCE_ENDS = frozenset("。！？!?;；\n…")
CLAUSE_BREAKS = frozenset("，,、:：—–")
# Kept as words of their own when single: joining them to a neighbour would change a sentence's meaning.
_LONE = frozenset("不好是对嗯您你请那啊哦喂没行但而若别否")


@cache
def _simplified() -> dict[str, str]:
    """Traditional to simplified, one character each, from OpenCC's ``TSCharacters`` table."""
    table: dict[str, str] = {}
    text = files("opencc").joinpath("dictionary", "TSCharacters.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        source, _, targets = line.partition("\t")
        target = targets.split(" ")[0]
        if len(source) == 1 and len(target) == 1 and target != source:
            table[source] = target
    return table


def _fold_once(char: str) -> str:
    out = []
    for part in unicodedata.normalize("NFKD", char).lower():
        category = unicodedata.category(part)
        if category in ("Mn", "Me", "Cf", "Cs", "Co", "Cn"):
            continue
        if category == "Cc" and part != "\n":
            part = " "
        elif category in ("Zs", "Zl", "Zp"):
            part = "\n" if part == "\u2029" else " "
        part = part.translate(_LOOK_ALIKES)
        if not part.isascii():
            part = _simplified().get(part, part)
            if category[0] in "LS" and not is_han(part):
                named = _LETTER_NAME.search(unicodedata.name(part, ""))
                part = named.group(1).lower() if named else part
        out.append(part)
    return "".join(out)


@lru_cache(maxsize=_MAP_LIMIT)
def fold_char(char: str) -> str:
    """The folded spelling of one character: a fixed point, possibly empty."""
    for _ in range(4):
        folded = "".join(_fold_once(part) for part in char)
        if folded == char:
            break
        char = folded
    return char


def is_han(char: str) -> bool:
    """True for a CJK ideograph."""
    return (
        "\u4e00" <= char <= "\u9fff"
        or "\u3400" <= char <= "\u4dbf"
        or "\U00020000" <= char <= "\U000323af"
        or char == "〇"
    )


@dataclass(frozen=True, slots=True)
class View:
    """A derived text; character ``i`` stands for ``original[starts[i]:ends[i]]``.

    ``loose[i]`` marks characters that were joined from pieces, where word boundaries cannot be trusted.
    """

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    loose: frozenset[int] = frozenset()

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Offsets in the original for ``text[start:end]``."""
        if start >= end or not self.text:
            return (0, 0)
        return self.starts[start], max(self.ends[start:end])


def fold(text: str) -> View:
    """The common folded form of ``text``; idempotent on its own output."""
    parts = [fold_char(char) for char in text]
    folded = "".join(parts)
    if len(folded) == len(parts) and "" not in parts:  # the common case: a character for a character
        return View(folded, tuple(range(len(parts))), tuple(range(1, len(parts) + 1)))
    starts = [index for index, part in enumerate(parts) for _ in part]
    return View(folded, tuple(starts), tuple(index + 1 for index in starts))


def _pick(view: View, text: list[str], at: list[int]) -> View:
    return View("".join(text), tuple(view.starts[i] for i in at), tuple(view.ends[i] for i in at))


def han_view(base: View) -> View:
    """Chinese reading: separators inside words dropped, punctuation reduced to ``，`` and ``。``."""
    text: list[str] = []
    at: list[int] = []
    chars = base.text
    size = len(chars)
    for i, char in enumerate(chars):
        if char.isalnum():
            mark = char
        elif char in SENTENCE_ENDS or (char == "." and _ends_sentence(chars, i, size)):
            mark = "。"
        elif char == "、":
            continue  # a list goes on in one clause: what is denied of its first entry is denied of the next
        elif char in CLAUSE_BREAKS:
            if char == "," and 0 < i < size - 1 and chars[i - 1].isdigit() and chars[i + 1].isdigit():
                continue
            mark = "，"
        elif char == "." and 0 < i < size - 1 and chars[i - 1].isdigit() and chars[i + 1].isdigit():
            mark = "."
        elif char in "$¥£€￥₹<>{}%":
            mark = char
        elif char == " " and 0 < i < size - 1 and _latin(chars[i - 1]) and _latin(chars[i + 1]):
            if not _latin(chars[i - 2 : i - 1]) and not _latin(chars[i + 2 : i + 3]):
                continue  # single letters spelt apart: s b
            mark = " "
        else:
            continue
        if mark in "，。" and (not text or text[-1] in "，。"):
            if text and mark == "。":
                text[-1] = mark
            continue
        text.append(mark)
        at.append(i)
    return _heal(_pick(base, text, at))


_INSERT = re.compile(r"(?<=[\u4e00-\u9fff])[a-z]{1,2}(?=[\u4e00-\u9fff])")
# How far around stray letters a sentence is read again without them.
_AROUND = 80


def without_inserts(view: View) -> View | None:
    """The Chinese reading without single Latin letters inside words (废w物); ``None`` where there are none.

    It holds only the sentences in which such letters stand, of a long one only what is near them: everything else
    has been read already.
    """
    source = view.text
    inserts = [match.span() for match in _INSERT.finditer(source)]
    if not inserts:
        return None
    keep: list[int] = []
    text: list[str] = []
    done = 0
    for start, end in inserts:
        low = max(done, start - _AROUND, source.rfind("。", max(0, start - _AROUND), start) + 1)
        if low > done and text and text[-1] != "。":
            keep.append(low - 1)
            text.append("。")
        keep.extend(range(low, start))
        text.extend(source[low:start])
        stop = source.find("。", end, end + _AROUND)
        high = stop + 1 if stop >= 0 else min(len(source), end + _AROUND)
        # Up to the next letters; the stretch behind them is theirs.
        following = _INSERT.search(source, end, high + 3)
        if following is not None:
            high = min(high, following.start())
        keep.extend(range(end, high))
        text.extend(source[end:high])
        done = max(high, end)
    return _pick(view, text, keep)


def _latin(char: str) -> bool:
    return char.isascii() and char.isalnum()


def _ends_sentence(chars: str, i: int, size: int) -> bool:
    """A full stop is one at the end, before a space, or after a word of Latin letters; not inside 报.警."""
    if i + 1 >= size or chars[i + 1] in " \n":
        return not (i > 0 and i + 2 < size and chars[i - 1] == " ")
    return False


def _heal(view: View) -> View:
    """Join clauses of a single character to their neighbours: 报，警 is one word, 不，… is not."""
    text = view.text
    if "，" not in text and "。" not in text:
        return view
    marks = [-1, *(i for i, char in enumerate(text) if char in "，。"), len(text)]
    drop: set[int] = set()
    for left, right in pairwise(marks):
        if right - left == 2 and is_han(text[left + 1]) and text[left + 1] not in _LONE:
            drop.update(mark for mark in (left, right) if 0 <= mark < len(text) - 1)
    if not drop:
        return view
    keep = [i for i in range(len(text)) if i not in drop]
    return _pick(view, [text[i] for i in keep], keep)


# ---------------------------------------------------------------------------------------------- English

_TOKEN = re.compile(r"[a-z0-9@$!|+'’`´]*[a-z0-9@$][a-z0-9@$|+'’`´]*|[^\sa-z0-9]")
_SPELT = re.compile(r"(?<![a-z0-9@$])[a-z0-9@$](?:([ .*_\-~|/·•,]{1,2})[a-z0-9@$](?![a-z0-9@$'])){2,}")
_MAX_CHUNK = 64  # characters of one word with a symbol after each letter
_IN_WORD = re.compile(r"(?<=[a-z0-9@$])[.*_\-~|/·•^+=](?=[a-z0-9@$])")
_RUN = re.compile(r"(.)\1{2,}")
_LEET = str.maketrans("013457@$|!+89", "oieastasiitbg")
_LEET_L = str.maketrans("013457@$|!+89", "oleastaslltbg")
_PLAIN_NUMBER = re.compile(r"\$?\d+(?:st|nd|rd|th|am|pm|k|m|x|s|h)?$")
_CONTRACTIONS = {
    "won't": "will not",
    "wont": "will not",
    "can't": "can not",
    "cant": "can not",
    "cannot": "can not",
    "shan't": "will not",
    "ain't": "is not",
    "dont": "do not",
    "didnt": "did not",
    "doesnt": "does not",
    "isnt": "is not",
    "wouldnt": "would not",
    "couldnt": "could not",
    "youre": "you are",
    "let's": "let us",
    "gonna": "going to",
    "wanna": "want to",
    "gotta": "got to",
    "u": "you",
    "ur": "your",
    "ya": "you",
    "n't": "not",
}
_SUFFIXES = (
    ("n't", " not"),
    ("'ll", " will"),
    ("'re", " are"),
    ("'ve", " have"),
    ("'m", " am"),
    ("'d", " would"),
    ("'s", ""),
    ("'", ""),
)


class Vocabulary:
    """The words that rules look for; a disguised spelling is undone only if that gives one of them."""

    __slots__ = ("_prefixes", "_words", "short")

    def __init__(self, words: frozenset[str], prefixes: tuple[str, ...], short: frozenset[str] = frozenset()) -> None:
        self._words = words
        self._prefixes = prefixes
        self.short = short  # words of three letters: believed only where the disguise is plain to see

    def __contains__(self, word: str) -> bool:
        return word in self._words or word.startswith(self._prefixes)

    def known_letters(self, word: str) -> int:
        """How many letters of ``word`` the best known word or stem accounts for."""
        if word in self._words:
            return len(word)
        return max((len(stem) for stem in self._prefixes if word.startswith(stem)), default=0)


def _plain_word(token: str, known: Vocabulary) -> str:
    """Undo leetspeak and stretched letters where the result is a known word."""
    if token in known:
        return token
    candidates = [token]
    if not token.isalpha() and any(c.isalpha() for c in token) and not _PLAIN_NUMBER.match(token):
        candidates += [token.translate(_LEET), token.translate(_LEET_L)]
    for candidate in list(candidates):
        if _RUN.search(candidate):
            candidates += [_RUN.sub(r"\1\1", candidate), _RUN.sub(r"\1", candidate)]
    candidates += [_by_sound(candidate) for candidate in candidates]
    disguised = not token.isalpha()
    for candidate in candidates[1:]:
        if candidate in known or (disguised and candidate in known.short):
            return candidate
    return token


# Spelt as it sounds: stoopid, skum, phuck.
_SOUNDS = (("oo", "u"), ("ph", "f"), ("sk", "sc"), ("kr", "cr"), ("z", "s"))


def _by_sound(word: str) -> str:
    for written, heard in _SOUNDS:
        word = word.replace(written, heard)
    return word


def _unmask(chunk: str, known: Vocabulary) -> str:
    """The word behind symbols inside it: they stand between letters (po-lice) or, a star, for a vowel (st*pid)."""
    joined = _plain_word(_IN_WORD.sub("", chunk), known)
    if joined in known or "*" not in chunk:
        return joined
    spelt = [chunk.replace("*", vowel) for vowel in "aeiou"]
    best = max(spelt, key=known.known_letters)
    return best if best.isalpha() and best in known else joined


def _expand(token: str) -> str:
    token = token.replace("’", "'").replace("`", "'").replace("´", "'")
    if token in _CONTRACTIONS:
        return _CONTRACTIONS[token]
    for suffix, full in _SUFFIXES:
        if token.endswith(suffix) and len(token) > len(suffix):
            return token[: -len(suffix)] + full
    return token.strip("'!")


@lru_cache(maxsize=1 << 13)
def _heard(word: str, known: Vocabulary) -> tuple[str, ...]:
    """The words that are heard in one written word: don't is do and not."""
    return tuple(_expand(_plain_word(word.rstrip("!"), known)).split())


_HAN_RUN = re.compile(r"[\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U000323af〇]+")


def word_view(base: View, known: Vocabulary) -> View:
    """English reading: words one space apart, ``,`` and ``.`` as clause and sentence marks."""
    text: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    loose: set[int] = set()
    source, first, last = base.text, base.starts, base.ends

    def emit(word: str, start: int, end: int, joined: bool = False) -> None:
        if text and not (word in ",." and text[-1] in ",."):
            text.append(" ")
            starts.append(first[start])
            ends.append(first[start])
        size = len(word)
        if joined:
            loose.update(range(len(text), len(text) + size))
        text.extend(word)
        # A changed spelling maps to the whole token, an unchanged one character by character.
        exact = size == end - start
        starts.extend(first[start:end] if exact else [first[start]] * size)
        ends.extend(last[start:end] if exact else [last[end - 1]] * size)

    spelt = {match.start(): match for match in _SPELT.finditer(source)}
    pos = 0
    while pos < len(source):
        match = spelt.get(pos)
        if match is not None and not match.group().replace(" ", "").isdigit():
            letters = re.sub(r"[^a-z0-9@$]", "", match.group())
            if not letters.isdigit() and (len(letters) > 3 or letters in known.short):
                emit(_plain_word(letters, known), match.start(), match.end(), joined=True)
                pos = match.end()
                # P.o.l.i.c.e. ends with one more of its own separators.
                pos += source[pos : pos + 1] == "." == match.group(1)
                continue
        token = _TOKEN.match(source, pos)
        if token is None:
            pos += 1
            continue
        word, end = token.group(), token.end()
        if word[0].isalnum() or word[0] in "@$":
            # Pieces held together by symbols: po-lice, ar.rest. Joined only into a word that rules know.
            chunk_end = end
            # No word is longer than the bound, without which a long run of pieces would be read again from each.
            while (
                chunk_end - pos < _MAX_CHUNK
                and (piece := _IN_WORD.match(source, chunk_end))
                and (more := _TOKEN.match(source, piece.end()))
            ):
                if not (more.group()[0].isalnum() or more.group()[0] in "@$"):
                    break
                chunk_end = more.end()
            if chunk_end > end:
                joined = _unmask(source[pos:chunk_end], known)
                # fifty-one is no disguise: the stem that rules know is its first piece alone.
                if joined in known and joined.isalpha() and known.known_letters(joined) > len(word):
                    emit(joined, pos, chunk_end)
                    pos = chunk_end
                    continue
            number = is_number(source, pos)
            if number is not None:
                end = number
                emit(source[pos:end].replace(",", ""), pos, end)
            else:
                for part in _heard(word, known):
                    emit(part, pos, end)
        elif word in SENTENCE_ENDS or word == ".":
            emit(".", pos, end)
        elif word in CLAUSE_BREAKS or word in '-()[]"“”':
            following = source[end : end + 1]
            if word == "-" and following and not following.isspace() and pos and not source[pos - 1].isspace():
                pass  # a hyphen inside a compound: third-party
            elif word in '"“”':
                pass
            else:
                emit(",", pos, end)
        elif is_han(word):
            run = _HAN_RUN.match(source, end)
            end = run.end() if run is not None else end
            emit(",", pos, end)  # no English rule looks for Chinese: a run of it only parts what stands around it
        elif word in "<>{}%£€¥₹&#":
            emit(word, pos, end)
        pos = end
    return View("".join(text), tuple(starts), tuple(ends), frozenset(loose))


_NUMBER = re.compile(r"\$?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\da-z])|\$?\d+(?:\.\d+)?(?![\da-z@$|])")


def is_number(text: str, pos: int) -> int | None:
    """The end of a plain number (with thousands separators and decimals) at ``pos``, or ``None``."""
    match = _NUMBER.match(text, pos)
    return match.end() if match else None
