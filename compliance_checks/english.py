"""The English reading: words one space apart, with the spelling tricks undone that hide a word of the rules.

Leetspeak, stretched letters, letters spelt apart, symbols inside words and contractions are read as they are heard.
"""

from __future__ import annotations

import re
from functools import lru_cache

from compliance_checks.folding import CLAUSE_BREAKS, SENTENCE_ENDS, View, is_han

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
    disguised = not token.isalpha()
    for candidate in candidates[1:]:
        if candidate in known or (disguised and candidate in known.short):
            return candidate
    for heard in dict.fromkeys(map(_by_sound, candidates)):
        # Only as a form of a known word: what merely begins like one is another word (pizza).
        if heard in known and _ENDING.fullmatch(heard[known.known_letters(heard) :]):
            return heard
    return token


_ENDING = re.compile(
    r"(?:e?s|e?d|ing|ings|ers?|ors?|ly|y|ies|ied|ion|ions|ment|ments|able|faces?|heads?|bags?|balls?)?"
)
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
