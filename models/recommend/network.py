"""Trains the encoder and the table of items with PyTorch on one thread: next item among all items, full cross-entropy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from .encoder import Weights

LEAST_BATCHES = 40     # of an epoch, so that little data makes enough steps
CHUNK = 256            # positions whose scores over all items are in memory at a time
MISSING = ("fitting needs PyTorch, which is not installed; install aisle[train] (serving needs neither), for a machine "
           "without a GPU from PyTorch's own CPU index")


@dataclass(frozen=True)
class Options:
    """How the network is made and trained; the defaults are what the figures of docs/recommend.md were reached with.

    `loss` "full" is cross-entropy over all items (over `candidates` of them, weighted so that their sum stands for all,
    where there are more), "bce" the loss of the first SASRec: one random negative for each event.
    A batch has `tokens` events, fewer where there would be less than LEAST_BATCHES of them. The learning rate rises over the
    first `rise` steps (a tenth of all where they are few) and falls in a line to nothing at the last epoch. `patience`
    epochs without a better validation end the training; the best epoch counts.
    """

    depth: int = 64
    length: int = 50
    middle: int = 64
    heads: int = 1
    dropout: float = 0.4
    rate: float = 3e-3
    rise: int = 200
    tokens: int = 2048
    epochs: int = 14
    patience: int = 3
    loss: str = "full"
    candidates: int = 32_768     # items that a batch is compared with; a shop with more has some drawn for each batch
    seed: int = 1


@dataclass(frozen=True)
class Trained:
    """What training gave: the encoder, the table float32 (items, d), the epochs of the best one, and how each one did."""

    weights: Weights
    vectors: np.ndarray
    epochs: int
    log: tuple[dict[str, float], ...]


Validate = Callable[[Weights, np.ndarray], float]
Progress = Callable[[float, str], None]


def missing() -> str | None:
    """None, or one sentence why nothing can be trained here."""
    try:
        import torch  # noqa: F401
    except ImportError:
        return MISSING
    return None


def windows(sequences: Sequence[np.ndarray], length: int) -> list[np.ndarray]:
    """Pieces of at most length + 1 items that end at the end: every event but a user's first is a target once."""
    found = []
    for sequence in sequences:
        end = len(sequence)
        while end >= 2:
            found.append(sequence[max(0, end - length - 1):end])
            end -= length
    return found


def batches(sizes: np.ndarray, tokens: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Windows of about one length together, about `tokens` events in each batch, the batches in random order."""
    order = np.argsort(sizes + rng.random(len(sizes)) * 2)
    filled = np.cumsum(sizes[order])
    cuts = np.searchsorted(filled, np.arange(tokens, filled[-1], tokens))
    made = [batch for batch in np.split(order, cuts) if len(batch)]
    return [made[i] for i in rng.permutation(len(made))]


def padded(sequences: Sequence[np.ndarray], length: int) -> np.ndarray:
    """The newest `length` items of each, at the right, -1 before them: int64 (sequences, length)."""
    out = np.full((len(sequences), length), -1, np.int64)
    for row, sequence in enumerate(sequences):
        newest = sequence[-length:]
        out[row, length - len(newest):] = newest
    return out


def train(sequences: Sequence[np.ndarray], items: int, options: Options, validate: Validate | None = None,
          progress: Progress | None = None, stop_after: int | None = None) -> Trained:
    """Train on the sequences (rows of items, oldest first); the same seed gives the same weights on the same machine.

    `validate` gives a figure, the greater the better; without it there is no early stopping. `stop_after` ends after that
    many epochs of the same schedule, as a refit does. ValueError where there is nothing to learn from, or where the loss is no
    number any more.
    """
    import torch
    pieces = windows(sequences, options.length)
    if not pieces:
        raise ValueError("no user has two events or more; there is nothing to learn from")
    sizes = np.array([len(piece) - 1 for piece in pieces])
    rng = np.random.default_rng(options.seed)
    tokens = min(options.tokens, max(128, int(sizes.sum()) // LEAST_BATCHES))
    with _one_thread(options.seed):
        net = _Net(items, options)
        adam = torch.optim.Adam(list(net.parameters.values()), lr=options.rate)
        total = options.epochs * len(batches(sizes, tokens, np.random.default_rng(0)))
        rise = max(1, min(options.rise, total // 10))
        step, best, kept, log = 0, -np.inf, (0, net.weights(), net.vectors()), []
        for epoch in range(1, (stop_after or options.epochs) + 1):
            todo, lost = batches(sizes, tokens, rng), 0.0
            for done, batch in enumerate(todo):
                step += 1
                adam.param_groups[0]["lr"] = options.rate * min(1, step / rise) * max(1 - step / total, 0.01)
                lost += net.learn(adam, padded([pieces[i] for i in batch], int(sizes[batch].max()) + 1))
                if progress:
                    progress((epoch - 1 + (done + 1) / len(todo)) / options.epochs, f"loss {lost / (done + 1):.3f}")
            if not np.isfinite(lost):
                raise ValueError(f"the training diverged in epoch {epoch} (loss {lost}); this data needs a rate below "
                                 f"{options.rate}")
            now = (net.weights(), net.vectors())
            figure = validate(*now) if validate else float(epoch)
            log.append({"epoch": epoch, "loss": lost / len(todo), "valid": figure})
            if figure > best:
                best, kept = figure, (epoch, *now)
            elif epoch - kept[0] >= options.patience:
                break
    return Trained(kept[1], kept[2], kept[0], tuple(log))


@contextmanager
def _one_thread(seed: int) -> Iterator[None]:
    """One thread, so that sums run in one order; the caller's settings come back afterwards."""
    import torch
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)


class _Net:
    """The parameters while they are trained, named as in `Weights`, and `vectors`."""

    def __init__(self, items: int, options: Options) -> None:
        import torch
        d, middle = options.depth, options.middle

        def normal(*shape: int) -> Any:
            return (torch.randn(*shape) * 0.02).requires_grad_()

        def uniform(inputs: int, outputs: int) -> Any:
            return ((torch.rand(inputs, outputs) * 2 - 1) / inputs ** 0.5).requires_grad_()

        def flat(size: int, value: float) -> Any:
            return torch.full((size,), value).requires_grad_()
        self.options = options
        self.parameters: dict[str, Any] = {"vectors": normal(items, d), "place": normal(options.length, d)}
        for name in ("first", "second", "last"):
            self.parameters |= {f"{name}_scale": flat(d, 1.0), f"{name}_shift": flat(d, 0.0)}
        for name in ("query", "key", "value", "out"):
            self.parameters |= {name: uniform(d, d), f"{name}_bias": flat(d, 0.0)}
        self.parameters |= {"up": uniform(d, middle), "up_bias": flat(middle, 0.0),
                            "down": uniform(middle, d), "down_bias": flat(d, 0.0)}
        self.buffers = _buffers(min(items, options.candidates + options.tokens))

    def learn(self, adam: Any, windows: np.ndarray) -> float:
        """One step on windows int64 (batch, length + 1), -1 for nothing; the mean loss."""
        import torch
        inputs, targets = torch.from_numpy(windows[:, :-1]), torch.from_numpy(windows[:, 1:])
        there = inputs >= 0
        states, wanted = self.states(inputs, there)[there], targets[there]
        loss = self.bce(states, wanted) if self.options.loss == "bce" else self.full(states, wanted)
        adam.zero_grad()
        loss.backward()
        adam.step()
        return float(loss.detach())

    def full(self, states: Any, wanted: Any) -> Any:
        """The right item against all others, or against those wanted in this batch and as many drawn ones as there is room
        for, each of which stands for several: its score rises by the logarithm of how many."""
        import torch
        table, room = self.parameters["vectors"], self.options.candidates
        if len(table) <= room:
            return _cross_entropy(states, table, wanted, self.buffers)
        own, place = torch.unique(wanted, return_inverse=True)
        other = torch.ones(len(table), dtype=torch.bool)
        other[own] = False
        drawn = torch.nonzero(other)[:, 0]
        stands = len(drawn) / max(room - len(own), 1)
        drawn = drawn[torch.randperm(len(drawn))[:max(room - len(own), 1)]]
        raised = torch.cat([torch.zeros(len(own)), torch.full((len(drawn),), float(np.log(stands)))])
        return _cross_entropy(states, table[torch.cat([own, drawn])], place, self.buffers, raised)

    def bce(self, states: Any, wanted: Any) -> Any:
        """The right item against one that is drawn at random."""
        import torch
        table = self.parameters["vectors"]
        drawn = torch.randint(len(table), wanted.shape)
        good, bad = ((states * table[rows]).sum(-1) for rows in (wanted, drawn))
        soft = torch.nn.functional.softplus
        return (soft(-good) + soft(bad)).mean()

    def states(self, inputs: Any, there: Any) -> Any:
        """The state after each event, (batch, length, d), with dropout."""
        import torch
        p, d, drop = self.parameters, self.options.depth, self._drop
        batch, length = inputs.shape
        x = drop(p["vectors"][inputs.clamp(min=0)] * d ** 0.5 + p["place"][-length:])
        y = self._norm(x, "first")

        def heads(name: str) -> Any:
            return (y @ p[name] + p[f"{name}_bias"]).view(batch, length, self.options.heads, -1).transpose(1, 2)
        seen = torch.ones(length, length, dtype=torch.bool).tril() & there[:, None, :]
        far = torch.zeros(seen.shape).masked_fill(~seen, -1e9)[:, None]
        query, key, value = (heads(name) for name in ("query", "key", "value"))
        close = drop(((query @ key.transpose(-1, -2)) / (d // self.options.heads) ** 0.5 + far).softmax(-1))
        x = x + drop((close @ value).transpose(1, 2).reshape(batch, length, d) @ p["out"] + p["out_bias"])
        y = self._norm(x, "second")
        x = x + drop((y @ p["up"] + p["up_bias"]).relu() @ p["down"] + p["down_bias"])
        return self._norm(x, "last")

    def _drop(self, x: Any) -> Any:
        from torch.nn.functional import dropout
        return dropout(x, self.options.dropout)

    def _norm(self, x: Any, name: str) -> Any:
        from torch.nn.functional import layer_norm
        return layer_norm(x, (x.shape[-1],), self.parameters[f"{name}_scale"], self.parameters[f"{name}_shift"])

    def vectors(self) -> np.ndarray:
        """A copy of the table, float32 (items, d)."""
        return self.parameters["vectors"].detach().numpy().copy()

    def weights(self) -> Weights:
        """A copy of the encoder."""
        copied = {name: value.detach().numpy().copy() for name, value in self.parameters.items() if name != "vectors"}
        return Weights(**copied, gain=float(self.options.depth) ** 0.5, heads=self.options.heads)


def _buffers(items: int) -> tuple[Any, Any]:
    """Memory for the scores of a chunk and their softmax: bfloat16 where this machine multiplies it natively (twice as fast,
    and no different in what is learnt, see docs/recommend.md), float32 elsewhere."""
    import torch
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    kind = torch.bfloat16 if native else torch.float32
    return torch.empty(CHUNK, items, dtype=kind), torch.empty(CHUNK, items, dtype=kind)


def _cross_entropy(states: Any, table: Any, wanted: Any, buffers: tuple[Any, Any], raised: Any = None) -> Any:
    """Mean of -log softmax(states @ table.T + raised)[wanted], whose gradient is found on the way, chunk by chunk, so that the
    scores of all items never exist for more than CHUNK events. `raised` float32 (items,) or None."""
    import torch
    scores, share = (buffer.flatten()[:CHUNK * len(table)].view(CHUNK, len(table)) for buffer in buffers)
    loss, count = 0.0, len(states)
    with torch.no_grad():
        small = table.to(scores.dtype)
        to_states, to_table = torch.empty_like(states), torch.zeros_like(table)
        for start in range(0, count, CHUNK):
            some, right = states[start:start + CHUNK].to(scores.dtype), wanted[start:start + CHUNK]
            rows = torch.arange(len(some))
            torch.mm(some, small.T, out=scores[:len(some)])
            if raised is not None:
                scores[:len(some)] += raised
            torch.softmax(scores[:len(some)], 1, out=share[:len(some)])
            part = share[:len(some)]
            loss -= float(part[rows, right].float().clamp_min(1e-9).log().sum())
            part[rows, right] -= 1
            to_states[start:start + CHUNK] = part @ small
            to_table += part.T @ some
    # A sum whose gradient with regard to states and table is the one found above.
    surrogate = (states * (to_states / count)).sum() + (table * (to_table / count)).sum()
    return surrogate + (loss / count - surrogate.detach())
