"""Terms as they sound: toneless pinyin, one private character a syllable, so that 报井 and baojing meet 报警."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import files

from pypinyin import lazy_pinyin
from pypinyin.constants import PINYIN_DICT
from pypinyin.phrases_dict import phrases_dict

from compliance_checks.normalise import View, is_han

_BASE = 0xE000  # the private use area holds one character a syllable
_LATIN_RUN = re.compile(r"[a-zü]+")


@lru_cache(maxsize=1 << 15)
def syllable(char: str) -> str:
    """Toneless pinyin of one Chinese character (its commonest reading), or ``""``."""
    if not is_han(char) or ord(char) not in PINYIN_DICT:
        return ""
    return str(lazy_pinyin(char, v_to_u=False)[0])


@cache
def _codes() -> dict[str, str]:
    names = sorted({syllable(chr(point)) for point in PINYIN_DICT if 0x4E00 <= point <= 0x9FFF} - {""})
    return {name: chr(_BASE + index) for index, name in enumerate(names)}


@cache
def _common_words() -> frozenset[str]:
    """Words of ordinary Chinese: text that spells one of these is not a disguise of another word."""
    text = files("opencc").joinpath("dictionary", "STPhrases.txt").read_text(encoding="utf-8")
    return frozenset(line.partition("\t")[0] for line in text.splitlines()) | frozenset(phrases_dict)


# Particles and other words of grammar: disguises use rare characters, chance likeness uses these.
_GRAMMAR = frozenset(
    "的了不我你您他她它是在一有就也都和吗嘛呢吧啊这那个们来去到上下会要可以没还很被把给让跟对从为之与及或但而又再才只更最太么"
)
# Common words that the dictionaries lack.
_MORE_WORDS = frozenset({"保安", "加人", "先告", "人士", "伤害", "自己"})


# Pairs so common that they never fall apart: 好自己 is 好 + 自己, 报证件 is 报 + 证件.
_PAIRS = (
    "自己证件证明身份手机电话银行客服您好时间方便安心放心耐心关心担心逾期还款本期本人客户联系谢谢请问"
    "稍后处理办理申请方案分期金额账单到期最低工作现在今天明天家人朋友公司单位打扰提醒通知确认核实信息"
    "服务人工转接同事记录登记通话录音来电接听号码密码合同利息额度手续流程安排计划收入困难理解抱歉感谢"
    "愉快健康注意安全保重身体情况问题可以需要希望没有已经如果因为所以什么怎么我们您的一下一个以后以前"
    "知道告诉"
)
STRONG = frozenset(_PAIRS[i : i + 2] for i in range(0, len(_PAIRS), 2))


def is_word(text: str) -> bool:
    """True if ``text`` is an ordinary word or holds grammar: then its likeness to a term is chance."""
    return text in _common_words() or text in _MORE_WORDS


def has_grammar(text: str) -> bool:
    return any(char in _GRAMMAR for char in text)


@lru_cache(maxsize=1 << 14)
def code(char: str) -> str:
    return _codes().get(syllable(char), char)


def spell(term: str) -> str:
    """``term`` as syllable characters; characters without a reading stay themselves."""
    return "".join(code(char) for char in term)


def spellings(term: str) -> tuple[str, ...]:
    """``term`` as syllables, and with any one of them cut to its first letter, as in 脑c for 脑残."""
    codes = spell(term)
    initials = [syllable(char)[:1] for char in term]
    cut = (codes[:i] + initial + codes[i + 1 :] for i, initial in enumerate(initials) if initial)
    return (codes, *cut)


@lru_cache(maxsize=4096)
def split_pinyin(letters: str) -> tuple[str, ...]:
    """``letters`` cut into pinyin syllables, longest first with backtracking; empty if it is not pinyin."""
    codes = _codes()
    reach: list[tuple[str, ...] | None] = [None] * (len(letters) + 1)
    reach[0] = ()
    for end in range(1, len(letters) + 1):
        for start in range(max(0, end - 6), end):
            before = reach[start]
            if before is not None and letters[start:end].replace("ü", "v") in codes:
                reach[end] = (*before, letters[start:end])
                break
    return reach[len(letters)] or ()


def sound_view(view: View) -> View:
    """The Chinese view as syllables; Latin runs that are pinyin become syllables too, single letters stay."""
    text: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    source = view.text
    pos = 0
    while pos < len(source):
        char = source[pos]
        if "a" <= char <= "z":
            match = _LATIN_RUN.match(source, pos)
            run = match.group() if match else char
            cut = pos
            for part in split_pinyin(run) if 2 <= len(run) <= 24 else ():
                text.append(_codes()[part.replace("ü", "v")])
                starts.append(cut)
                ends.append(cut + len(part))
                cut += len(part)
            if cut == pos:
                text.append(run if len(run) == 1 else " ")
                starts.append(pos)
                ends.append(pos + len(run))
            pos += len(run)
            if pos < len(source) and source[pos] == " ":
                pos += 1
            continue
        text.append(code(char))
        starts.append(pos)
        ends.append(pos + 1)
        pos += 1
    return View("".join(text), tuple(starts), tuple(ends))
