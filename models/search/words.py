"""Cuts text of any script into the terms that are indexed and searched; the same cut for items and questions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from .stem import stem
from .units import MEASURE, measure, plain_measures

MOST_CHARACTERS = 2_000     # of a question; of an item's text the index takes MOST_OF_ITEM
MOST_TERMS = 128
MOST_OF_ITEM = 20_000
LONGEST_WORD = 40

# Traditional characters that shops use, to the simplified ones.
TRADITIONAL = str.maketrans(
    "褲襪傘紅綠藍黃兒無運動適號碼輕寬長絨綿織線電鍋燈書鹽氣飲雞魚麵乾濕過這個買給為來會樣種頭點熱涼險選擇購貨價錢雙隻條張瓶臺櫃廚傢俱門開關時間"
    "單層舊窗簾機車騎腳銀鋼鐵銅紙質塊產網圓領釦鈕鏈軟滿裝飾鍛煉雪靴衛護膚療藥貓寵愛禮節歲嬰幫總變慣學習與還沒對請聽說讀寫燒壺盤餐筆記耳機響"
    "緩衝減壓乳糖蘋葉鮮凍業團體驗級檔雜糧麥豬羊蝦蟹貝類農場標準離線連內褲發熱壞環顏淺純絲緞滌綸樹脂復雙層懸掛"
    "風電飛馬鳥門問間聞開關顧頭題願顆顏類飯餅館驗黨齊齒齡龍龜專東兩嚴並喪個豐臨為麗舉義樂喬習鄉書買亂爭於虧雲產親億僅從倉儀們價優會傘傳傷倫偉側偵傾僑儲克兌兒內冊寫軍農馮沖決況凍淨準涼減湊凱別刪則剛創劃劇劉",
    "裤袜伞红绿蓝黄儿无运动适号码轻宽长绒绵织线电锅灯书盐气饮鸡鱼面干湿过这个买给为来会样种头点热凉险选择购货价钱双只条张瓶台柜厨家具门开关时间"
    "单层旧窗帘机车骑脚银钢铁铜纸质块产网圆领扣纽链软满装饰锻炼雪靴卫护肤疗药猫宠爱礼节岁婴帮总变惯学习与还没对请听说读写烧壶盘餐笔记耳机响"
    "缓冲减压乳糖苹叶鲜冻业团体验级档杂粮麦猪羊虾蟹贝类农场标准离线连内裤发热坏环颜浅纯丝缎涤纶树脂复双层悬挂"
    "风电飞马鸟门问间闻开关顾头题愿颗颜类饭饼馆验党齐齿龄龙龟专东两严并丧个丰临为丽举义乐乔习乡书买乱争于亏云产亲亿仅从仓仪们价优会伞传伤伦伟侧侦倾侨储克兑儿内册写军农冯冲决况冻净准凉减凑凯别删则刚创划剧刘")

HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
JOINED = HAN + r"\u3040-\u30ff\uac00-\ud7af\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff"   # scripts without spaces
REST = (rf"(?P<word>[^\W_{JOINED}]+(?:['’][^\W_{JOINED}]+)*)|(?P<joined>[{JOINED}]+)"
        r"|(?P<picture>[\u2600-\u27bf\u2b00-\u2bff\U0001f300-\U0001faff])")
PIECES = re.compile(rf"(?P<measure>{MEASURE})|" + REST.replace(f"[{JOINED}]+)|", f"(?:(?!{MEASURE})[{JOINED}])+)|"))
PLAIN_PIECES = re.compile(REST)
MAY_MEASURE = re.compile(r"\d|size|eu |[码号零一二两三四五六七八九十百千万半]")     # there is no measure without: faster
IS_HAN = re.compile(rf"[{HAN}]")
PLAIN = re.compile(r"[\x00-\x7f]*\Z")
SPACE = str.maketrans(dict.fromkeys(map(chr, [*range(32), *range(127, 160)]), " ") | dict.fromkeys("‐‑", "-"))
GONE = dict.fromkeys([0x200b, 0x200c, 0x200d, 0x2060, 0xfeff, 0xad, *range(0xfe00, 0xfe10), *range(0x202a, 0x202f),
                      *range(0x2066, 0x206a), *range(0x1f3fb, 0x1f400)])

EMPTY_WORDS = (
    "a an and are as at be by can do for from get have i in is it its like looking me my of on or some something that the "
    "their them there these they this to want we what which will with would you your need please show but who whom whose "
    "find buy give any good nice best really very just also when where while am im ill id hi hello us our one "
    "ones pair should could may might if so")
STOP = frozenset(EMPTY_WORDS.split())
ORDINARY_WORDS = (
    "two three four five six seven eight nine ten twelve twenty hundred year years old new day days time times home house "
    "most more less than much many lot lots only even still never always every each other another same such then here today "
    "now make made makes keep keeps take goes going come comes work works use used using wear worn around into onto over "
    "under after before between through without because since until both either neither almost quite rather enough people "
    "person friend family someone anyone thing things stuff kind type sort feel feels look looks help helps hold holds fit "
    "fits lets must doesnt dont isnt wont cant think know love loves hate like easy hard long short high low own per his "
    "her him she he who how why has had was were been being did does done")
ORDINARY = frozenset(ORDINARY_WORDS.split())      # words of any question, which are nobody's typo
STOP_HAN = frozenset("的了我想要请给吗呢吧啊么是在和与或这那你您们就也还很把被让对于")
EMPTY_HAN = re.compile(
    "我想要|想要|我要|有没有|有什么|什么|推荐|适合|适用于|可以|的时候|时候|时用|一双|"
    "一款|一件|一个|一条|一些|一下|一种|哪种|哪款|比较|能够|帮我|找找|找一|"
    "需要|希望|最好|一点|看看|买点|打算|应该|东西|产品|商品")


class Piece(NamedTuple):
    """A piece of a question: `kind` word, joined (a script without spaces), measure or picture (an emoji), and its place."""

    kind: str
    text: str
    start: int
    end: int


def normal(text: str, most: int = MOST_CHARACTERS) -> str:
    """`text` in one form: full width to half, upper to lower case, traditional to simplified, no control characters."""
    text = text[:most]
    if PLAIN.match(text):
        return plain_measures(text.lower().translate(SPACE))
    text = unicodedata.normalize("NFKC", text)[:2 * most]      # one character can become eighteen
    return plain_measures(text.casefold().translate(GONE).translate(TRADITIONAL).translate(SPACE))


def cut(text: str) -> Iterator[re.Match[str]]:
    """The matches of the pieces of a text that went through `normal`; the name of the group is the kind."""
    return (PIECES if MAY_MEASURE.search(text) else PLAIN_PIECES).finditer(text)


def pieces(text: str) -> Iterator[Piece]:
    """The pieces of a text that went through `normal`, in order."""
    for found in cut(text):
        kind, piece = found.lastgroup or "word", found[0]
        yield Piece(kind, piece if kind == "joined" else piece[:LONGEST_WORD], *found.span())


def terms(piece: Piece, searched: bool = False) -> list[str]:
    """The index terms of a piece. `searched`: those that are worth asking for, without stop words.

    A word gives its stem; a run of Chinese its characters and pairs of neighbours (asked for: the pairs, and a
    character only where it stands alone); another script its letters by two or, where it has spaces, by three as well
    as whole; a measure ("0.5 l") the number in its base unit.
    """
    if piece.kind == "measure":
        return measure(piece.text)
    if piece.kind == "picture":
        return [piece.text]
    if piece.kind == "joined":
        return list(joined_terms(piece.text, searched))
    return list(word_terms(piece.text, searched))


@lru_cache(maxsize=100_000)
def word_terms(text: str, searched: bool) -> tuple[str, ...]:
    """`terms` of a word."""
    text = text.replace("’", "'").removesuffix("'s").replace("'", "")
    if text.isascii():
        return () if searched and text in STOP else (stem(text),)
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    if plain.isascii():                    # café, jäger
        return (stem(plain),)
    return (text, *(text[i:i + 3] for i in range(len(text) - 2) if len(text) > 3))


@lru_cache(maxsize=100_000)
def joined_terms(text: str, searched: bool) -> tuple[str, ...]:
    """`terms` of a run of a script without spaces."""
    if not searched:
        return (*text, *(text[i:i + 2] for i in range(len(text) - 1)))
    text = EMPTY_HAN.sub("的", text)
    # A pair with a stop character says nothing of the goods.
    pairs = [pair for i in range(len(text) - 1) if STOP_HAN.isdisjoint(pair := text[i:i + 2])]
    covered = {c for pair in pairs for c in pair}
    return (*pairs, *(c for c in text if c not in STOP_HAN and c not in covered))


def all_terms(text: str, searched: bool = False) -> list[str]:
    """Every term of any text, bounded; what is beyond the bounds is left out."""
    found: list[str] = []
    for piece in pieces(normal(text, MOST_CHARACTERS if searched else MOST_OF_ITEM)):
        found += terms(piece, searched)
        if searched and len(found) >= MOST_TERMS:
            return found[:MOST_TERMS]
    return found
