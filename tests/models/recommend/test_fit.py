"""Fitting on made-up shoppers: it learns, the same seed gives the same bundle, and what is exported is what was trained."""

from dataclasses import replace

import numpy as np
import pytest
from aisle.models.make.shoppers import shoppers
from aisle.models.recommend import blend, format, network, place
from aisle.models.recommend.baselines import popularity
from aisle.models.recommend.encoder import encode
from aisle.models.recommend.evaluate import leave_one_out, measure
from aisle.models.recommend.fit import Result, fit, trending
from aisle.models.recommend.interactions import Interactions, narrowed
from aisle.models.recommend.network import Options
from aisle.models.recommend.scoring import product, score

IDS = tuple(f"item-{i}" for i in range(90))
GROUPS = tuple(f"group-{i % 6}" for i in range(90))
TEXTS = dict(zip(IDS, GROUPS, strict=True))
SMALL = Options(depth=16, length=8, middle=16, epochs=5, dropout=0.1, rate=1e-2, rise=10, tokens=512)


@pytest.fixture(scope="module")
def data() -> Interactions:
    return shoppers(IDS, GROUPS)


@pytest.fixture(scope="module")
def result(data: Interactions) -> Result:
    pytest.importorskip("torch", reason="PyTorch (the extra `train`) is not installed")
    return fit(data, SMALL, texts=TEXTS)


def test_the_shoppers_are_the_same_every_time(data: Interactions) -> None:
    assert data.digest() == shoppers(IDS, GROUPS).digest() != shoppers(IDS, GROUPS, seed=5).digest()
    assert len(data.users) == 400 and np.bincount(data.user).min() >= 3
    with pytest.raises(ValueError, match="as many groups"):
        shoppers(IDS, GROUPS[:3])


def test_it_learns_more_than_what_is_popular(data: Interactions, result: Result) -> None:
    split = leave_one_out(data)
    dull = measure(popularity(split.train, split.items), split.before("test"), split.test)
    assert result.test is not None and result.test.ndcg > 2 * dull.ndcg
    assert result.report["hit"] == result.test.hit and result.report["refit"] == "no"


def test_the_same_seed_gives_the_same_bundle(data: Interactions, result: Result) -> None:
    again, other = (fit(data, replace(SMALL, seed=seed), texts=TEXTS) for seed in (1, 2))
    assert np.array_equal(again.fitted.vectors, result.fitted.vectors) and again.encoders() == result.encoders()
    assert not np.array_equal(other.fitted.vectors, result.fitted.vectors)


def test_the_encoder_is_what_was_trained(data: Interactions) -> None:
    """Torch's state after the newest event is the exported sum, whatever the length of the history."""
    torch = pytest.importorskip("torch", reason="PyTorch (the extra `train`) is not installed")
    net = network._Net(len(IDS), replace(SMALL, dropout=0.0, heads=2))
    for parameter in net.parameters.values():
        torch.nn.init.normal_(parameter, std=0.3)
    rows = network.padded([s[:n] for s, n in zip(data.sequences(), (1, 2, 3, 3, 3), strict=False)], SMALL.length)
    inputs = torch.from_numpy(rows)
    wanted = net.states(inputs, inputs >= 0)[:, -1].detach().numpy()
    history = np.where((rows >= 0)[..., None], net.vectors()[rows], np.float32(0))
    assert np.abs(encode(net.weights(), history) - wanted).max() < 1e-4


def test_the_loss_and_its_gradient_are_those_of_full_cross_entropy() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch (the extra `train`) is not installed")
    torch.manual_seed(0)
    states, table = torch.randn(600, 8, requires_grad=True), torch.randn(40, 8, requires_grad=True)
    wanted = torch.randint(40, (600,))
    buffers = (torch.empty(network.CHUNK, 40), torch.empty(network.CHUNK, 40))
    loss = network._cross_entropy(states, table, wanted, buffers)
    (3 * loss).backward()
    got = states.grad.clone(), table.grad.clone()
    states.grad = table.grad = None
    plain = torch.nn.functional.cross_entropy(states @ table.T, wanted)
    (3 * plain).backward()
    assert loss.item() == pytest.approx(plain.item(), rel=1e-5)
    assert all(torch.allclose(a, b.grad, atol=1e-6) for a, b in zip(got, (states, table), strict=True))


def test_drawn_candidates_stand_for_all(data: Interactions, result: Result) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch (the extra `train`) is not installed")
    net = network._Net(4000, replace(SMALL, candidates=1500, tokens=64))
    states, wanted = torch.randn(64, 16), torch.randint(4000, (64,))
    net.parameters["vectors"].data.normal_(std=0.5)
    drawn = np.mean([net.full(states, wanted).item() for _ in range(8)])
    plain = torch.nn.functional.cross_entropy(states @ net.parameters["vectors"].T, wanted).item()
    assert drawn == pytest.approx(plain, rel=0.01)
    few = fit(data, replace(SMALL, candidates=60, tokens=64))
    assert few.test is not None and result.test is not None and few.test.ndcg > 0.8 * result.test.ndcg


def test_the_refit_learns_from_more_and_says_so(data: Interactions, result: Result) -> None:
    valid, whole = (fit(data, SMALL, refit=what, texts=TEXTS) for what in ("valid", "all"))
    assert valid.report["refit"] == "valid" and valid.report["no_refit_hit"] == result.report["hit"]
    assert whole.test is None and whole.report["hit"] == result.report["hit"]
    events = [int(one.fitted.seen.sum()) for one in (result, valid, whole)]
    assert events == [len(data.user) - 800, len(data.user) - 400, len(data.user)]


def test_early_stopping_keeps_the_best_epoch(data: Interactions) -> None:
    pytest.importorskip("torch", reason="PyTorch (the extra `train`) is not installed")
    figures = iter([0.1, 0.5, 0.4, 0.3, 0.9])
    split = leave_one_out(data)
    told: list[float] = []
    made = network.train(split.train, split.items, replace(SMALL, patience=2, epochs=9), lambda *_: next(figures),
                         lambda done, text: told.append(done))
    assert made.epochs == 2 and [one["valid"] for one in made.log] == [0.1, 0.5, 0.4, 0.3]
    assert told == sorted(told) and told[-1] == pytest.approx(4 / 9)


def test_a_training_that_diverges_is_said(data: Interactions) -> None:
    pytest.importorskip("torch", reason="PyTorch (the extra `train`) is not installed")
    with pytest.raises(ValueError, match="diverged in epoch 1"):
        network.train(leave_one_out(data).train, 90, replace(SMALL, rate=float("inf")))


def test_bce_is_there_as_a_baseline(data: Interactions) -> None:
    pytest.importorskip("torch", reason="PyTorch (the extra `train`) is not installed")
    split = leave_one_out(data)
    made = network.train(split.train, split.items, replace(SMALL, loss="bce"))
    assert made.log[-1]["loss"] < made.log[0]["loss"]


def test_int8_scores_are_near(result: Result, data: Interactions) -> None:
    split = leave_one_out(data)
    whole = measure(score(result.fitted, result.weights, whole=True), split.before("test"), split.test)
    assert result.test is not None and whole.ndcg == pytest.approx(result.test.ndcg, rel=0.05)
    rng = np.random.default_rng(0)
    taste, vectors = rng.standard_normal((3, 16), np.float32), rng.standard_normal((50, 16), np.float32)
    assert np.abs(product(taste, vectors, True) - product(taste, vectors, False)).max() < 0.15


def test_cold_items_lie_near_their_group(result: Result) -> None:
    fitted = result.fitted
    vector = format.cold(fitted, ["group-2"])[0]
    close = format.scaled(fitted.vectors) @ format.scaled(vector[None])[0]
    nearest = np.argsort(-close)[:8]
    assert np.mean([GROUPS[i] == "group-2" for i in nearest]) > 0.6


def test_words_are_trusted_by_how_often_their_items_were_seen() -> None:
    vectors = np.array([[1, 0], [0, 1], [5, 5]], np.float32)
    seen = np.array([1000, 1, 0], np.uint32)
    made = place.learn_words(("a", "b", "c"), vectors, seen, {"a": "red", "b": "red", "c": "blue"}, buckets=64)
    assert made[made.any(1)].shape == (1, 2) and made.max() == pytest.approx(1000 / 1005 / (1000 / 1005 + 1 / 6 + 1), rel=1e-5)
    assert place.learn_words(("a",), vectors[:1], seen[:1], {}).shape == (0, 2)


def test_the_blend_is_chosen_and_the_bonus_is_the_same_in_both_places(data: Interactions) -> None:
    split = leave_one_out(data)
    near = blend.neighbours(split.train, split.items)
    dull = np.zeros((len(split.users), 4), np.float32)
    chosen = blend.choose(near, dull, np.zeros((split.items, 4), np.float32), split.before("valid"), split.valid)
    assert chosen.strength > 0 and chosen.with_it > chosen.without == 0
    ages = chosen.fade ** np.arange(blend.AGES)
    fitted = format.Fitted(IDS, np.zeros((90, 4), np.float32), np.zeros(90, np.uint32), np.zeros(90, np.float32), near.item,
                           near.count, near.weight, np.zeros((0, 4), np.float32), 20, tuple(ages))
    for history in split.before("test")[:50]:
        rows, weight = format.bonus(fitted, history)
        sparse = np.zeros(90, np.float32)
        sparse[rows] = weight
        assert np.allclose(sparse, blend.added(near, [history], ages, 90)[0], atol=1e-5)


def test_trends_fade() -> None:
    data = shoppers(("a", "b"), ("g", "g"), users=50)
    newest = narrowed(data, np.flatnonzero(data.time > data.time.max() - 86400))
    assert trending(data).sum() < len(data.user) and trending(newest).sum() > 0.9 * len(newest.user)
    assert trending(replace(data, time=None)).sum() == len(data.user)


def test_too_little_is_refused(data: Interactions) -> None:
    with pytest.raises(ValueError, match="at least 10 users with three events"):
        fit(narrowed(data, np.arange(20)))
    three = np.concatenate([np.arange(first, first + 3) for first in data.first[:-1]])
    with pytest.raises(ValueError, match="no user has two more to learn from"):
        fit(narrowed(data, three))


def test_items_seldom_seen_lean_on_their_text() -> None:
    vectors = np.array([[1, 0], [3, 0], [9, 9], [7, 7]], np.float32)
    ids, seen = ("a", "b", "c", "d"), np.array([100, 1, 0, 0], np.uint32)
    texts = {"a": "red", "b": "red", "c": "red", "d": "!"}
    words = place.learn_words(ids, vectors, seen, texts, buckets=64)
    told = place.mixed(ids, vectors, seen, texts, words, 1.0)
    there = words[words.any(1)][0]
    assert np.allclose(told[1], (vectors[1] + there) / 2) and np.allclose(told[2], there) and np.allclose(told[3], vectors[3])
    kept = place.mixed(ids, vectors, seen, texts, words, 0.0)
    assert np.allclose(kept[:2], vectors[:2]) and np.allclose(kept[2], there)
