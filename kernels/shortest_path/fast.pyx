"""The quick version of `shortest_path`: a customizable contraction hierarchy with two metrics, one of them in use."""

import threading
import time

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memcpy
from libcpp cimport bool as cbool
from libcpp.pair cimport pair
from libcpp.vector cimport vector

include "native.inc"

cdef enum:
    PARTS = 64          # pieces of work for all weights anew: enough for eight threads to end at about the same time
    TURN = 64           # ways found before the metric is let go for a moment: a change need not wait for thousands of them
DAMAGED = "the topology does not hold together - at a detour; the map is damaged: build it again"
NAMES = ("rank", "up_first", "up_head", "up_tail", "up_depth", "depth", "down_first", "down_arc", "arc_slot", "slot_arc",
         "next_same")


def level() -> str:
    """The instruction set in use; tables take wider ones by themselves."""
    return "base"


cdef object _array(const vector[int32_t]& values):
    made = np.empty(values.size(), np.int32)
    cdef int32_t[::1] view = made
    if values.size():
        memcpy(&view[0], values.data(), values.size() * 4)
    return made


cdef object _unsigned(const vector[uint32_t]& values):
    made = np.empty(values.size(), np.uint32)
    cdef uint32_t[::1] view = made
    if values.size():
        memcpy(&view[0], values.data(), values.size() * 4)
    return made


def build(const int32_t[::1] tail not None, const int32_t[::1] head not None, const double[::1] x not None,
          const double[::1] y not None):
    """See the package; arguments are checked there."""
    cdef Hierarchy h
    cdef int n = x.shape[0], arcs = tail.shape[0]
    cdef cbool fits
    cdef const int32_t* t = &tail[0] if arcs else NULL
    cdef const int32_t* d = &head[0] if arcs else NULL
    if n < 1 or y.shape[0] != n or head.shape[0] != arcs:
        raise ValueError("build was called with shapes that its check refuses; call kernels.shortest_path.build")
    with nogil:
        fits = make(n, t, d, arcs, &x[0], &y[0], h)
    if not fits:
        raise MemoryError("the hierarchy of this graph has over 2**30 arcs; it is too dense for this method")
    return {"tail": np.asarray(tail), "head": np.asarray(head), "rank": _array(h.rank), "up_first": _array(h.up_first),
            "up_head": _array(h.up_head), "up_tail": _array(h.up_tail), "up_depth": _array(h.up_depth),
            "depth": _array(h.depth), "down_first": _array(h.down_first), "down_arc": _array(h.down_arc),
            "arc_slot": _array(h.arc_slot), "slot_arc": _array(h.slot_arc), "next_same": _array(h.next_same)}


cdef const int32_t* _pointer(const int32_t[::1] view):
    return &view[0] if view.shape[0] else NULL


cdef class Part:
    """The arcs of one subtree, to be called once on any thread; all parts of an engine may run at the same time."""

    cdef Engine engine
    cdef int metric, first, end
    cdef readonly bint done

    def __call__(self):
        """Weigh them. The GIL is free meanwhile."""
        with nogil:
            customise(self.engine.g, self.engine.metric[self.metric], self.first, self.end, NULL)
        self.done = True


cdef class Engine:
    """See the package. Readers hold a metric by a count that only changes under the GIL; the writer fills the other one."""

    cdef View g
    cdef Metric metric[2]
    cdef int readers[2]
    cdef int current
    cdef Updater updater
    cdef vector[int32_t] touched          # arcs of the hierarchy in which the spare metric is behind
    cdef vector[int32_t] behind           # the same for arcs of the graph
    cdef cbool all_behind
    cdef Parts parts
    cdef vector[Scratch*] pool
    cdef object lock
    cdef dict arrays
    cdef readonly int nodes
    cdef readonly long version

    def __cinit__(self):
        self.readers[0] = self.readers[1] = self.current = 0

    def __dealloc__(self):
        cdef size_t i
        for i in range(self.pool.size()):
            del self.pool[i]

    def __init__(self, topology, int nodes, const uint32_t[::1] weights not None, metric=None, run=None):
        self.lock, self.nodes, self.version = threading.Lock(), nodes, 0
        self.arrays = {name: np.ascontiguousarray(topology[name], np.int32) for name in NAMES}
        cdef int m = len(self.arrays["up_head"]), arcs = weights.shape[0]
        lengths = {"rank": nodes, "up_first": nodes + 1, "up_head": m, "up_tail": m, "up_depth": m, "depth": nodes,
                   "down_first": nodes + 1, "down_arc": m, "arc_slot": arcs, "slot_arc": 2 * m, "next_same": arcs}
        for name, length in lengths.items():
            if self.arrays[name].shape != (length,):
                raise ValueError(f"expected int32 ({length},), got {self.arrays[name].shape} - at `{name}` of the topology; "
                                 "build the map again")
        self.g.n, self.g.m, self.g.arcs = nodes, m, arcs
        self.g.rank, self.g.up_first = _pointer(self.arrays["rank"]), _pointer(self.arrays["up_first"])
        self.g.up_head, self.g.up_tail = _pointer(self.arrays["up_head"]), _pointer(self.arrays["up_tail"])
        self.g.up_depth, self.g.depth = _pointer(self.arrays["up_depth"]), _pointer(self.arrays["depth"])
        self.g.down_first, self.g.down_arc = _pointer(self.arrays["down_first"]), _pointer(self.arrays["down_arc"])
        self.g.arc_slot, self.g.slot_arc = _pointer(self.arrays["arc_slot"]), _pointer(self.arrays["slot_arc"])
        self.g.next_same = _pointer(self.arrays["next_same"])
        cdef const char* wrong
        with nogil:
            wrong = fault(self.g)
        if wrong != NULL:
            raise ValueError(f"the topology does not hold together - at `{wrong.decode()}`; the map is damaged: build it again")
        self.metric[0].input.resize(arcs)
        if arcs:
            memcpy(self.metric[0].input.data(), &weights[0], arcs * 4)
        if metric is None:
            self.fill(0, run)
        else:
            self.adopt(metric)
        self.all_behind = True                # the other metric is made when the first change needs it

    cdef object adopt(self, metric):
        """Take weights that were made before. Each must be that of a way; that none is cheaper, a checksum says."""
        cdef const uint32_t[::1] up = metric["up"], down = metric["down"], over = metric["over"]
        cdef Metric* k = &self.metric[0]
        cdef const char* wrong = NULL
        if up.shape[0] != self.g.m or down.shape[0] != self.g.m or over.shape[0] != 2 * self.g.m:
            raise ValueError(f"expected {self.g.m} weights up and down, got {up.shape[0]} and {down.shape[0]}; build the map again")
        if self.g.m:
            with nogil:
                k.up.assign(&up[0], &up[0] + self.g.m)
                k.down.assign(&down[0], &down[0] + self.g.m)
                k.over.assign(&over[0], &over[0] + 2 * <size_t>self.g.m)
                wrong = metric_fault(self.g, self.metric[0])
        if wrong != NULL:
            raise ValueError(f"the weights do not belong to this map - at `{wrong.decode()}`; the map is damaged: build it again")

    cdef object fill(self, int k, run):
        """All weights of a metric from its input, on this thread or in parts that `run` calls."""
        cdef int32_t i
        make_room(self.g, self.metric[k])
        if run is None:
            with nogil:
                customise(self.g, self.metric[k], 0, self.g.n, NULL)
            return
        if self.parts.first.empty() and self.parts.top.empty():
            with nogil:
                self.parts = cut(self.g, PARTS)
        jobs = []
        for i in range(<int32_t>self.parts.first.size()):
            job = Part()
            (<Part>job).engine, (<Part>job).metric = self, k
            (<Part>job).first, (<Part>job).end = self.parts.first[i], self.parts.end[i]
            jobs.append(job)
        run(jobs)
        if not all([job.done for job in jobs]):
            raise RuntimeError(f"`run` returned before each of its {len(jobs)} jobs had ended; nothing was changed")
        with nogil:
            customise(self.g, self.metric[k], 0, <int>self.parts.top.size(), self.parts.top.data())

    def metric_arrays(self):
        """See the package."""
        cdef int k = self.current
        return {"up": _unsigned(self.metric[k].up), "down": _unsigned(self.metric[k].down),
                "over": _unsigned(self.metric[k].over)}

    cdef Scratch* take(self):
        cdef Scratch* s
        if self.pool.empty():
            return new Scratch()
        s = self.pool.back()
        self.pool.pop_back()
        return s

    cdef int hold(self):
        self.readers[self.current] += 1
        return self.current

    cdef int inside(self, int node) except -1:
        if node < 0 or node >= self.nodes:
            raise ValueError(f"expected a node from 0 to {self.nodes - 1}, got {node}")
        return self.g.rank[node]

    cdef object ranks(self, nodes):
        """Ranks of an array of nodes, checked."""
        nodes = np.asarray(nodes)
        if nodes.size and not (0 <= nodes.min() and nodes.max() < self.nodes):
            raise ValueError(f"expected nodes from 0 to {self.nodes - 1}, got {nodes.min()} to {nodes.max()}")
        return self.arrays["rank"][nodes]

    def weights(self):
        """See the package."""
        made = np.empty(self.g.arcs, np.uint32)
        cdef uint32_t[::1] view = made
        if self.g.arcs:
            memcpy(&view[0], self.metric[self.current].input.data(), self.g.arcs * 4)
        return made

    def apply(self, const int32_t[::1] arcs not None, const uint32_t[::1] weights not None, run=None):
        """See the package. Readers go on with the other metric meanwhile; over a sixteenth of the arcs, all is done anew."""
        cdef int count = arcs.shape[0], i, spare
        cdef cbool whole = count * 16 > self.g.arcs
        if weights.shape[0] != count:
            raise ValueError(f"expected {count} weights, one an arc, got {weights.shape[0]}")
        for i in range(count):
            if arcs[i] < 0 or arcs[i] >= self.g.arcs or weights[i] > INF:
                raise ValueError(f"expected an arc from 0 to {self.g.arcs - 1} and a weight up to {INF}, "
                                 f"got arc {arcs[i]} and weight {weights[i]}")
        with self.lock:
            spare = 1 - self.current
            while self.readers[spare]:            # queries that began before the last change
                time.sleep(0.00005)
            if whole:
                self.renew(spare, arcs, weights, run)
            elif count:
                with nogil:
                    self.catch_up(spare)
                    self.change(spare, &arcs[0], &weights[0], count)
            else:
                with nogil:
                    self.catch_up(spare)
            self.version += 1
            self.current = spare                  # the swap: under the GIL, between two queries
            return self.version

    cdef object renew(self, int spare, const int32_t[::1] arcs, const uint32_t[::1] weights, run):
        """All weights anew in the spare metric; where that fails, it is only known to be of no use."""
        cdef int i
        self.touched.clear()
        self.behind.clear()
        self.all_behind = True
        self.metric[spare].input = self.metric[1 - spare].input
        for i in range(arcs.shape[0]):
            self.metric[spare].input[arcs[i]] = weights[i]
        self.fill(spare, run)

    cdef void catch_up(self, int spare) noexcept nogil:
        cdef Metric* to = &self.metric[spare]
        cdef Metric* of = &self.metric[1 - spare]
        cdef int32_t e
        if self.all_behind:
            self.metric[spare] = self.metric[1 - spare]
        else:
            for e in self.touched:
                to.up[e], to.down[e] = of.up[e], of.down[e]
                to.over[2 * <size_t>e], to.over[2 * <size_t>e + 1] = of.over[2 * <size_t>e], of.over[2 * <size_t>e + 1]
            for e in self.behind:
                to.input[e] = of.input[e]
        self.touched.clear()
        self.behind.clear()
        self.all_behind = False

    cdef void change(self, int spare, const int32_t* arcs, const uint32_t* weights, int count) noexcept nogil:
        cdef int i
        for i in range(count):
            self.metric[spare].input[arcs[i]] = weights[i]
        self.behind.assign(arcs, arcs + count)
        self.updater.run(self.g, self.metric[spare], arcs, count, self.touched)

    def distance(self, int source, int target):
        """See the package."""
        cdef int32_t s = self.inside(source), t = self.inside(target)
        cdef int at = -1, k = self.hold()
        cdef uint32_t zero = 0, cost
        cdef Scratch* scratch = self.take()
        cdef Ends a, b
        a.count = b.count = 1
        a.node, b.node, a.offset, b.offset = &s, &t, &zero, &zero
        with nogil:
            cost = meet_plain(self.g, self.metric[k], a, b, scratch[0], at)
        self.readers[k] -= 1
        self.pool.push_back(scratch)
        return cost

    def way(self, int source, int target):
        """See the package."""
        cdef int32_t s = self.inside(source), t = self.inside(target)
        cdef int at = -1, k = self.hold(), start = -1, goal = -1
        cdef uint32_t zero = 0, cost
        cdef Scratch* scratch = self.take()
        cdef Ends a, b
        a.count = b.count = 1
        a.node, b.node, a.offset, b.offset = &s, &t, &zero, &zero
        with nogil:
            scratch.arcs.clear()
            scratch.broken = False
            cost = meet_traced(self.g, self.metric[k], a, b, scratch[0], at)
            if cost < INF:
                follow(self.g, self.metric[k], at, a, b, scratch[0], start, goal)
        self.readers[k] -= 1
        return cost, self.give(scratch)

    cdef object give(self, Scratch* scratch):
        """The arcs of a path as an array; the scratch goes back."""
        cdef cbool broken = scratch.broken
        found = _array(scratch.arcs)
        self.pool.push_back(scratch)
        if broken:
            raise ValueError(DAMAGED)
        return found

    def path(self, const int32_t[::1] sources not None, const uint32_t[::1] source_offsets not None,
             const int32_t[::1] targets not None, const uint32_t[::1] target_offsets not None):
        """See the package."""
        cdef vector[pair[int32_t, uint32_t]] froms, tos
        cdef int i, k, start = -1, goal = -1
        cdef uint32_t cost = INF
        if not sources.shape[0] or not targets.shape[0] or sources.shape[0] != source_offsets.shape[0] \
                or targets.shape[0] != target_offsets.shape[0]:
            raise ValueError("expected at least one source and target, each with its offset")
        for i in range(sources.shape[0]):
            froms.push_back(pair[int32_t, uint32_t](self.inside(sources[i]), min(source_offsets[i], INF)))
        for i in range(targets.shape[0]):
            tos.push_back(pair[int32_t, uint32_t](self.inside(targets[i]), min(target_offsets[i], INF)))
        cdef Scratch* scratch = self.take()
        k = self.hold()
        with nogil:
            best_way(self.g, self.metric[k], froms, tos, scratch[0], cost, start, goal)
        self.readers[k] -= 1
        arcs = self.give(scratch)
        if cost >= INF:
            return INF, -1, -1, arcs
        return cost, self.which(froms, start, sources), self.which(tos, goal, targets), arcs

    cdef int which(self, const vector[pair[int32_t, uint32_t]]& ends, int rank, const int32_t[::1] nodes):
        """Which of the ends lies at this rank; the cheapest of equals."""
        cdef int i, best = -1
        for i in range(<int>ends.size()):
            if ends[i].first == rank and (best < 0 or ends[i].second < ends[best].second):
                best = i
        return best

    def ways(self, source_first, sources, source_arcs, source_parts, target_first, targets, target_arcs, target_parts,
             bint paths=True):
        """See the package."""
        cdef Spots a, b
        cdef int count = len(source_first) - 1, i, end, k
        held = [self.spots(source_first, sources, source_arcs, source_parts, "source", &a),
                self.spots(target_first, targets, target_arcs, target_parts, "target", &b)]
        if len(target_first) - 1 != count:
            raise ValueError(f"expected ends of as many questions, got {count} and {len(target_first) - 1}")
        costs, starts, goals = np.empty(count, np.uint32), np.empty(count, np.int32), np.empty(count, np.int32)
        first = np.zeros(count + 1, np.int32)
        cdef uint32_t[::1] cost = costs
        cdef int32_t[::1] start = starts, goal = goals, begin = first
        cdef Answers answers
        cdef cbool fine = True
        version = self.version
        if count:
            answers.cost, answers.start, answers.goal, answers.first = &cost[0], &start[0], &goal[0], &begin[0]
        cdef Scratch* scratch = self.take()
        for i in range(0, count, TURN):
            end = min(count, i + TURN)
            k = self.hold()
            with nogil:
                fine = fine and ways(self.g, self.metric[k], a, b, i, end, paths, scratch[0], answers)
            self.readers[k] -= 1
        self.pool.push_back(scratch)
        if not fine:
            raise ValueError(DAMAGED)
        return costs, starts, goals, first, _array(answers.arcs), version

    cdef object spots(self, first, nodes, arcs, parts, str name, Spots* out):
        """Check one side of the questions; what must be kept alive meanwhile."""
        cdef const int32_t[::1] at = first, node = nodes, arc = arcs
        cdef const double[::1] part = parts
        cdef int n = node.shape[0], i
        cdef bint good = at.shape[0] > 0 and arc.shape[0] == n and part.shape[0] == n and at[0] == 0 and at[at.shape[0] - 1] == n
        for i in range(at.shape[0] - 1 if good else 0):
            good = good and at[i] <= at[i + 1]
        for i in range(n if good else 0):
            good = good and 0 <= node[i] < self.g.n and -1 <= arc[i] < self.g.arcs and 0 <= part[i] <= 1
        if not good:
            raise ValueError(f"expected for each question the {name}s first[q] to first[q + 1] - 1 with nodes below {self.g.n}, "
                             f"arcs from -1 to {self.g.arcs - 1} and parts from 0 to 1 - at the {name}s")
        out.first = &at[0]
        if n:
            out.node, out.arc, out.part = &node[0], &arc[0], &part[0]
        return at, node, arc, part

    def matrix(self, sources, targets, uint32_t[:, ::1] out not None, values=None, int64_t[:, ::1] sums=None):
        """See the package."""
        cdef const int32_t[::1] a = self.ranks(sources), b = self.ranks(targets)
        if out.shape[0] != a.shape[0] or out.shape[1] != b.shape[0]:
            raise ValueError(f"expected uint32 ({a.shape[0]}, {b.shape[0]}), got {np.shape(out)} - at `out`")
        if values is not None:
            self.matrix_adding(a, b, out, values, sums)
            return
        if not a.shape[0] or not b.shape[0]:
            return
        cdef Scratch* scratch = self.take()
        cdef int k = self.hold()
        with nogil:
            table(self.g, self.metric[k], &a[0], a.shape[0], &b[0], b.shape[0], scratch[0], &out[0, 0])
        self.readers[k] -= 1
        self.pool.push_back(scratch)

    cdef object matrix_adding(self, const int32_t[::1] a, const int32_t[::1] b, uint32_t[:, ::1] out,
                              const uint32_t[::1] values, int64_t[:, ::1] sums):
        cdef cbool fine = True
        if values.shape[0] != self.g.arcs or sums is None or sums.shape[0] != out.shape[0] or sums.shape[1] != out.shape[1]:
            raise ValueError(f"expected `values` of all {self.g.arcs} arcs, and `sums` int64 {np.shape(out)}")
        if not a.shape[0] or not b.shape[0]:
            return
        cdef int k = self.hold()
        with nogil:
            fine = table_adding(self.g, self.metric[k], &a[0], a.shape[0], &b[0], b.shape[0],
                                &values[0] if values.shape[0] else NULL, &out[0, 0], &sums[0, 0])
        self.readers[k] -= 1
        if not fine:
            raise ValueError(DAMAGED)

    def batch(self, sources, targets, uint32_t[::1] out not None):
        """See the package."""
        cdef const int32_t[::1] a = self.ranks(sources), b = self.ranks(targets)
        cdef int i, at = -1, k, count = a.shape[0]
        cdef uint32_t zero = 0
        cdef Ends s, t
        if b.shape[0] != count or out.shape[0] != count:
            raise ValueError(f"expected {count} targets and costs, got {b.shape[0]} and {out.shape[0]}")
        s.count = t.count = 1
        s.offset = t.offset = &zero
        cdef Scratch* scratch = self.take()
        k = self.hold()
        with nogil:
            for i in range(count):
                s.node, t.node = &a[i], &b[i]
                out[i] = meet_plain(self.g, self.metric[k], s, t, scratch[0], at)
        self.readers[k] -= 1
        self.pool.push_back(scratch)

    def tree(self, sources, const uint32_t[::1] offsets not None, bint reverse, uint32_t[::1] out not None):
        """See the package."""
        cdef const int32_t[::1] a = self.ranks(sources)
        if offsets.shape[0] != a.shape[0] or not a.shape[0] or out.shape[0] != self.nodes:
            raise ValueError(f"expected sources with offsets, and uint32 ({self.nodes},), got {a.shape[0]}, "
                             f"{offsets.shape[0]} and {out.shape[0]}")
        by_rank = np.empty(self.nodes, np.uint32)
        cdef uint32_t[::1] cost = by_rank
        cdef int k = self.hold()
        with nogil:
            reach(self.g, self.metric[k], a.shape[0], &a[0], &offsets[0], reverse, &cost[0])
        self.readers[k] -= 1
        np.asarray(out)[:] = by_rank[self.arrays["rank"]]
