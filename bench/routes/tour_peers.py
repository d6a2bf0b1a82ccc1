"""OR-Tools and VROOM on one instance; runs in an environment of their own: tour_peers.py PEER FILE.npz SECONDS."""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module

import numpy as np


def ortools(job: dict[str, np.ndarray], budget_s: float) -> float:
    """Savings or cheapest insertion, then guided local search for the time that is left; -1 for no plan."""
    pywrapcp, enums = (import_module(f"ortools.constraint_solver.{n}") for n in ("pywrapcp", "routing_enums_pb2"))
    matrix, demand, windows = job["matrix"], job["demand"], job["windows"]
    fleet, capacity, service = int(job["fleet"]), int(job["capacity"]), int(job["service"])
    manager = pywrapcp.RoutingIndexManager(len(matrix), fleet, 0)
    model = pywrapcp.RoutingModel(manager)
    table = matrix.tolist()
    leg = model.RegisterTransitMatrix(table)
    model.SetArcCostEvaluatorOfAllVehicles(leg)
    load = model.RegisterUnaryTransitVector(demand.tolist())
    model.AddDimensionWithVehicleCapacity(load, 0, [capacity] * fleet, True, "load")
    if len(windows):
        end = int(windows[0, 1])
        stay = [[d + (service if i else 0) for d in row] for i, row in enumerate(table)]
        model.AddDimension(model.RegisterTransitMatrix(stay), end, end, False, "time")
        times = model.GetDimensionOrDie("time")
        for i in range(1, len(matrix)):
            times.CumulVar(manager.NodeToIndex(i)).SetRange(int(windows[i, 0]), int(windows[i, 1]))
    search = pywrapcp.DefaultRoutingSearchParameters()
    search.first_solution_strategy = (enums.FirstSolutionStrategy.PARALLEL_CHEAPEST_INSERTION if len(windows)
                                      else enums.FirstSolutionStrategy.SAVINGS)
    search.local_search_metaheuristic = enums.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH
    search.time_limit.FromMilliseconds(round(budget_s * 1000))
    found = model.SolveWithParameters(search)
    return -1 if found is None else float(found.ObjectiveValue())


def vroom(job: dict[str, np.ndarray], budget_s: float) -> float:
    """To its end at exploration level 1 (it cannot be stopped and asked for its best); -1 where stops are left out."""
    library = import_module("vroom")
    problem = library.Input()
    problem.set_durations_matrix("car", job["matrix"].astype(np.uint32))
    windows, service = job["windows"], int(job["service"])
    span = {"time_window": library.TimeWindow(0, int(windows[0, 1]))} if len(windows) else {}
    problem.add_vehicle([library.Vehicle(i, start=0, end=0, profile="car", capacity=[int(job["capacity"])], **span)
                         for i in range(int(job["fleet"]))])
    for i in range(1, len(job["matrix"])):
        window = {"time_windows": [library.TimeWindow(int(windows[i, 0]), int(windows[i, 1]))]} if len(windows) else {}
        problem.add_job(library.Job(i, location=i, delivery=[int(job["demand"][i])], default_service=service, **window))
    found = problem.solve(exploration_level=1, nb_threads=1)
    return -1 if found.summary.unassigned else float(found.summary.cost)


if __name__ == "__main__":
    peer, path, seconds = sys.argv[1:]
    with np.load(path) as stored:
        asked = {name: stored[name] for name in stored.files}
    began = time.process_time()
    try:
        cost = {"ortools": ortools, "vroom": vroom}[peer](asked, float(seconds))
        print(json.dumps({"cost": float(cost), "cpu_s": time.process_time() - began}))
    except Exception as error:  # noqa: BLE001 - whatever a peer raises is what there is to say of it
        print(json.dumps({"error": f"{type(error).__name__}: {error}"[:200]}))
