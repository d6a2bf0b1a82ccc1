"""Numbers that people write with units, in English and Chinese: sizes, volumes, weights, lengths, and bands of prices."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

DIGITS = {"零": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
TENS = {"十": 10, "百": 100, "千": 1000, "万": 10_000}
HAN_NUMBER = "[零一二两三四五六七八九十百千万半]{1,8}"
NUMBER = rf"(?:\d{{1,3}}(?:,\d{{3}})+(?:\.\d{{1,2}})?|\d{{1,7}}(?:[.,]\d{{1,3}})?|{HAN_NUMBER})"

# Unit as written -> (base unit, how many of it). Longer spellings first: the pattern takes the first that fits.
UNITS: dict[str, tuple[str, float]] = {
    "millilitres": ("ml", 1), "milliliters": ("ml", 1), "millilitre": ("ml", 1), "milliliter": ("ml", 1),
    "litres": ("ml", 1000), "liters": ("ml", 1000), "litre": ("ml", 1000), "liter": ("ml", 1000), "毫升": ("ml", 1),
    "公升": ("ml", 1000), "ml": ("ml", 1), "cl": ("ml", 10), "dl": ("ml", 100),
    "fl oz": ("ml", 29.5735), "fl. oz": ("ml", 29.5735), "升": ("ml", 1000),
    "kilograms": ("g", 1000), "kilogram": ("g", 1000), "kilos": ("g", 1000), "kilo": ("g", 1000), "grams": ("g", 1),
    "gram": ("g", 1), "千克": ("g", 1000), "公斤": ("g", 1000), "kg": ("g", 1000), "斤": ("g", 500), "克": ("g", 1),
    "mg": ("g", 0.001), "毫克": ("g", 0.001), "ounces": ("g", 28.3495), "ounce": ("g", 28.3495), "oz": ("g", 28.3495),
    "lbs": ("g", 453.592), "lb": ("g", 453.592),
    "centimetres": ("mm", 10), "centimeters": ("mm", 10), "millimetres": ("mm", 1), "metres": ("mm", 1000),
    "meters": ("mm", 1000), "metre": ("mm", 1000), "meter": ("mm", 1000), "inches": ("mm", 25.4), "inch": ("mm", 25.4),
    "英寸": ("mm", 25.4), "厘米": ("mm", 10), "公分": ("mm", 10), "毫米": ("mm", 1), "米": ("mm", 1000), "寸": ("mm", 25.4),
    "cm": ("mm", 10), "mm": ("mm", 1), "feet": ("mm", 304.8), "foot": ("mm", 304.8), "ft": ("mm", 304.8),
    "mah": ("mah", 1), "毫安时": ("mah", 1), "毫安": ("mah", 1),
    "watts": ("w", 1), "watt": ("w", 1), "瓦": ("w", 1), "kw": ("w", 1000), "千瓦": ("w", 1000),
    "gb": ("gb", 1), "tb": ("gb", 1024),
    "volts": ("v", 1), "volt": ("v", 1), "persons": ("person", 1), "person": ("person", 1), "people": ("person", 1),
    "人": ("person", 1), "pieces": ("piece", 1), "pcs": ("piece", 1), "片": ("piece", 1), "%": ("%", 1),
    "l": ("ml", 1000), "g": ("g", 1), "m": ("mm", 1000), "w": ("w", 1), "v": ("v", 1),
}
_LATIN = "|".join(sorted((re.escape(u) for u in UNITS if u.isascii() and u[0].isalpha()), key=len, reverse=True))
_OTHER = "|".join(sorted((u for u in UNITS if not (u.isascii() and u[0].isalpha())), key=len, reverse=True))
LARGER = {"ml": (("l", 1000.0),), "g": (("kg", 1000.0),), "mm": (("m", 1000.0), ("cm", 10.0)), "gb": (("TB", 1024.0),),
          "w": (("kW", 1000.0),)}       # base unit -> how larger amounts are written
MOST_SPANS = 4
UNIT = rf"(?:(?:{_LATIN})(?![a-z])|(?:{_OTHER}))"
LETTER_SIZE = r"(?:xxxl|xxl|xl|xs|s|m|l|\dxl)"
SIZE = (rf"(?:size|eu|尺码|鞋码)\s?(?:eu\s?)?(?:\d{{2}}(?:\.5)?(?!\d)|{LETTER_SIZE}(?![a-z]))"
        rf"|\b\d{{2}}(?:\.5)?\s?[码号]|(?<![a-z]){LETTER_SIZE}\s?[码号]")
MEASURE = rf"(?:{SIZE})|(?<![\d.,]){NUMBER}\s?-?{UNIT}"
_SIZE_VALUE = re.compile(rf"\d{{2}}(?:\.5)?|{LETTER_SIZE}(?![a-z])")
_SIZED = re.compile(SIZE)
_PARTS = re.compile(rf"({NUMBER})\s?-?({UNIT})")


@lru_cache(maxsize=100_000)
def measure_terms(text: str) -> tuple[str, ...]:
    """`measure`, kept."""
    if _SIZED.fullmatch(text):
        found = _SIZE_VALUE.findall(text)
        return (f"#size{found[-1]}",) if found else ()
    parts = _PARTS.fullmatch(text)
    if parts is None:
        return ()
    base, factor = UNITS[parts[2]]
    return (f"#{round(number(parts[1]) * factor, 3):g}{base}",)


def measure(text: str) -> list[str]:
    """The term of a measure: "0.5 l" and "500 毫升" are both "#500ml", "42 码" and "size 42" both "#size42"."""
    return list(measure_terms(text))


# ---- other ways to write a measure

_WORDS = {"half": 0.5, "quarter": 0.25, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
          "nine": 9, "ten": 10, "twelve": 12}
_LONG = "|".join(sorted((u for u in UNITS if u.isascii() and u.isalpha() and len(u) > 3), key=len, reverse=True))
MAY_REWRITE = re.compile(r"[/\u2044×半之]|\d\s?[x*]\s?\d|(?<!\d)[.,]\d|\b(?:" + "|".join(_WORDS) + r")\b")
_FRACTION = re.compile(rf"(?<![\d/\u2044.,])(?:(\d{{1,2}})\s)?(\d{{1,2}})[/\u2044](\d{{1,3}})(?=\s?-?{UNIT})")
_PART = re.compile(rf"([一二两三四五六七八九十]{{1,3}})分之([一二两三四五六七八九十]{{1,3}})(?=\s?{UNIT})")
_AND_HALF = re.compile(rf"(\d{{1,4}}|[一二两三四五六七八九十]{{1,3}})个?({_OTHER})半")
_SPOKEN = re.compile(rf"\b(?:(\w+) and an? )?({'|'.join(_WORDS)})(?: of)?(?: an?)?[ -](?=(?:{_LONG})(?![a-z]))")
_BARE = re.compile(rf"(?<!\S)[.,](?=\d{{1,3}}\s?-?{UNIT})")
_TIMES = re.compile(rf"(?<![\d.,a-z])(\d{{1,3}})\s?[x×*]\s?(?={NUMBER}\s?-?{UNIT})")


def plain_measures(text: str) -> str:
    """A normal text with "1/2 l", ".5 l", "half a litre", "1公斤半" and "四分之一升" as decimals, "6x330ml" apart."""
    if MAY_REWRITE.search(text) is None:
        return text
    text = _FRACTION.sub(lambda m: f"{int(m[1] or 0) + int(m[2]) / (int(m[3]) or 1):.4g}", text)
    text = _PART.sub(lambda m: f"{number(m[2]) / (number(m[1]) or 1):.4g}", text)
    text = _AND_HALF.sub(lambda m: f"{number(m[1]) + 0.5:g}{m[2]}", text)
    text = _SPOKEN.sub(_spoken, text)
    text = _BARE.sub("0.", text)
    return _TIMES.sub(r"\1 x ", text)


def _spoken(found: re.Match[str]) -> str:
    whole = _WORDS.get(found[1] or "", 0.0)
    return f"{whole + _WORDS[found[2]]:g} " if whole or not found[1] else f"{found[1]} and {_WORDS[found[2]]:g} "


_DASH = r"\s?(?:-|~|–|—|to|and|到|至)\s?"
_FROM = r"(?:at least|from|over|more than|above|min(?:imum)?|>=?|至少|不少于|不低于|超过|大于|多于)"
_UP_TO = (r"(?:at most|up to|under|below|less than|no more than|not more than|not over|within|smaller than|max(?:imum)?|<=?|"
          r"最多|不超过|不要超过|低于|少于|小于|不到)")
_SPANS = (
    re.compile(rf"(?:between |from )?(?P<low>{NUMBER})\s?-?(?P<first>{UNIT})?{_DASH}"
               rf"(?P<high>{NUMBER})\s?-?(?P<unit>{UNIT})(?:之间)?"),
    re.compile(rf"{_UP_TO}\s?(?P<high>{NUMBER})\s?-?(?P<unit>{UNIT})"),
    re.compile(rf"{_FROM}\s?(?P<low>{NUMBER})\s?-?(?P<unit>{UNIT})"),
    re.compile(rf"(?P<low>{NUMBER})\s?-?(?P<unit>{UNIT})\s?(?:or more|or larger|and up|and above|以上|起)"),
    re.compile(rf"(?P<high>{NUMBER})\s?-?(?P<unit>{UNIT})\s?(?:or less|or smaller|at most|以下|以内|之内|之下)"),
)


@dataclass(frozen=True)
class Span:
    """Measures from `low` to `high` in a base unit, as "#30000ml" says them."""

    low: float
    high: float
    base: str
    phrase: str

    def has(self, value: float) -> bool:
        """True where a measure of that base lies in it."""
        return self.low * (1 - 1e-6) <= value <= self.high * (1 + 1e-6)


def measure_spans(text: str) -> tuple[tuple[Span, ...], str]:
    """(the ranges of measures that a normal text asks for: "20-30 litres", "at least 1 kg"; the text with them blanked out)."""
    made: list[Span] = []
    if not any(c.isdigit() or c in DIGITS or c in TENS for c in text):
        return (), text
    for pattern in _SPANS:
        for found in list(pattern.finditer(text)):
            told = found.groupdict()
            base, factor = UNITS[told["unit"]]
            first = UNITS[told["first"]] if told.get("first") else (base, factor)
            low = number(told["low"]) * first[1] if told.get("low") else 0.0
            high = number(told["high"]) * factor if told.get("high") else math.inf
            if first[0] != base or low > high:
                continue
            made.append(Span(low, high, base, found[0].strip()))
            text = text[:found.start()] + " " * (found.end() - found.start()) + text[found.end():]
    return tuple(made[:MOST_SPANS]), text


def said_measure(term: str) -> str:
    """How people write a term of `measure`: "#30000ml" is "30 l"."""
    found = re.fullmatch(r"#([\d.]+(?:e[+-]?\d+)?)(ml|g|mm|gb|%|[a-z]+)", term)
    if found is None:
        return term.removeprefix("#size").removeprefix("#").upper()
    value, base = float(found[1]), found[2]
    if base in ("person", "piece"):
        return f"{short(value)} {base}{'' if value == 1 else 's'}"
    for unit, factor in LARGER.get(base, ()):
        if value >= factor:
            return f"{short(value / factor)} {unit}"
    return f"{short(value)} {'mAh' if base == 'mah' else base.upper() if base in ('w', 'v', 'gb') else base}".replace(" %", "%")


def short(value: float) -> str:
    """A number with at most two digits after the point, without zeros at the end."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def value_of(term: str) -> tuple[str, float] | None:
    """(base unit, value) of a term of `measure` that is no size, else None."""
    found = re.fullmatch(r"#([\d.]+(?:e[+-]?\d+)?)([a-z%]+)", term)
    return None if found is None else (found[2], float(found[1]))


def number(text: str) -> float:
    """The value of digits, or of a Chinese numeral up to some ten thousands ("三百五" is 350, "半" a half)."""
    if text[0].isdigit():
        if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", text):
            return float(text.replace(",", ""))
        return float(text.replace(",", "."))
    total, digit, last = 0.0, -1.0, 1.0
    for c in text:
        if c == "半":
            digit = 0.5 if digit < 0 else digit + 0.5
        elif c in TENS:
            total += (1.0 if digit < 0 else digit) * TENS[c]
            digit, last = -1.0, TENS[c]
        else:
            digit, last = float(DIGITS[c]), (1.0 if c == "零" else last)
    if digit < 0:
        return total
    return total + (digit * last / 10 if last > 10 and digit >= 1 else digit)


# ---- prices

CURRENCIES = {
    "€": "EUR", "eur": "EUR", "euros": "EUR", "euro": "EUR", "欧元": "EUR", "欧": "EUR", "$": "USD", "usd": "USD",
    "dollars": "USD", "dollar": "USD", "美元": "USD", "美金": "USD", "£": "GBP", "gbp": "GBP", "pounds": "GBP", "英镑": "GBP",
    "¥": "CNY", "rmb": "CNY", "cny": "CNY", "yuan": "CNY", "元": "CNY", "块钱": "CNY", "块": "CNY", "人民币": "CNY",
    "圆": "CNY",
}
_MONEY = "(?:" + "|".join(re.escape(c) + ("(?![a-z])" if c.isascii() and c.isalpha() else "")
                          for c in sorted(CURRENCIES, key=len, reverse=True)) + ")"


def _amount(name: str) -> str:
    """Groups NAME (the number), NAME_before and NAME_after (its currency); a unit that is no money does not follow."""
    return (rf"(?P<{name}_before>{_MONEY})?\s?(?P<{name}>{NUMBER})(?![\d.,]*\d)\s?"
            rf"(?P<{name}_after>{_MONEY})?(?!\s?-?{UNIT})(?!\s?[码号岁])")


BANDS: tuple[tuple[str, str, bool], ...] = (      # what it bounds, pattern, whether it takes a currency to be a price
    ("band", rf"(?:between|from)\s{_amount('a')}{_DASH}{_amount('b')}", False),
    ("band", rf"{_amount('a')}{_DASH}{_amount('b')}(?:之间)?", True),
    ("high", rf"(?:under|below|less than|cheaper than|up to|at most|no more than|not more than|not over|max(?:imum)?|within|"
             rf"budget(?: of| is)?|for less than|不超过|不要超过|别超过|最多|低于|少于|小于|不高于|"
             rf"预算(?:是|在|只有)?|<=?)[\s:]?{_amount('a')}"
             rf"(?:以内|以下|之内)?", False),
    ("high", rf"{_amount('a')}\s?(?:or less|or cheaper|or under|at most|max(?![a-z])|以下|以内|之内|之下|封顶|不到)", False),
    ("low", rf"(?:over|above|more than|at least|from|starting at|超过|高于|至少|不低于|"
            rf"不少于|大于|>=?)\s?{_amount('a')}", True),
    ("low", rf"{_amount('a')}\s?(?:or more|and up|and above|以上|起)", True),
    ("near", rf"(?:about|around|roughly|some|circa|约|大约|大概|差不多|~)\s?{_amount('a')}(?:左右)?", True),
    ("near", rf"(?:about|around|roughly|circa|约|大约|大概|差不多)\s?{_amount('a')}(?=\s*(?:$|[,.;!?，。；！？]))", False),
    ("near", rf"{_amount('a')}\s?(?:左右|上下)", False),
    ("near", rf"{_amount('a')}", True),
)
_PATTERNS = tuple((kind, re.compile(pattern), strict) for kind, pattern, strict in BANDS)
NEAR = 0.2


@dataclass(frozen=True)
class Band:
    """Prices from `low` to `high`, in `currency` where the question named one ("" otherwise)."""

    low: float = 0.0
    high: float = math.inf
    currency: str = ""


def price_band(text: str) -> tuple[Band | None, str]:
    """(the band of prices that a normal text asks for, the text with it blanked out)."""
    for kind, pattern, strict in _PATTERNS:
        for found in pattern.finditer(text):
            groups = found.groupdict()
            written = [groups[g] for g in groups if g.endswith(("_before", "_after")) and groups[g]]
            if strict and not written:
                continue
            values = sorted(number(groups[g]) for g in ("a", "b") if groups.get(g))
            low = values[0] if kind in ("band", "low") else values[0] * (1 - NEAR) if kind == "near" else 0.0
            high = values[-1] if kind in ("band", "high") else values[0] * (1 + NEAR) if kind == "near" else math.inf
            blank = text[:found.start()] + " " * (found.end() - found.start()) + text[found.end():]
            return Band(low, high, CURRENCIES[written[0]] if written else ""), blank
    return None, text
