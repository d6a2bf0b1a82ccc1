"""Numbers with units, Chinese numerals, and bands of prices."""

import math

import pytest
from aisle.models.search.units import Band, measure, measure_spans, number, plain_measures, price_band, said_measure
from aisle.models.search.words import normal
from hypothesis import given
from hypothesis import strategies as st

ANY = math.inf


@pytest.mark.parametrize(("text", "value"), [
    ("3", 3), ("1,5", 1.5), ("1,000", 1000), ("1,234,567", 1_234_567), ("十", 10), ("十五", 15), ("二十", 20), ("三百", 300),
    ("三百五", 350), ("两千零五", 2005), ("一百二十", 120), ("半", 0.5), ("一万", 10_000), ("两", 2), ("一千五百", 1500),
])
def test_numbers(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize(("text", "term"), [
    ("500ml", "#500ml"), ("0.5 l", "#500ml"), ("33 cl", "#330ml"), ("2公斤", "#2000g"), ("1 inch", "#25.4mm"), ("65 w", "#65w"),
    ("size xl", "#sizexl"), ("38.5码", "#size38.5"), ("5000 mah", "#5000mah"), ("1 tb", "#1024gb"), ("70%", "#70%"),
])
def test_measures(text: str, term: str) -> None:
    assert measure(text) == [term]


@pytest.mark.parametrize(("text", "band"), [
    ("under 300 元", Band(0, 300, "CNY")), ("shoes below €50", Band(0, 50, "EUR")), ("50-80 €", Band(50, 80, "EUR")),
    ("between 20 and 40", Band(20, 40)), ("100到200元", Band(100, 200, "CNY")), ("三百元以内", Band(0, 300, "CNY")),
    ("不超过200", Band(0, 200)), ("200块左右", Band(160, 240, "CNY")), ("about 50 dollars", Band(40, 60, "USD")),
    ("100元以上", Band(100, ANY, "CNY")), ("over £30", Band(30, ANY, "GBP")), ("预算500", Band(0, 500)),
    ("300以下", Band(0, 300)),
    ("20 € or less", Band(0, 20, "EUR")), ("budget of 80", Band(0, 80)), ("80 to 50 yuan", Band(50, 80, "CNY")),
    ("no price", None), ("size 42", None), ("under 2 kg", None), ("500ml", None), ("12-14 cm", None), ("3岁以上", None),
    ("", None),
    ("more than 20 l", None), ("over 30", None), ("两升以下", None),
])
def test_bands_of_prices(text: str, band: Band | None) -> None:
    assert price_band(normal(text))[0] == band


def test_the_price_is_taken_out_of_the_text() -> None:
    assert price_band("boots under 300 元, warm")[1].split() == ["boots", ",", "warm"]


@given(st.text(max_size=120))
def test_any_text_keeps_its_length(text: str) -> None:
    text = normal(text)
    band, rest = price_band(text)
    assert len(rest) == len(text) and (band is None) == (rest == text)


@given(st.text("零一二两三四五六七八九十百千万半", min_size=1, max_size=8))
def test_any_numeral_is_a_finite_number(text: str) -> None:
    assert 0 <= number(text) < 1e12


@pytest.mark.parametrize(("text", "plain"), [
    ("1/2 litre", "0.5 litre"), ("1 1/2 l", "1.5 l"), ("½ l", "0.5 l"), (".5 l", "0.5 l"), ("half a litre", "0.5 litre"),
    ("half-litre", "0.5 litre"), ("one and a half litres", "1.5 litres"), ("two kilos", "2 kilos"), ("公斤半", "公斤半"),
    ("一公斤半", "1.5公斤"), ("四分之一升", "0.25升"), ("6x330ml", "6 x 330ml"), ("1/0 l", "1 l"), ("five stars", "five stars"),
    ("1/2 price", "1/2 price"), ("half price", "half price"), ("3.5 l", "3.5 l"),
])
def test_other_ways_to_write_a_measure(text: str, plain: str) -> None:
    assert normal(text) == plain and plain_measures(plain) == plain


@pytest.mark.parametrize(("text", "low", "high", "base"), [
    ("20-30 litres", 20_000, 30_000, "ml"), ("between 1 and 2 kg", 1000, 2000, "g"), ("500 g to 1 kg", 500, 1000, "g"),
    ("at least 1 l", 1000, ANY, "ml"), ("1升以上", 1000, ANY, "ml"), ("under 500 ml", 0, 500, "ml"),
    ("不超过500克", 0, 500, "g"),
    ("500毫升以下", 0, 500, "ml"), ("1到2公斤", 1000, 2000, "g"), ("2-4 people", 2, 4, "person"),
])
def test_ranges_of_measures(text: str, low: float, high: float, base: str) -> None:
    (found,), rest = measure_spans(f"bag {text} red")
    assert (found.low, found.high, found.base) == (low, high, base) and rest.split() == ["bag", "red"]
    assert found.has(max(low, 1)) and not found.has(low / 2 if low else high * 2)


@pytest.mark.parametrize(("text", "near"), [
    ("a gift, around 100", True), ("大约100", True), ("around 100 pieces", False), ("about 3 days", False)])
def test_a_number_at_the_end_may_be_a_price(text: str, near: bool) -> None:
    assert (price_band(text)[0] is not None) is near


@pytest.mark.parametrize("text", ["500 ml", "under 500", "5-3 kg", "1 l to 2 kg", "20-30", ""])
def test_what_is_no_range_of_measures(text: str) -> None:
    assert measure_spans(text) == ((), text)


@pytest.mark.parametrize(("term", "said"), [
    ("#30000ml", "30 l"), ("#500ml", "500 ml"), ("#381mm", "38.1 cm"), ("#20000mah", "20000 mAh"), ("#1.5%", "1.5%"),
    ("#size42", "42"), ("#2person", "2 persons"), ("#sizem", "M"), ("#1e+06g", "1000 kg"),
])
def test_measures_are_said_as_people_write_them(term: str, said: str) -> None:
    assert said_measure(term) == said


@given(st.text("0123456789/½.,xl 半分之一升 half and a litre", max_size=40))
def test_any_text_has_plain_measures(text: str) -> None:
    measure_spans(normal(text))
