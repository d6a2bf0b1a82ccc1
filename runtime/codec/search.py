"""How a shop is searched: ?q= or JSON, and items with reasons and what was understood back; and "help me choose" in taps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...models.search.choose import MOST_QUESTIONS, Answer
from ...models.search.choose import label as option_label
from ...models.search.facts import TRANSLATED
from ...models.search.lexicon import LANGUAGES, Lexicon
from ...models.search.why import FACET
from ...models.shop.item import MAX_PRICE, MAX_VALUE, Item, plain_item
from ...models.shop.rules import Filters, Rules
from ..errors import Invalid
from ..served import Served
from ..workloads import choose, search
from . import Codec, Decode, Payload
from .fields import ABSENT, Fields, alone, short
from .recommend import HOW, event, no_picture, nothing, nothing_left, rules, table_of

QUERY = ("q", "n", "language", "in_stock", "price_least", "price_most", "category", "brand", "taste", "meaning", "id")
ATTRIBUTE, WITHOUT = "attr.", "not."
MAX_FACET = 128
MEANING = {
    search.ABSENT: ("searched by words and attributes; this box has no text encoder", "按词语和属性搜索；本机没有文本编码器"),
    search.FOREIGN: ("searched by words and attributes; the text encoder does not read this language well enough",
                     "按词语和属性搜索；文本编码器不熟悉这种语言"),
    search.FILLING: ("search by meaning does not know all items yet", "语义搜索尚未学完全部商品"),
}


# ---- search

def request(payload: Payload, decode: Decode) -> search.Request:
    """The question: of the address (?q=), or of a JSON body. Invalid with the place of the first mistake."""
    return by_address(payload.options) if not payload.body else by_body(payload)


def by_address(options: Mapping[str, str]) -> search.Request:
    """?q=...&n=10&language=zh&category=Shoes&brand=A,B&price_most=300&attr.colour=red,blue&not.material=leather"""
    table: dict[str, Any] = {}
    attributes: dict[str, list[str]] = {}
    against: dict[str, list[str]] = {}
    for name, value in options.items():
        if name.startswith((ATTRIBUTE, WITHOUT)):
            (attributes if name.startswith(ATTRIBUTE) else against)[name.partition(".")[2]] = split(value)
        elif name not in QUERY:
            raise Invalid(f"?{name[:80]}= is unknown; expected {', '.join(QUERY)}, {ATTRIBUTE}NAME= or {WITHOUT}NAME=")
        else:
            table[name] = value
    fields = Fields(table)
    least, most = (amount(fields, name) for name in ("price_least", "price_most"))
    if least is not None and most is not None and least > most:
        raise Invalid(f"price_least {least:g} is above price_most {most:g}; exchange them")
    filters = Filters(flag(fields, "in_stock", True), least, most, tuple(split(table.get("category", ""))), (),
                      tuple(split(table.get("brand", ""))), (), listed(attributes), listed(against))
    return search.Request(question(fields), int(amount(fields, "n", 1, search.MAX_COUNT, whole=True) or 10), Rules(filters),
                          language(fields, ""), (), float(0.2 if (t := amount(fields, "taste", 0, 1)) is None else t),
                          flag(fields, "meaning", True))


def split(value: str) -> list[str]:
    """Values with commas between them."""
    found = [part.strip() for part in value.split(",") if part.strip()]
    if len(found) > 100 or any(len(part) > MAX_VALUE for part in found):
        raise Invalid(f"expected at most 100 values of at most {MAX_VALUE} characters, with commas between them, got "
                      f"{short(value)}")
    return found


def listed(facts: Mapping[str, Sequence[str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Attributes as the rules take them."""
    return tuple((name, tuple(values)) for name, values in facts.items() if values)


def question(fields: Fields, missing: Any = ABSENT) -> str:
    """The phrase, of any characters and up to MAX_QUESTION of them; control characters are blanks."""
    value = fields.raw("q", missing, "what is searched for, such as \"non-slip shoes\"")
    if not isinstance(value, str) or len(value) > search.MAX_QUESTION:
        got = f"{len(value)} characters" if isinstance(value, str) else short(value)
        raise Invalid(f"{fields.at('q')}: expected a text of at most {search.MAX_QUESTION} characters, got {got}")
    return value


def amount(fields: Fields, name: str, low: float = 0, high: float = MAX_PRICE, whole: bool = False) -> float | None:
    """A number of the address, None where it is not there."""
    text = fields.raw(name, None)
    if text is None:
        return None
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise fields.wrong(name, f"a {'whole ' if whole else ''}number from {low:g} to {high:g}")
    return value


def flag(fields: Fields, name: str, default: bool) -> bool:
    """1 or 0, true or false."""
    text = fields.raw(name, None)
    if text is None:
        return default
    if text.lower() not in ("1", "0", "true", "false"):
        raise fields.wrong(name, "1 or 0")
    return text.lower() in ("1", "true")


def language(fields: Fields, default: str) -> str:
    """en or zh."""
    return default if fields.raw("language", None) is None else fields.choice("language", LANGUAGES)


def by_body(payload: Payload) -> search.Request:
    """{"q", "count", "language", "events", "taste", "meaning", "filters", "rules"}."""
    fields = table_of(payload, '{"q": "non-slip shoes", "count": 10}')
    made = search.Request(
        question(fields), fields.whole("count", 10, 1, search.MAX_COUNT), searched(rules(fields), fields), language(fields, ""),
        events(fields), fields.number("taste", 0.2, 0, 1), fields.flag("meaning", True))
    fields.done()
    return made


def searched(made: Rules, fields: Fields) -> Rules:
    """The rules as asked for; without a word on diversity the best come first, however alike."""
    given = fields.table.get("rules", {})
    return made if "diversity" in given else replace(made, diversity=0.0)


def events(fields: Fields) -> tuple[str, ...]:
    """The ids looked at, oldest first."""
    return tuple(one.item for one in fields.items("events", event, (), most=search.MAX_EVENTS))


# ---- what is answered

def answer(verdict: search.Verdict) -> dict[str, Any]:
    """Items, and what was understood."""
    lexicon = verdict.searcher.index.lexicon
    told: dict[str, Any] = {
        "items": [{**told_item(verdict.snapshot.items[hit.row], verdict.language), "score": round(hit.score, 4),
                   "reasons": [reason(one) for one in hit.reasons]} for hit in verdict.hits],
        "understood": understood(verdict, lexicon), "language": verdict.language, "catalogue": verdict.snapshot.version,
        "by": ["words", "attributes", *(["meaning"] if verdict.meaning in ("", search.FILLING) else [])]}
    notes = notes_of(verdict)
    if verdict.meaning in MEANING and not verdict.asked.empty:       # for who runs the shop; a visitor need not know
        told["by_note"] = MEANING[verdict.meaning][1 if verdict.language == "zh" else 0]
    if verdict.none is not None:
        rule, left = verdict.none
        told["none"] = {"rule": rule, "left": dict(left), "sentence": nothing_left(rule, left)}
    return told | ({"notes": notes} if notes else {}) | {"timings_ms": rounded(verdict.timings_ms)}


def notes_of(verdict: search.Verdict) -> list[str]:
    """What somebody should know of the answer, a sentence each, in the visitor's language."""
    zh, asked, made = verdict.language == "zh", verdict.asked, []
    if asked.corrections:
        used = ", ".join(better for _, better in asked.corrections)
        typed = ", ".join(wrong for wrong, _ in asked.corrections)
        made.append(f"已按“{used}”显示结果（原文：{typed}）" if zh else
                    f"showing results for {used} (you wrote {typed})")
    if asked.empty:
        made.append("没有可以搜索的词，请说出您想要的商品" if zh else
                    "there is no word to search for; say what you are looking for")
    elif not verdict.hits and verdict.none is None:
        made.append("没有找到符合的商品" if zh else "nothing here fits what you asked for")
    if verdict.price_ignored:
        shop = verdict.searcher.currency or "?"
        made.append(f"本店价格以 {shop} 计，未按 {verdict.price_ignored} 的价格筛选" if zh else
                    f"prices here are in {shop}; the price in {verdict.price_ignored} was not applied")
    if asked.cut:
        made.append("内容太长，只读取了开头部分" if zh else "the text was long; only its beginning was read")
    return made


def understood(verdict: search.Verdict, lexicon: Lexicon) -> dict[str, Any]:
    """How the question was read."""
    asked, spoken = verdict.asked, verdict.language
    band = asked.band
    return {
        "words": [term for term, _ in asked.terms],
        "measures": [span.phrase for span in asked.measures],
        "cheap": asked.cheap,
        "facets": [{"said": want.phrase, "facets": list(want.facets),
            "text": lexicon.label(want.facets[0], spoken)} for want in asked.wanted],
        "excluded": [{"said": one.phrase, "facets": list(one.facets),
                      "text": lexicon.label(one.facets[0], spoken) if one.facets else one.phrase} for one in asked.excluded],
        "corrections": [{"typed": typed, "used": used} for typed, used in asked.corrections],
        "unknown": list(asked.unknown),
        "price": None if band is None else {"least": band.low, "most": None if band.high == float("inf") else band.high,
                                            "currency": band.currency, "applied": not verdict.price_ignored},
    }


def told_item(item: Item, language: str) -> dict[str, Any]:
    """What the catalogue says of an item, in that language where it has it."""
    made = {key: value for key, value in plain_item(item).items() if key != "margin"}
    for name in ("title", "text"):
        told = item.values(f"{name}:{language}")
        if told:
            made[name] = told[0]
    facets = {key: value for key, value in made.get("attributes", {}).items() if not key.startswith(TRANSLATED)}
    return {**made, "attributes": facets}


def reason(one: Any) -> dict[str, Any]:
    """A reason as code and text; of a facet also which, and the words that asked for it."""
    made = {"code": one.code, "text": one.text}
    return made | ({"facet": one.facet, "said": one.said} if one.code == FACET else {})


def rounded(timings: Mapping[str, float]) -> dict[str, float]:
    """Stages in ms."""
    return {stage: round(ms, 3) for stage, ms in timings.items()}


# ---- help me choose

def choose_request(payload: Payload, decode: Decode) -> choose.Request:
    """{"answers": [{"facet", "value" | "values", "others"}], "q", "count", "language", "events", "filters", "rules"}."""
    fields = table_of(payload, '{"answers": [{"facet": "category", "value": "Shoes"}]}')
    answers = fields.items("answers", tap, (), most=MOST_QUESTIONS)
    twice = next((one.facet for i, one in enumerate(answers) if one.facet in [other.facet for other in answers[:i]]), None)
    if twice is not None:
        raise Invalid(f"answers: {twice!r} is answered twice; send the last answer to each facet alone")
    made = choose.Request(
        answers, question(fields, ""), fields.whole("count", 5, 1, choose.MAX_COUNT), searched(rules(fields), fields),
        language(fields, "en"), events(fields), fields.number("taste", 0.2, 0, 1))
    fields.done()
    return made


def tap(value: Any, place: str) -> Answer:
    """{"facet", "value"} or {"facet", "values", "others": true}; a facet alone: no matter."""
    fields = Fields(value, place)
    facet = fields.text("facet", most=MAX_FACET)
    one = fields.text("value", None, MAX_VALUE)
    several = fields.items("values", lambda v, p: alone(v, p).text("", most=MAX_VALUE), (), most=100)
    others = fields.flag("others")
    fields.done()
    if one is not None and several:
        raise Invalid(f"{place}: expected value or values, got both")
    values = (one,) if one is not None else several
    if others and not values:
        raise Invalid(f"{place}: others says \"none of these\"; expected the values that were offered, got none")
    if facet == "price" and not all(price_span(value) for value in values):
        raise Invalid(f"{place}: expected prices such as \"100-200\" or \"200-\", got {short(values[0])}")
    return Answer(facet, values, others)


def price_span(value: str) -> bool:
    """True for "low-high" and "low-"."""
    low, dash, high = value.partition("-")
    try:
        return bool(dash) and 0 <= float(low or 0) <= float(high or "inf") and float(low or 0) < float("inf")
    except ValueError:
        return False


def choose_answer(verdict: choose.Verdict) -> dict[str, Any]:
    """The next question with its options, and the items that fit best so far with the reasons."""
    asked, spoken = verdict.next, verdict.request.language
    searcher = verdict.searcher
    lexicon, currency = searcher.index.lexicon, searcher.currency
    told: dict[str, Any] = {"question": None, "asked": len(verdict.request.answers), "most": MOST_QUESTIONS,
                            "likely": round(verdict.left, 1), "catalogue": verdict.snapshot.version}
    if asked is not None:
        texts = choose.option_words(asked, spoken, lexicon, currency)
        told["question"] = {
            "facet": asked.facet, "text": verdict.words, "gain_bits": round(asked.gain, 3),
            "options": [{"text": text, "values": list(one.values), "others": one.others, "items": one.items}
                        for text, one in zip(texts, asked.options, strict=True)],
            "no_matter": {"en": "Doesn't matter", "zh": "都可以"}[spoken]}

    def words(answers: Sequence[Answer]) -> list[str]:
        return [("≠ " if one.others else "") + ", ".join(option_label(one.facet, value, spoken, lexicon, currency)
                                                        for value in one.values) for one in answers]
    told["items"] = [{**told_item(verdict.snapshot.items[one.row], spoken), "share": round(one.share, 4),
        "because": words(one.fits),
                      "but": words(one.misses)} for one in verdict.picks]
    if verdict.none is not None:
        rule, left = verdict.none
        told["none"] = {"rule": rule, "left": dict(left), "sentence": nothing_left(rule, left)}
    return told | {"timings_ms": rounded(verdict.timings_ms)}


def light(verdict: Any) -> bool:
    """A list of a hundred is told in a fraction of a millisecond."""
    return True


def told_of(served: Served) -> dict[str, Any]:
    """What people want to know of a shop's search."""
    return search.about(served.engine.asset.search)


CODEC = Codec(request, answer, no_picture, nothing, told_of, teaches=False, remembers=False, light_bytes=16_384, light=light,
              how_made=HOW, query="q")
CHOOSE = Codec(choose_request, choose_answer, no_picture, nothing, told_of, teaches=False, remembers=False, light_bytes=16_384,
               light=light, how_made=HOW)
