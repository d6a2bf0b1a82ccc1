"""Who looked at what, in order: the events of a file as arrays, and what can be said against them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Interactions:
    """Events sorted by user and then by time; events of one user at the same time stay in the order of the file.

    `user` and `item` int32 (events,) are rows of `users` and `items`; `time` float64 (events,) in seconds, or None where
    the file gave only the order. `told` says in sentences what was left out while reading.
    """

    users: tuple[str, ...]
    items: tuple[str, ...]
    user: np.ndarray
    item: np.ndarray
    time: np.ndarray | None = None
    told: tuple[str, ...] = ()

    @property
    def first(self) -> np.ndarray:
        """Where each user's events begin, and one more for the end: int64 (users + 1,)."""
        return np.concatenate([[0], np.cumsum(np.bincount(self.user, minlength=len(self.users)))])

    def sequences(self) -> list[np.ndarray]:
        """The items of each user, oldest first."""
        return np.split(self.item, self.first[1:-1])

    def digest(self) -> str:
        """SHA-256 over the events and the ids: the same data has the same digest, whatever file it came in."""
        found = hashlib.sha256("\n".join((*self.items, "", *self.users)).encode())
        for array in (self.user, self.item, *(() if self.time is None else (self.time,))):
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()


def arranged(users: tuple[str, ...], items: tuple[str, ...], user: np.ndarray, item: np.ndarray, time: np.ndarray | None,
             told: tuple[str, ...] = ()) -> Interactions:
    """The events in order. Events that are the same to the second, as a double click gives, count once."""
    by = np.lexsort((user,) if time is None else (time, user))
    user, item = user[by].astype(np.int32), item[by].astype(np.int32)
    if time is None:
        return Interactions(users, items, user, item, None, told)
    time = time[by].astype(np.float64)
    again = np.zeros(len(user), bool)
    keys = np.lexsort((np.arange(len(user)), item, time, user))
    same = (user[keys][1:] == user[keys][:-1]) & (item[keys][1:] == item[keys][:-1]) & (time[keys][1:] == time[keys][:-1])
    again[keys[1:][same]] = True
    if again.any():
        told = (*told, f"{int(again.sum())} events were there twice (same user, item and time); each counts once")
    return Interactions(users, items, user[~again], item[~again], time[~again], told)


def core(data: Interactions, least: int = 5) -> Interactions:
    """The data in which every user and every item has at least `least` events: the filter, repeated until it holds."""
    keep = np.arange(len(data.user))
    while True:
        user, item = data.user[keep], data.item[keep]
        good = (np.bincount(user, minlength=1)[user] >= least) & (np.bincount(item, minlength=1)[item] >= least)
        if good.all():
            break
        keep = keep[good]
    return narrowed(data, keep)


def narrowed(data: Interactions, keep: np.ndarray) -> Interactions:
    """Only the events `keep` (ascending), with the users and items that still have one."""
    (users, user), (items, item) = (np.unique(column[keep], return_inverse=True) for column in (data.user, data.item))
    return replace(data, users=tuple(data.users[u] for u in users), items=tuple(data.items[i] for i in items),
                   user=user.astype(np.int32), item=item.astype(np.int32), time=None if data.time is None else data.time[keep])


def is_core(data: Interactions, least: int = 5) -> bool:
    """True where every user and every item has at least `least` events already."""
    return bool(len(data.user)) and all(np.bincount(column).min() >= least for column in (data.user, data.item))
