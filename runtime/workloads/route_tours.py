"""Tours on a live map: places become a matrix, a process of its own searches, and the plan is kept to be changed later."""

from __future__ import annotations

import asyncio
import pickle
import sys
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ...models.route.network import INF
from ...models.route.router import Place
from ...models.route.tour_check import Walked, walk
from ...models.route.tour_insert import insert
from ...models.route.tour_problem import UNREACHABLE, Charger, Plan, Problem, Robot, Shipment, Stop, cost_of
from ...models.route.tour_replan import Replanned, changed, in_place
from ...models.route.tour_solve import MISSING, missing
from ..deadline import left_us
from ..errors import Busy, Failed, Invalid, Late, NotFound, TooLarge, Unsupported
from .route_answer import Map, place
from .route_asks import Where
from .route_live import LiveMap

MAX_PLACES = 2000
KEPT = 200                 # plans that can still be changed,
KEPT_BYTES = 256 << 20     # and what their tables may hold together
AT_ONCE = 2                # searches
SPARE_S = 0.5              # of a deadline, for everything but the search
GRACE_S = 20.0             # beyond the budget, before a search is ended by force


@dataclass(frozen=True)
class AskTour:
    """Plan tours. `places` are the rows that stops, robots and chargers name; times are ms, distances dm.

    `budget_s` of search; 0 plans by insertion alone. `lines`: tell the way of each tour on the map, too.
    """

    places: tuple[Where, ...]
    stops: tuple[Stop, ...]
    robots: tuple[Robot, ...]
    shipments: tuple[Shipment, ...] = ()
    chargers: tuple[Charger, ...] = ()
    by_time: bool = True
    budget_s: float = 1.0
    seed: int = 0
    lines: bool = False
    limit_m: float = 500.0


@dataclass(frozen=True)
class AskReplan:
    """Fit a kept plan to the map as it is now, with some stops more (their places are appended) and some names fewer."""

    plan: str
    places: tuple[Where, ...] = ()
    stops: tuple[Stop, ...] = ()
    remove: tuple[str, ...] = ()
    budget_s: float = 0.0
    seed: int = 0
    lines: bool = False
    limit_m: float = 500.0


@dataclass(frozen=True)
class FoundTour:
    """A plan under the name `ident`; `walked` one for each robot. `in_place`: share of stops that stayed (1.0 for a new one).

    `ways` are the edges of each tour where they were asked for.
    """

    ident: str
    problem: Problem
    plan: Plan
    walked: tuple[Walked, ...]
    cost: int
    in_place: float
    touched: tuple[int, ...]
    version: int
    ways: tuple[np.ndarray, ...] | None = None


@dataclass(frozen=True)
class Kept:
    """A plan that can still be changed, with the places and roads that it was made for."""

    problem: Problem
    plan: Plan
    places: tuple[Place, ...]
    lengths: bool


@dataclass
class Planner:
    """The plans of one map."""

    live: LiveMap
    plans: OrderedDict[str, Kept] = field(default_factory=OrderedDict)
    running: int = 0

    async def tour(self, ask: AskTour, offload: Callable[..., Awaitable[Any]]) -> FoundTour:
        """A new plan. Invalid, TooLarge, Busy, Unsupported (no solver), Late."""
        places, problem, version = await offload(stated, self.live, ask)
        lengths = needs_lengths(ask.robots, ask.by_time)
        done = await self.search((problem, None, None, ask.budget_s, ask.seed), offload)
        return await offload(self._found, Kept(problem, done.plan, places, lengths), done, version, ask.lines)

    async def replan(self, ask: AskReplan, offload: Callable[..., Awaitable[Any]]) -> FoundTour:
        """A kept plan, changed. NotFound for a plan that is not kept (any more)."""
        kept = self.plans.get(ask.plan)
        if kept is None:
            raise NotFound(f"plan {ask.plan[:80]!r} is not known: the last {KEPT} plans since the start of the server can be "
                           "changed; send the whole tour again")
        before, now, start, places, version = await offload(changed_problem, self.live, kept, ask)
        done = await self.search((now, start, before, ask.budget_s, ask.seed), offload)
        return await offload(self._found, Kept(now, done.plan, places, kept.lengths), done, version, ask.lines)

    async def search(self, job: tuple[Any, ...], offload: Callable[..., Awaitable[Any]]) -> Replanned:
        """The search in a process of its own; insertion alone is quick enough to be done here."""
        budget_s = job[3]
        if budget_s <= 0:
            return await offload(inserted, job)
        if missing():
            raise Unsupported(MISSING)
        left_s = left_us() * 1e-6
        if left_s:
            budget_s = min(budget_s, left_s - SPARE_S)
            if budget_s <= 0:
                raise Late(f"the deadline leaves {left_s:.3g} s, and a search needs {SPARE_S} s beside its budget; ask with "
                           "budget_s 0 for a plan by insertion alone")
        if self.running >= AT_ONCE:
            raise Busy(f"{self.running} tours are being planned, the most at once; ask again in a moment", budget_s)
        self.running += 1
        try:
            return await child((*job[:3], budget_s, job[4]))
        finally:
            self.running -= 1

    def _found(self, kept: Kept, done: Replanned, version: int, lines: bool) -> FoundTour:
        """Keep a plan and say what it is."""
        ident = uuid.uuid4().hex[:12]
        self.plans[ident] = kept
        while len(self.plans) > 1 and (len(self.plans) > KEPT or sum(map(size, self.plans.values())) > KEPT_BYTES):
            self.plans.popitem(last=False)
        walked = tuple(walk(kept.problem, r, tour) for r, tour in enumerate(done.plan.tours))
        ways = tuple(way_of(self.live.router, kept, r) for r in range(len(walked))) if lines else None
        return FoundTour(ident, kept.problem, done.plan, walked, cost_of(kept.problem, done.plan), done.in_place, done.touched,
                         version, ways)


def size(kept: Kept) -> int:
    """Bytes of a plan's tables."""
    tables = {id(table): table.nbytes for table in (kept.problem.distance, kept.problem.duration)}
    return sum(tables.values())


async def child(job: tuple[Any, ...]) -> Replanned:
    """One search in a process; Failed where it ends without an answer."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "aisle.models.route.tour_worker", stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(job[3] + GRACE_S):
            out, _ = await process.communicate(pickle.dumps(job))
    except TimeoutError:
        raise Failed(f"the search had not ended {GRACE_S:g} s after its budget of {job[3]:g} s and was ended") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise Failed(f"the search ended with code {process.returncode} and without a plan (-9 usually means that the machine "
                     "ran out of memory); ask with fewer stops")
    answer = pickle.loads(out)
    if isinstance(answer, str):
        raise Invalid(answer)
    return answer


def inserted(job: tuple[Any, ...]) -> Replanned:
    """By insertion alone: what is new goes to its cheapest place, and only stops that can no longer be kept move."""
    from ...models.route.tour_worker import work
    problem, start, before, _, seed = job
    if before is not None and not any(changed(before, problem, r, start.tours[r]) for r in range(len(problem.robots))):
        plan = start
        for stop in list(start.unserved):
            if stop in plan.unserved:
                plan = insert(problem, plan, stop)
        return Replanned(plan, (), in_place(start, plan))
    done = work((problem, start, before, 0.0, seed))
    if isinstance(done, str):
        raise Invalid(done)
    return done


# ---- from places to a problem

def needs_lengths(robots: tuple[Robot, ...], by_time: bool) -> bool:
    """Whether anything counts metres."""
    return not by_time or any(robot.reach for robot in robots)


def stated(live: LiveMap, ask: AskTour) -> tuple[tuple[Place, ...], Problem, int]:
    """The places on the network, the problem, and the version of the roads."""
    if len(ask.places) > MAX_PLACES:
        raise TooLarge(f"the tour has {len(ask.places)} places and at most {MAX_PLACES} are planned at once; plan in parts")
    router = live.now()
    places = tuple(place(router, where, f"place {i}", ask.limit_m) for i, where in enumerate(ask.places))
    version = router.version
    duration, distance = matrices(router, places, needs_lengths(ask.robots, ask.by_time))
    try:
        problem = Problem(distance, duration, ask.stops, ask.robots, ask.shipments, ask.chargers,
                          per_distance=int(not ask.by_time), per_duration=int(ask.by_time), second=1000, metre=10)
    except ValueError as error:
        raise Invalid(str(error)) from None
    return places, problem, version


def matrices(router: Map, places: tuple[Place, ...], lengths: bool) -> tuple[np.ndarray, np.ndarray]:
    """(durations in ms, distances in dm of the same ways), int64 (n, n); distances are durations where nobody counts them."""
    costs, metres = router.lengths(places, places) if lengths else (router.matrix(places, places), None)
    duration = costs.astype(np.int64)
    none = duration >= INF
    duration[none] = UNREACHABLE
    np.fill_diagonal(duration, 0)
    if metres is None:
        return duration, duration
    metres[none] = UNREACHABLE
    np.fill_diagonal(metres, 0)
    return duration, metres


def changed_problem(live: LiveMap, kept: Kept,
                    ask: AskReplan) -> tuple[Problem, Problem, Plan, tuple[Place, ...], int]:
    """(the problem with the new stops on the old roads, on the new ones, the plan to begin with, places, version)."""
    old = kept.problem
    names = {stop.name: i for i, stop in enumerate(old.stops)}
    unknown = [name for name in ask.remove if name not in names]
    if unknown:
        raise Invalid(f"remove: no stop of the plan is called {unknown[0]!r}")
    gone = {names[name] for name in ask.remove}
    for shipment in old.shipments:        # both ends go
        gone |= {shipment.pickup, shipment.delivery} if {shipment.pickup, shipment.delivery} & gone else set()
    stay = [i for i in range(len(old.stops)) if i not in gone]
    new = {was: i for i, was in enumerate(stay)}
    router = live.now()
    places = (*kept.places, *(place(router, where, f"stops[{i}]", ask.limit_m) for i, where in enumerate(ask.places)))
    version = router.version
    duration, distance = matrices(router, places, kept.lengths)
    stops = (*(old.stops[i] for i in stay), *(replace(s, place=s.place + len(kept.places)) for s in ask.stops))
    shipments = tuple(replace(s, pickup=new[s.pickup], delivery=new[s.delivery]) for s in old.shipments if s.pickup in new)
    try:
        now = replace(old, distance=distance, duration=duration, stops=stops, shipments=shipments)
    except ValueError as error:
        raise Invalid(str(error)) from None
    size = len(kept.places)
    before = now
    if not (np.array_equal(duration[:size, :size], old.duration) and np.array_equal(distance[:size, :size], old.distance)):
        was_time, was_far = duration.copy(), distance.copy()
        was_time[:size, :size], was_far[:size, :size] = old.duration, old.distance
        before = replace(now, distance=was_far, duration=was_time)
    waiting = {new[s]: why for s, why in kept.plan.unserved.items() if s in new}
    waiting |= dict.fromkeys(range(len(stay), len(stops)), "new")
    tours = tuple(tuple(new[v] if v >= 0 else v for v in tour if v < 0 or v in new) for tour in kept.plan.tours)
    return before, now, Plan(tours, waiting), places, version


def way_of(router: Map, kept: Kept, robot: int) -> np.ndarray:
    """The edges of a tour, one way after another, int32."""
    problem, tour = kept.problem, kept.plan.tours[robot]
    machine = problem.robots[robot]
    rows = [machine.start, *(problem.stops[v].place if v >= 0 else problem.chargers[-1 - v].place for v in tour), machine.home]
    ways = [router.route(kept.places[a], kept.places[b]) for a, b in pairwise(rows)] if tour else []
    return np.concatenate([np.empty(0, np.int32), *(way.edges for way in ways if way is not None)]).astype(np.int32)
