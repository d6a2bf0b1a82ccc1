"""Phrases of both languages become facets, and "not" takes away what follows it."""

import pytest
from aisle.models.search.lexicon import Lexicon, atoms, read_lexicon
from aisle.models.search.said import spans
from aisle.models.search.words import normal


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return read_lexicon()


def told(text: str, lexicon: Lexicon) -> tuple[set[str], set[str]]:
    """(facets wanted, facets and words refused)."""
    text = normal(text)
    found = atoms(text)
    said = spans(text, found, lexicon)
    words = ["".join(a.text for a in found[s.start:s.end]) if not s.facets else s.facets[0] for s in said]
    return ({w for w, s in zip(words, said, strict=True) if s.facets and not s.negated},
            {w for w, s in zip(words, said, strict=True) if s.negated})


@pytest.mark.parametrize(("text", "wanted", "refused"), [
    ("non-slip shoes", {"grip:non-slip", "kind:shoes"}, set()),
    ("防滑、适合雨天散步的鞋", {"grip:non-slip", "weather:rain", "use:hiking", "kind:shoes"}, set()),
    ("boots not leather", {"kind:boots"}, {"material:leather"}),
    ("白色以外的T恤", {"kind:t-shirt"}, {"colour:white"}), ("除了白色之外的鞋", {"kind:shoes"}, {"colour:white"}),
    ("羊角图案以外的鞋", {"kind:shoes"}, {"羊角图案"}), ("皮革除外", set(), {"material:leather"}),
    ("以上的鞋", {"kind:shoes"}, set()),
    ("neither wool nor cotton socks", {"kind:socks"}, {"material:wool", "material:cotton"}),
    ("i dont want anything red, show me scarves", {"kind:scarf"}, {"colour:red"}),
    ("不要皮的鞋", {"kind:shoes"}, {"material:leather"}),
    ("非皮革的包", {"kind:bag"}, {"material:leather"}),
    ("非常轻的背包", {"weight:light", "kind:backpack"}, set()),
    ("特别轻的鞋", {"weight:light", "kind:shoes"}, set()),
    ("no sugar", {"diet:sugar-free"}, set()),
    ("chocolate without nuts or milk", {"kind:chocolate", "diet:nut-free", "diet:lactose-free"}, {"kind:nuts", "kind:milk"}),
    ("shoes without laces or zip", {"kind:shoes", "closure:slip-on"}, {"closure:laces", "closure:zip"}),
    ("lamp without a cable", {"kind:desk-lamp", "power:wireless"}, set()),
    ("不辣的面条", {"kind:noodles"}, {"taste:spicy"}),
    ("不太甜的饼干", {"kind:biscuits"}, {"taste:sweet"}),
    ("不锈钢锅，不是铝的", {"material:steel", "kind:pot"}, {"material:aluminium"}),
    ("除了红色和黑色都行", set(), {"colour:red", "colour:black"}),
    ("无线耳机 不要黑色", {"power:wireless", "kind:headphones"}, {"colour:black"}),
    ("anything but pink", set(), {"colour:pink"}),
    ("lace-free sneakers", {"closure:slip-on", "kind:sneakers"}, {"closure:laces"}),
    ("velcro-free", set(), {"closure:velcro"}),
    ("a cake without raisins", set(), {"raisin"}),
    ("不含香菜的面", set(), {"香菜"}),
    ("not, leather", {"material:leather"}, set()),
    ("without", set(), set()), ("不", set(), set()), ("not not not", set(), set()), ("不要不要", set(), set()),
])
def test_what_is_said(text: str, wanted: set[str], refused: set[str], lexicon: Lexicon) -> None:
    assert told(text, lexicon) == (wanted, refused)
