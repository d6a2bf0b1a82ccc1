"""The made-up shop is the same everywhere, in both languages, and every labelled phrase has something to find."""

from collections import Counter

from aisle.bench.recommend.phrases import FULL, Phrase, measures, phrases
from aisle.models.make.shop import items
from aisle.models.search.lexicon import read_lexicon
from aisle.models.shop.catalogue import Catalogue


def test_the_shop_has_enough_and_each_in_two_languages() -> None:
    made = items()
    assert len(made) == 400 and len(Catalogue(made).now()) == 400
    assert all(item.values("title:zh") and item.title and item.price and item.price > 0 for item in made)
    assert items() is made and made[0].id == "hiking-shoes-1" and made[0].price == 358.9


def test_every_value_is_in_the_lexicon() -> None:
    lexicon = read_lexicon()
    facts = {f"{name}:{value}" for item in items() for name in item.attributes for value in item.values(name)
             if ":" not in name and name not in ("size", "content")}
    assert facts - lexicon.values.keys() == set()


def test_every_phrase_can_be_answered() -> None:
    lexicon = read_lexicon()
    asked = phrases()
    assert len(asked) >= 200 and Counter(p.language for p in asked)["zh"] >= 100
    assert len({p.text for p in asked}) == len(asked)
    lost = [p.text for p in asked if not any(p.grade(item, lexicon) == FULL for item in items())]
    assert lost == []
    assert all(f"{name}:{value}" in lexicon.values for p in asked for name, values in p.wants + p.nots for value in values)


def test_grades() -> None:
    lexicon = read_lexicon()
    wellies = next(item for item in items() if item.id == "rain-boots-1")

    def grade(**fields: object) -> int:
        plain = {"language": "en", "text": "", "wants": (), "nots": (), "price": (0.0, 1e9), "content": "", "size": "",
            "dev": True}
        return Phrase(**{**plain, **fields}).grade(wellies, lexicon)    # type: ignore[arg-type]
    assert grade(wants=(("kind", ("shoes",)), ("water", ("waterproof",)))) == FULL
    assert grade(wants=(("kind", ("tent",)), ("water", ("waterproof",)))) == 0
    assert grade(wants=(("kind", ("shoes",)), ("water", ("waterproof",)), ("material", ("leather",)))) == 1
    assert grade(wants=(("kind", ("shoes",)),), nots=(("material", ("rubber",)),)) == 0
    assert grade(wants=(("kind", ("shoes",)),), price=(0.0, 1.0)) == 0


def test_measures_of_a_ranking() -> None:
    assert measures([0, 3, 1], [1, 2, 0]) == (1.0, 1.0)
    rank, gain = measures([0, 3, 0], [0, 1, 2])
    assert rank == 0.5 and 0.6 < gain < 0.7
    assert measures([0, 3], []) == (0.0, 0.0)
