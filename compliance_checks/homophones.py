"""Terms as they sound: toneless pinyin, one private character a syllable, so that 报井 and baojing meet 报警."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import files

from pypinyin import lazy_pinyin
from pypinyin.constants import PINYIN_DICT
from pypinyin.phrases_dict import phrases_dict

from compliance_checks.folding import View, is_han

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
# Common words that the dictionaries lack: those of jieba's list (0.42, frequency 300 or more) that sound like a term.
_SOUND_ALIKE = (
    "资源 亿元 形式 先进 设计 实际 统治 实施 事业 报道 首先 第二 意义 自由 利益 股东 电子 武功 "
    "位置 指挥 指导 事件 问道 手中 即使 保障 遗址 实验 省级 形势 西部 实践 统计 宜昌 实力 进步 "
    "常常 现实 加入 逐步 势力 试验 事实 眼前 自身 百姓 作者 宝玉 十堰 异常 接触 原理 点亮 电力 "
    "职能 真实 建国 消失 社稷 前进 声明 事项 连接 县市 兵力 局部 主义 始建 想象 前者 官军 瞧瞧 "
    "祭祀 等级 深深 神情 依次 无比 省直 利害 接过 兵刃 立时 公子 危害 截至 时机 情景 工部 家中 "
    "自成 收益 直至 阻止 证实 收集 智慧 防治 登陆 眼中 支撑 精力 登基 本市 武士 英勇 仪器 零售 "
    "逝世 舰艇 硕士 兵部 闻名 帮主 明明 十八 优点 池河 珍稀 必需 答道 财物 道士 字形 已知 气势 "
    "国师 股市 董事 骑马 点滴 奖励 全力 公式 专政 两届 激起 廷杖 饲养 妇人 礼仪 殿试 接收 自幼 "
    "专科 练习 树木 着实 小事 理智 改编 移植 拥护 校区 届时 公使 富人 皇权 涨幅 现今 座位 介质 "
    "使者 进深 牢牢 包裹 驾驶 图形 示意 人性 时常 督察 海湾 湖水 果实 执掌 记述 芦花 加剧 骑士 "
    "翌年 束缚 攻势 机电 政事 接口 典礼 实业 本性 遗留 底部 北岸 预警 变质 集成 歌剧 石化 手势 "
    "奉献 默默 迁移 眼镜 新人 攻破 终止 四项 敌方 贬值 圣旨 二世 市级 坚实 年级 玉器 新浪 假装 "
    "微波 时时 假使 赏赐 赚钱 诗篇 武官 自卫 视野 剪刀 职员 近年 务实 祭天 媒介 两行 轻声 油脂 "
    "四级 奋起 仙人 失利 事变 营地 移居 飞舞 宝刀 事例 诗集 实事 救济 意味 石狮 未知 资讯 心腹 "
    "火器 史记 想像 霎时 初时 千张 高陵 侍候 急需 史诗 民俗 笔记 书目 邮电 意杨 启示 终点 警戒 "
    "忠心 财力 菊花 方形 艺人 玉音 手艺 桂花 公私 小厮 南移 科比 小字 字迹 身手 节点 理事 深情 "
    "小腹 银杏 放置 妊娠 阵势 孝子 隐形 救灾 汉堡 神位 楚国 良性 舰载 清初 意境 驻守 型式 即刻 "
    "视力 竞技 萎缩 即时 意旨 炉子 四季 福晋 世事 停滞 简易 田径 器件 兵士 黄花 声学 大营 厅长 "
    "机组 身披 生机 首级 病例 通史 质子 理科 三世 高职 童话 古籍 严整 失常 唧唧 生计 中指 闻讯 "
    "绝顶 实情 医治 限额 指使 史实 伴奏 戈壁 古文 进取 戒备 两性 试剂 点子 人世 经管 得失 平平 "
    "幼稚 实时 问话 矗立 纯洁 工事 忌讳 十名 久久 种质 遗物 行至 贵阳 典章 柱头 平整 声名 吸附 "
    "三步 九十 物事 欣喜 各门 古时 刻意 鼓动 阳性 百货 影像 每每 棋子 放宽 晴雯 笑意 其子 金庸 "
    "医务 矮子 大牌 公事 简明 颂扬 议定 顾忌 牌照 国事 劳工 漆树 安庆 衣物 实例 异样 熠熠 字型 "
    "凡事 十道 中阳 小张 用油 诱人 维新 承袭 受理 接受 年纪 柜员 电子版 "
    "粤语 闽南语 客家话 英语 方言 小姨 急事 诚实 衷心 福气 受益 心电图 "
)
_MORE_WORDS = frozenset(_SOUND_ALIKE.split()) | {"保安", "加人", "先告", "人士", "伤害", "自己", "贵案", "事宜", "钱走"}


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


class _Sounds(dict[int, str]):
    """For ``str.translate``: the syllable of each character that was met."""

    def __missing__(self, point: int) -> str:
        self[point] = found = code(chr(point))
        return found


_SOUNDS = _Sounds()
_LATIN = re.compile(r"[a-z]")


def sound_view(view: View) -> View:
    """The Chinese view as syllables; Latin runs that are pinyin become syllables too, single letters stay."""
    source = view.text
    if not _LATIN.search(source):
        return View(source.translate(_SOUNDS), tuple(range(len(source))), tuple(range(1, len(source) + 1)))
    text: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
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
