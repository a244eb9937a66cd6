"""Build the everyday-speech files `general_zh.txt` and `general_en.txt` from public dialogue corpora.

    python -m asr.grammar.build_general FOLDER

FOLDER holds `cped_valid.csv`, `clinc150.json`, `banking77_train.csv` and `goemotions_train.tsv`; SOURCES.md beside
this file names their licences and what the filter does. The result is the same for the same input.
"""

import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from zlib import crc32

LINES = 6000
MAX_CHARACTERS = 28
MAX_WORDS = 16
_HAN = re.compile(r"[\u4e00-\u9fff，。？！、]+")
_WORDS = re.compile(r"[A-Za-z][A-Za-z']*")
_RUDE_ZH = re.compile(
    r"妈的|他妈|你妹|操|屁|屎|尿|靠|傻[逼比]|贱|婊|鸡巴|混蛋|王八|滚|死|杀|奸|淫|裸|嫖|妓|强暴|变态|流氓|脑残|"
    r"白痴|废物|骚|色狼|上床|睡了|怀孕|堕胎|炸|毒|枪|尸|鬼子|日本人|黑人|神经病|有病|去你|畜生|狗|猪|太监|处女"
)
_RUDE_EN = frozenset(
    _WORDS.findall(
        """ass asses asshole bastard bitch bitches bloody boob boobs bullshit crap crappy cunt damn dammit damned
        dick dicks dumb dumbass fag faggot fat fuck fucked fucker fuckin fucking fucks goddamn gay gays hell hoe
        idiot idiots incel jerk kill killed killing killer lmao lol loser masturbate moron morons murder naked
        nazi nazis nigga nigger penis piss pissed porn porno pussy queer racist rape raped rapist retard
        retarded sex sexual sexually sexist sexy shit shitty shoot shooting shot slut sluts stupid suck sucked
        sucks suicide terrorist tits trans transgender trump ugly vagina virgin whore wtf omg lmfao lmao tf af
        dude's xd racism muslim muslims jew jews black white christian christians jesus god liberal liberals
        republican republicans democrat democrats abortion drug drugs weed meth heroin cocaine drunk horny rapes
        dying died dead"""
    )
)
_APOSTROPHES = dict(
    pair.split("=")
    for pair in re.split(
        r"\s+",
        "whats=what's dont=don't im=i'm cant=can't didnt=didn't doesnt=doesn't isnt=isn't ive=i've "
        "youre=you're thats=that's wasnt=wasn't havent=haven't wouldnt=wouldn't couldnt=couldn't "
        "shouldnt=shouldn't hasnt=hasn't arent=aren't theyre=they're wheres=where's hows=how's whos=who's "
        "ok=okay ya=you u=you",
    )
)
_ACRONYMS = frozenset(
    _WORDS.findall("atm id pin usa uk us tv pto apr irs ira usd gbp eur aud sms sepa swift iban faq ai")
)


def _order(text: str) -> int:
    return crc32(text.encode("utf-8"))


def chinese(folder: Path) -> Iterator[str]:
    """Clean Chinese lines of television dialogue, simplified, no names of the cast."""
    from opencc import OpenCC

    simplify = OpenCC("t2s").convert
    with (folder / "cped_valid.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    cast = {row["Speaker"] for row in rows if len(row["Speaker"]) > 1}
    cast |= {name[1:] for name in cast if len(name) == 3} | {name[-1] * 2 for name in cast}
    for row in rows:
        text = simplify(row["Utterance"].strip()).replace("〇", "零").replace("妳", "你").replace(" ", "，")
        text = text.replace(",", "，").replace("?", "？").replace("!", "！").strip("，、")
        if not 2 <= len(text) <= MAX_CHARACTERS or not _HAN.fullmatch(text):
            continue
        if _RUDE_ZH.search(text) or any(name in text for name in cast):
            continue
        yield text


def _english_raw(folder: Path) -> Iterator[tuple[str, str]]:
    clinc = json.loads((folder / "clinc150.json").read_text(encoding="utf-8"))
    for part in sorted(clinc):
        yield from (("clinc", text) for text, _ in clinc[part])
    with (folder / "banking77_train.csv").open(encoding="utf-8", newline="") as file:
        yield from (("banking", row["text"]) for row in csv.DictReader(file))
    with (folder / "goemotions_train.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            yield "emotions", row[0]


def english(folder: Path) -> Iterator[tuple[str, str]]:
    """(source, clean line) of English, one source after the other; only words that the whole collection knows well."""
    kept: list[tuple[str, str, list[str]]] = []
    for source, raw in _english_raw(folder):
        line = raw.strip().replace("’", "'").replace("\n", " ")
        if re.search(r"[^A-Za-z',.?! ]|[A-Z]{4,}", line):
            continue
        line = re.sub(r"\.{2,}|!+", ".", line)
        line = _WORDS.sub(lambda m: _APOSTROPHES.get(m.group().lower(), m.group()), line)
        line = re.sub(r"\s+([,.?])", r"\1", re.sub(r"\s+", " ", line)).strip(" ,'").lstrip(".? ,")
        words = [word.lower() for word in _WORDS.findall(line)]
        if not 2 <= len(words) <= MAX_WORDS or any(word in _RUDE_EN for word in words):
            continue
        if any(len(word) == 1 and word not in "ai" for word in words):
            continue
        line = " ".join(
            token.upper() if token.strip(",.?").lower() in _ACRONYMS and token.lower() != "us" else token.lower()
            for token in line.split()
        )
        kept.append((source, re.sub(r"\bi\b", "I", line), words))
    known = Counter(word for _, _, words in kept for word in set(words))
    for source, line, words in kept:
        if all(known[word] >= (4 if source == "emotions" else 3) for word in words):
            yield source, line


def choose(lines: Iterable[str], count: int, units: type[str] | None = None) -> list[str]:
    """`count` different lines: first those with a rare character (for `units=str`), then by the hash of their text."""
    seen: dict[str, str] = {}
    for line in lines:
        seen.setdefault(re.sub(r"[\W_]+", "", line).lower(), line)
    ordered = sorted(seen.values(), key=_order)
    chosen: list[str] = []
    rest: list[str] = []
    counts: Counter[str] = Counter()
    for line in ordered:
        if units is str and any(counts[character] < 3 for character in line):
            chosen.append(line)
            counts.update(line)
        else:
            rest.append(line)
    return sorted((chosen + rest)[:count], key=_order)


def build(folder: Path, target: Path) -> None:
    """Write both files into `target`."""
    zh = choose(chinese(folder), LINES, str)
    (target / "general_zh.txt").write_text("\n".join(zh) + "\n", encoding="utf-8")
    pools: dict[str, list[str]] = {}
    for source, line in english(folder):
        pools.setdefault(source, []).append(line)
    en = choose((line for pool in pools.values() for line in choose(pool, LINES // len(pools))), LINES)
    (target / "general_en.txt").write_text("\n".join(en) + "\n", encoding="utf-8")
    sys.stdout.write(f"general_zh.txt: {len(zh)} lines, {len(set(''.join(zh)))} characters\n")
    sys.stdout.write(f"general_en.txt: {len(en)} lines\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m asr.grammar.build_general FOLDER")
    build(Path(sys.argv[1]), Path(__file__).parent)
