"""A small stemmer for English shop words: plurals and the commonest endings, so that "walking shoes" meets "shoe for walks"."""

from __future__ import annotations

VOWELS = frozenset("aeiouy")
ODD = {
    "men": "man", "women": "woman", "children": "child", "feet": "foot", "teeth": "tooth", "knives": "knife",
    "scarves": "scarf",
    "shelves": "shelf", "leaves": "leaf", "loaves": "loaf", "mice": "mouse", "clothes": "cloth", "clothing": "cloth",
    "dries": "dry", "dried": "dry", "lying": "lie", "series": "series", "news": "news", "gas": "gas", "lens": "lens",
    "something": "something", "anything": "anything", "nothing": "nothing", "everything": "everything", "during": "during",
    "spring": "spring", "string": "string", "ring": "ring", "king": "king", "evening": "evening", "morning": "morning",
    "bed": "bed", "red": "red", "shed": "shed", "speed": "speed", "seed": "seed", "need": "need", "feed": "feed",
}
KEPT_S = ("ss", "us", "is")
DOUBLED = frozenset("bdgklmnprt")


def stem(word: str) -> str:
    """The stem of a lower-case word; short words and words with digits or other letters than a to z stay as they are."""
    if len(word) < 4 or not (word.isascii() and word.isalpha()):
        return _last(ODD.get(word, word))
    if word in ODD:
        return _last(ODD[word])
    return _last(_ending(_plural(word)))


def _plural(word: str) -> str:
    if not word.endswith("s") or word.endswith(KEPT_S):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    return word[:-1]


def _ending(word: str) -> str:
    for ending in ("ing", "ed"):
        base = word[:-len(ending)]
        if word.endswith(ending) and len(base) >= 3 and not VOWELS.isdisjoint(base) and not base.endswith("e"):
            double = len(base) > 3 and base[-1] == base[-2] and base[-1] in DOUBLED
            return base[:-1] if double else base
    if word.endswith("ly") and len(word) > 5:
        return word[:-2]
    if word.endswith("ness") and len(word) > 6:
        return word[:-4]
    return word


def _last(word: str) -> str:
    """"hike" and "hik" (of "hiking"), "dry" and "dri" become one."""
    if word.endswith("e") and len(word) > 3:
        return word[:-1]
    if word.endswith("y") and len(word) > 3 and word[-2] not in VOWELS:
        return word[:-1] + "i"
    return word
