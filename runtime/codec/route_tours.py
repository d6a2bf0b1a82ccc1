"""Tours as JSON: stops, shipments, robots and chargers with places, seconds and metres in; visits with times out."""

from __future__ import annotations

from typing import Any

from ...models.route import shapes
from ...models.route.floor_map import FloorMap
from ...models.route.tour_problem import FOREVER, Charger, Robot, Shipment, Stop
from ..errors import Invalid
from ..workloads.route_asks import Where
from ..workloads.route_live import LiveMap
from ..workloads.route_tours import AskReplan, AskTour, FoundTour
from .fields import Fields, alone
from .route_lines import geojson_line
from .route_places import limit, place_of

MS, DM = 1000, 10          # of a second, of a metre
MOST_S, MOST_M = 10_000_000, 10_000_000
MAX_BUDGET_S = 120.0


class Reader:
    """Collects the places that the parts of a tour name; equal places are one."""

    def __init__(self) -> None:
        self.places: dict[Where, int] = {}
        self.names: set[str] = set()

    def place(self, fields: Fields, name: str) -> int:
        """The row of a place."""
        return self.places.setdefault(place_of(fields, name), len(self.places))

    def name(self, fields: Fields) -> str:
        """A name that no other stop of the tour has."""
        name = fields.text("name")
        if name in self.names:
            raise Invalid(f"{fields.at('name')}: {name!r} is the name of another stop; expected a name of its own for each")
        self.names.add(name)
        return name

    def stop(self, value: Any, place: str) -> Stop:
        """{"name", "at", "window_s", "service_s", "unload", "load"}."""
        fields = Fields(value, place)
        early, late = window(fields)
        made = Stop(self.name(fields), self.place(fields, "at"), early, late, service(fields), amount(fields, "unload"),
                    amount(fields, "load"))
        fields.done()
        return made

    def shipment(self, value: Any, place: str) -> tuple[Stop, Stop, tuple[int, ...]]:
        """{"name", "from": {"at", ...}, "to": {"at", ...}, "amount"}."""
        fields = Fields(value, place)
        name = self.name(fields)
        pickup, delivery = (self.end(fields.raw(key, expected="an end"), fields.at(key), f"{name} ({word})")
                            for key, word in (("from", "pick-up"), ("to", "delivery")))
        made = pickup, delivery, amount(fields, "amount")
        fields.done()
        return made

    def end(self, value: Any, place: str, name: str) -> Stop:
        """One end of a shipment."""
        fields = Fields(value, place)
        early, late = window(fields)
        made = Stop(name, self.place(fields, "at"), early, late, service(fields))
        fields.done()
        return made

    def robot(self, value: Any, place: str) -> Robot:
        """{"name", "start", "end", "capacity", "window_s", "reach_m", "level_m", "charge_m_per_s", "fixed_s"}."""
        fields = Fields(value, place)
        early, late = window(fields)
        start = self.place(fields, "start")
        end = self.place(fields, "end") if "end" in fields.table else None
        fields.known.append("end")
        reach = round(fields.number("reach_m", 0.0, 0, MOST_M) * DM)
        level = fields.number("level_m", None, 0, MOST_M)
        charge = fields.number("charge_m_per_s", 1.0, 1e-3, 1e6) * DM / MS
        made = Robot(fields.text("name"), start, end, amount(fields, "capacity"), early, late, reach,
                     None if level is None else round(level * DM), charge,
                     round(fields.number("fixed_s", 0.0, 0, MOST_S) * MS))
        fields.done()
        return made

    def charger(self, value: Any, place: str) -> Charger:
        """{"name", "at", "setup_s"}."""
        fields = Fields(value, place)
        made = Charger(fields.text("name"), self.place(fields, "at"), round(fields.number("setup_s", 0.0, 0, MOST_S) * MS))
        fields.done()
        return made


def window(fields: Fields) -> tuple[int, int]:
    """window_s: [from, to] in seconds from the start of the plan; open without one."""
    bounds = fields.items("window_s", second, (), most=2)
    if len(bounds) == 1 or (bounds and bounds[0] > bounds[1]):
        raise fields.wrong("window_s", "two numbers of seconds, the earlier first")
    return (round(bounds[0] * MS), round(bounds[1] * MS)) if bounds else (0, FOREVER)


def second(value: Any, place: str) -> float:
    """Seconds from the start of the plan."""
    return alone(value, place).number("", least=0, most=MOST_S)


def service(fields: Fields) -> int:
    """service_s as ms."""
    return round(fields.number("service_s", 0.0, 0, MOST_S) * MS)


def amount(fields: Fields, name: str) -> tuple[int, ...]:
    """A whole number, or one for each dimension of a hold."""
    value = fields.table.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return (fields.whole(name, most=10**9),)
    return fields.items(name, whole, (), most=8)


def whole(value: Any, place: str) -> int:
    """A whole number from 0."""
    return alone(value, place).whole("", most=10**9)


def ask_tour(fields: Fields) -> AskTour:
    """{"stops", "shipments", "robots", "chargers", "minimise", "budget_s", "seed", "lines"}."""
    reader = Reader()
    stops = list(fields.items("stops", reader.stop, (), most=2000))
    sent = fields.items("shipments", reader.shipment, (), most=1000)
    shipments = []
    for pickup, delivery, amounts in sent:
        shipments.append(Shipment(len(stops), len(stops) + 1, amounts))
        stops += [pickup, delivery]
    if not stops:
        raise Invalid(f"{fields.at('stops')}: expected stops or shipments to serve")
    robots = fields.items("robots", reader.robot, least=1, most=1000)
    chargers = fields.items("chargers", reader.charger, (), most=100)
    by_time = fields.choice("minimise", ("time", "distance"), "time") == "time"
    return AskTour(tuple(reader.places), tuple(stops), robots, tuple(shipments), chargers, by_time,
                   fields.number("budget_s", 1.0, 0, MAX_BUDGET_S), fields.whole("seed", 0), fields.flag("lines"),
                   limit(fields))


def ask_replan(fields: Fields) -> AskReplan:
    """{"plan", "add", "remove", "budget_s", "seed", "lines"}."""
    reader = Reader()
    added = fields.items("add", reader.stop, (), most=1000)
    removed = fields.items("remove", name_of, (), most=1000)
    return AskReplan(fields.text("plan"), tuple(reader.places), added, removed,
                     fields.number("budget_s", 0.0, 0, MAX_BUDGET_S), fields.whole("seed", 0), fields.flag("lines"),
                     limit(fields))


def name_of(value: Any, place: str) -> str:
    """A stop's name."""
    return alone(value, place).text("")


def told_tour(found: FoundTour, live: LiveMap) -> dict[str, Any]:
    """The plan: visits of each robot, and why stops are left out."""
    problem = found.problem
    by_time = problem.per_duration > 0
    tours = [told_robot(found, r, live) for r in range(len(problem.robots))]
    return {"plan": found.ident, "tours": tours, "cost_s" if by_time else "cost_m": found.cost / (MS if by_time else DM),
            "unserved": [{"stop": problem.stops[s].name, "why": why} for s, why in found.plan.unserved.items()],
            "in_place": round(found.in_place, 4), "robots_touched": [problem.robots[r].name for r in found.touched],
            "map_version": found.version}


def told_robot(found: FoundTour, robot: int, live: LiveMap) -> dict[str, Any]:
    """One robot's tour."""
    problem, walked = found.problem, found.walked[robot]
    visits = []
    for moment in walked.moments:
        served = moment.visit >= 0
        item = problem.stops[moment.visit] if served else problem.chargers[-1 - moment.visit]
        visit: dict[str, Any] = {"stop" if served else "charger": item.name, "arrive_s": moment.arrive / MS,
                                 "begin_s": moment.begin / MS, "leave_s": moment.leave / MS}
        if moment.load:
            visit["load"] = list(moment.load)
        if moment.level is not None:
            visit["level_m"] = moment.level / DM
        visits.append(visit)
    made: dict[str, Any] = {"robot": problem.robots[robot].name, "visits": visits, "back_s": walked.back / MS}
    if found.problem.distance is not found.problem.duration:
        made["length_m"] = walked.distance / DM
    if found.ways is not None:
        made["edges"] = found.ways[robot].tolist()
        made["geometry"] = line_of(found, robot, live)
    return made


def line_of(found: FoundTour, robot: int, live: LiveMap) -> dict[str, Any]:
    """The tour's edges as one line on the map."""
    from .route_told import DIGITS
    assert found.ways is not None
    router, edges = live.router, found.ways[robot]
    if isinstance(router, FloorMap):
        return geojson_line(router.points(edges), DIGITS["plane"])
    network = router.network
    return geojson_line(shapes.line_of(network, edges)[0][1:], DIGITS[network.frame])
