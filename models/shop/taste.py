"""A fitted recommender laid on a catalogue: every item for sale has a place in its table, also those that came later."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..recommend.format import Fitted, bonuses, cold
from .catalogue import Catalogue
from .item import said
from .past import Past
from .ranking import Vectors
from .snapshot import Snapshot


class Taste:
    """Follows a catalogue. `vectors` are by its rows; an item that the fit did not know lies where its text says."""

    def __init__(self, fitted: Fitted, catalogue: Catalogue) -> None:
        self.fitted = fitted
        self.known = {ident: row for row, ident in enumerate(fitted.ids)}
        self.vectors = Vectors(fitted.depth, max(1024, len(catalogue.snapshot)))
        self.of_fit = np.full(len(fitted.ids) + 1, -1, np.int32)   # fitted row -> catalogue row; the last stands for no row
        self.fit_of = np.full(0, -1, np.int64)                     # catalogue row -> fitted row
        self.trend = np.zeros(0, np.float32)                       # by catalogue row, at most 1
        self.popular = 2.0                                         # the trend that the first ten, or two in a hundred, reach
        catalogue.listen(self.follow)

    def follow(self, snapshot: Snapshot, rows: np.ndarray, told: np.ndarray) -> None:
        """Place the items of these rows; see `Catalogue.listen`."""
        if not len(told):
            return
        found = np.array([self.known.get(snapshot.items[row].id, -1) for row in told.tolist()], np.int64)
        seen = found >= 0
        self.vectors.put(told[seen], self.fitted.vectors[found[seen]])
        new = told[~seen]
        self.vectors.put(new, cold(self.fitted, [said(snapshot.items[row]) for row in new.tolist()]))
        fit_of = np.full(len(snapshot), -1, np.int64)
        fit_of[:len(self.fit_of)] = self.fit_of
        fit_of[told] = found
        of_fit = self.of_fit.copy()
        of_fit[found[seen]] = told[seen]
        trend = np.where(fit_of >= 0, self.fitted.trend[np.maximum(fit_of, 0)], 0).astype(np.float32)
        trend /= max(float(trend.max(initial=0)), 1e-30)
        shown = trend[snapshot.alive & (trend > 0)]
        first = max(0, len(shown) - max(10, len(shown) // 50))
        self.popular = float(np.partition(shown, first)[first]) if len(shown) else 2.0
        self.trend, self.of_fit, self.fit_of = trend, of_fit, fit_of

    def vector(self, ident: str, row: int | None) -> np.ndarray | None:
        """Where an item lies, float32 (d,), also one that is no longer sold; None where nothing is known of it."""
        fit = self.known.get(ident)
        table, at = (self.vectors.floats, row) if fit is None else (self.fitted.vectors, fit)
        return None if at is None else table[at]

    def fit_rows(self, events: Sequence[Past]) -> np.ndarray:
        """The fit's rows of events, int64, -1 where it does not know the item."""
        rows = [event.row for event in events]
        fits: np.ndarray = self.fit_of[[0 if row is None else row for row in rows]]
        if None in rows:
            for at, event in enumerate(events):
                if event.row is None:
                    fits[at] = self.known.get(event.ident, -1)
        return fits

    def extras(self, events: Sequence[Past], size: int) -> tuple[np.ndarray, np.ndarray]:
        """What the first `size` rows of the catalogue get because they go with these events, oldest first: rows int32, some of
        them twice, -1 for none, and float32 >= 0 for each."""
        near, more = bonuses(self.fitted, self.fit_rows(events))
        place = self.of_fit[near]
        if len(self.fit_of) > size:
            place[place >= size] = -1
        return place, more
