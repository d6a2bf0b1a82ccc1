"""Tours: gap to the best known plan beside PyVRP, OR-Tools and VROOM, and what insertion and re-planning cost."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ...models.make.blocks_map import blocks
from ...models.route.network import INF
from ...models.route.router import Router
from ...models.route.tour_check import check
from ...models.route.tour_insert import insert
from ...models.route.tour_problem import UNREACHABLE, Plan, Problem, Robot, Stop, cost_of, with_matrix
from ...models.route.tour_replan import replan
from ...models.route.tour_solve import Stop as Until
from ...models.route.tour_solve import alike, missing, solve, translated
from ..report import Options, Row
from .instances import Instance, instances

ENV = Path(__file__).parents[2] / ".bench-envs" / "tours"
PACKAGES = ("numpy", "ortools", "pyvroom")
NOISE = 1.0              # points of gap by which one seed differs from another
GOAL = "not worse than the best of PyVRP, OR-Tools and VROOM (1 point of noise for one seed)"
INSTALL_S, PEER_S = 300, 200


def run(options: Options) -> Iterator[Row]:
    """All rows of tours."""
    why = missing()
    if why:
        yield Row("tours", "gap", None, "%", goal=GOAL, note=why)
        return
    found = instances(options.data, options.quick) if options.data else []
    if not found:
        yield Row("tours", "gap", None, "%", goal=GOAL,
                  note="no instances: give --data a folder with routes/vrp_instances*.zip")
    lacking = prepare(options.quick) if found else ""
    for instance in tqdm(found, desc="tours", unit="instance", leave=False):
        whole = {"error": lacking} if lacking else ask("vroom", instance, 0.0)      # it has no budget: once is enough
        for budget_s in (1.0,) if options.quick else (1.0, 10.0):
            limited = {"error": lacking} if lacking else fair(instance, budget_s)
            yield gap_row(instance, budget_s, {"ortools": limited, "vroom": whole})
    yield from changing()


def fair(instance: Instance, budget_s: float) -> dict[str, Any]:
    """OR-Tools with that much of a processor: it counts seconds on the wall, so where others took part of them it has more."""
    told = ask("ortools", instance, budget_s)
    if "cpu_s" in told and told["cpu_s"] < 0.9 * budget_s:
        told = ask("ortools", instance, budget_s * min(budget_s / max(told["cpu_s"], 0.01), 5.0))
    return told


def gap_row(instance: Instance, budget_s: float, asked: dict[str, dict[str, Any]]) -> Row:
    """Ours on one instance with one budget of processor seconds, beside what the peers answered."""
    begin = time.thread_time()
    plan = solve(instance.problem, budget_s, cpu=True)
    spent = time.thread_time() - begin
    faults = check(instance.problem, plan)
    ours = gap(instance, cost_of(instance.problem, plan)) if not plan.unserved and not faults else None
    others: dict[str, float] = {"PyVRP": gap(instance, plain(instance, budget_s))}
    notes = [f"ours took {spent:.2f} CPU s, {'feasible by the checker' if not faults else faults[0]}"]
    for peer, told in asked.items():
        within = told.get("cpu_s", 0.0) <= 1.25 * budget_s
        if told.get("cost", -1) >= 0 and within:
            others[peer] = gap(instance, told["cost"])
        notes.append(f"{peer}: " + (told["error"] if "error" in told else "no plan" if told["cost"] < 0 else
                                    f"{gap(instance, told['cost']):.2f} % in {told['cpu_s']:.1f} CPU s"
                                    + ("" if within else ", over the budget and so not compared")))
    best = min(others, key=lambda name: others[name])
    return Row(f"tours/{instance.name.split('/')[-1]}", f"gap after {budget_s:g} CPU s", ours, "%", peer=best,
               peer_value=others[best], goal=GOAL, met=ours is not None and ours <= others[best] + NOISE,
               note=f"PyVRP itself {others['PyVRP']:.2f} %; " + "; ".join(notes))


def gap(instance: Instance, cost: float) -> float:
    """Percent above the best known cost."""
    return 100 * (cost / instance.best - 1)


def plain(instance: Instance, budget_s: float) -> float:
    """The cost that PyVRP reaches by itself; infinite where it is not feasible."""
    import pyvrp
    data = translated(instance.problem, alike(instance.problem), optional=False)
    found = pyvrp.solve(data, Until(time.thread_time() + budget_s, time.thread_time), collect_stats=False)
    return float(found.best.distance()) if found.is_feasible() else float("inf")


def prepare(quick: bool) -> str:
    """"" once the peers are installed, else why not. A quick run installs nothing."""
    if (ENV / ".ready").is_file():
        return ""
    if quick:
        return "no environment for peers yet; a run without --quick makes it"
    try:
        for command in ([sys.executable, "-m", "venv", str(ENV)],
                        [str(ENV / "bin" / "python"), "-m", "pip", "install", "-q", *PACKAGES]):
            subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_S)
    except (subprocess.SubprocessError, OSError) as error:
        return f"peers could not be installed here ({type(error).__name__})"
    (ENV / ".ready").touch()
    return ""


def ask(peer: str, instance: Instance, budget_s: float) -> dict[str, Any]:
    """A peer's cost and processor seconds, or its error."""
    problem = instance.problem
    timed = bool(problem.duration.any())
    windows = [(0, problem.robots[0].late), *((s.early, s.late) for s in problem.stops)] if timed else []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.npz"
        np.savez(path, matrix=problem.distance, demand=[0, *(s.unload[0] for s in problem.stops)],
                 windows=np.array(windows, np.int64).reshape(-1, 2), fleet=len(problem.robots),
                 capacity=problem.robots[0].capacity[0], service=problem.stops[0].service)
        command = [str(ENV / "bin" / "python"), str(Path(__file__).parent / "tour_peers.py"), peer, str(path), str(budget_s)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PEER_S, check=False)
        except subprocess.TimeoutExpired:
            return {"error": f"not done after {PEER_S} s"}
    lines = done.stdout.splitlines()
    return dict(json.loads(lines[-1])) if lines else {"error": f"ended with code {done.returncode}"}


# ---- on streets that change

def changing() -> Iterator[Row]:
    """A plan of 100 stops on a made town: one stop more, and one road less."""
    router = Router(blocks(40, 40))
    rng = np.random.default_rng(11)
    places = rng.choice(1600, 101, replace=False).tolist()
    stops = tuple(Stop(f"s{i}", i, service=30_000, unload=(1,)) for i in range(1, 101))
    robots = tuple(Robot(f"r{i}", 0, capacity=(15,)) for i in range(8))
    matrix = table(router, places)
    problem = Problem(matrix, matrix, stops, robots, per_distance=0, per_duration=1)
    plan = solve(problem, 1.0)
    less = Plan(tuple(tuple(v for v in tour if v != 50) for tour in plan.tours), {50: "new"})
    took = []
    for _ in range(20):
        begin = time.perf_counter()
        more = insert(problem, less, 50)
        took.append((time.perf_counter() - begin) * 1e3)
    yield Row("tours/insert", "p50 of one stop into 99", float(np.median(took)), "ms", goal="milliseconds",
              met=float(np.median(took)) < 10 and not check(problem, more), note="the first call also fills caches")
    way = router.route(places[0], places[problem.stops[plan.stops(0)[0]].place])
    assert way is not None
    edge = int(way.edges[len(way.edges) // 2])
    begin = time.perf_counter()
    router.close([edge, edge ^ 1])
    fresh = table(router, places)
    done = replan(problem, plan, with_matrix(problem, fresh, fresh), 0.5)
    took_s = time.perf_counter() - begin
    good = not check(replace(problem, distance=fresh, duration=fresh), done.plan)
    yield Row("tours/replan", "after one closed road, warm", took_s, "s", goal="<= 1 s", met=took_s <= 1 and good,
              note=f"{100 * done.in_place:.0f} % of the stops stay in place, {len(done.touched)} of {len(robots)} tours "
                   "touched; with the new table of 101 x 101 and 0.5 s of search")


def table(router: Router, places: list[int]) -> np.ndarray:
    """Travel times in ms."""
    made = router.matrix(places, places).astype(np.int64)
    made[made >= INF] = UNREACHABLE
    np.fill_diagonal(made, 0)
    return made
