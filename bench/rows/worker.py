"""Our worker beside other model servers: what a request costs besides the model's
own work, and what batching costs and brings.

All of a subject's processes share a core; callers have the other. The model's own
work is forward() in a hot loop on the same core, in the same turn.
"""
from harness.forward import Forward, mean_size
from harness.serving import Batching, make_model, with_peers, worker
from harness.tables import Goal, Section, count, us
from harness.windows import Cell, Subject, Windows

WORKER, TRITON, BARE = "worker", "Triton", "forward alone"
KINDS = {"M0": "sum", "M1": "mlp"}
MOST, DELAY_US = 64, 2000
# A JVM compiles what runs often, and needs some time for it.
WARM_UP_SECONDS = 20


def warm_up(bench, subjects):
    for subject in subjects:
        if subject.name.startswith("TorchServe"):
            subject.load.run(subject, 1 if bench.seconds < 1 else WARM_UP_SECONDS, subject.name)


def _turns(bench, model, case, subjects):
    """Windows of each subject, and of the model alone."""
    warm_up(bench, subjects)
    return bench.take_turns(
        [Subject(BARE, None, {}), *subjects],
        [Cell(BARE, case, Forward(model.file)), *(Cell(subject.name, case, subject.load)
                                                  for subject in subjects)])


def _overhead(windows, name, case):
    return windows.by_turn(lambda of: of(name, case) - of(BARE, case))


def measure_overhead(bench):
    windows, names = Windows({}), []
    for case, kind in KINDS.items():
        with bench.servers():
            model = make_model(bench.folder(), kind)
            subjects = with_peers(bench, model, Batching(), 32, 4)
            names = [subject.name for subject in subjects]
            windows.samples.update(_turns(bench, model, case, subjects).samples)
    goals = [Goal(f"{WORKER} ÷ {TRITON}, overhead of {case}",
                  windows.by_turn(lambda of, case=case: (of(WORKER, case) - of(BARE, case)) /
                                  (of(TRITON, case) - of(BARE, case))), 0.4)
             for case in KINDS if windows.has(TRITON, case)]
    lines = [[BARE, *(us(windows.median(BARE, case)) for case in KINDS), *("" for _ in KINDS), "",
              ""]]
    lines += [[name, *(us(windows.median(name, case)) for case in KINDS),
               *(us(_overhead(windows, name, case)) for case in KINDS),
               *(count(windows.median(name, "M1", figure)) for figure in ("p50_us", "p99_us"))]
              for name in names]
    return Section("A request without batching: 32 in flight; CPU of the server, µs a request",
                   ["", "M0", "M1", "M0, overhead", "M1, overhead", "M1, p50 µs", "M1, p99 µs"],
                   lines, goals, disturbed=windows.disturbed())


class _Batched:
    """What a turn's windows say of the batches that a server formed."""

    def __init__(self, windows, case):
        self._windows, self._case = windows, case

    def _by_turn(self, name, figure_of):
        """`figure_of(window, costs)`, the median over turns."""
        return self._windows.by_turn(lambda of: figure_of(
            lambda figure: of(name, self._case, figure), of(BARE, self._case, "costs")))

    def mean(self, name):
        return self._by_turn(name, lambda of, _: mean_size(of("batches")))

    def outside(self, name):
        return self._by_turn(name, lambda of, costs: of("cpu_us") - costs.row_of(of("batches")))

    def outside_ratio(self, name, other):
        def one(of, subject):
            return of(subject, self._case) - of(BARE, self._case, "costs").row_of(
                of(subject, self._case, "batches"))
        return self._windows.by_turn(lambda of: one(of, name) / one(of, other))

    def forward(self, name):
        return self._by_turn(name,
                             lambda of, costs: costs.row(MOST) / costs.row_of(of("batches")))

    def offline(self, name):
        return self._by_turn(
            name, lambda of, costs: of("calls_per_second") * costs.row(MOST) / 1e6)


def measure_batching(bench):
    case = "M1"
    with bench.servers():
        model = make_model(bench.folder(), KINDS[case])
        subjects = with_peers(bench, model, Batching(MOST, DELAY_US), 64, 8)
        windows = _turns(bench, model, case, subjects)
    batched = _Batched(windows, case)
    goals = [Goal(f"{WORKER}, outside forward(), µs a request", batched.outside(WORKER), 15, "{:.1f}"),
             Goal(f"{WORKER}, forward() of a row at batch {MOST} ÷ at the batches formed",
                  batched.forward(WORKER), 0.95, at_least=True),
             Goal(f"{WORKER}, throughput ÷ a loop of batches of {MOST}", batched.offline(WORKER),
                  0.4, at_least=True)]
    if windows.has(TRITON, case):
        goals.insert(1, Goal(f"{WORKER} ÷ {TRITON}, outside forward()",
                             batched.outside_ratio(WORKER, TRITON), 0.35))
    lines = [[subject.name, us(windows.median(subject.name, case)),
              f"{batched.mean(subject.name):.1f}", us(batched.outside(subject.name)),
              f"{batched.forward(subject.name):.2f}",
              count(windows.median(subject.name, case, "calls_per_second")),
              f"{batched.offline(subject.name):.2f}",
              *(count(windows.median(subject.name, case, figure)) for figure in ("p50_us", "p99_us"))]
             for subject in subjects]
    return Section(f"Batching: M1, 64 in flight, batches of up to {MOST}, delay {DELAY_US // 1000} ms; "
                   "CPU of the server, µs a request",
                   ["", "CPU", "mean batch", "outside forward()", f"forward() at {MOST} ÷ as formed",
                    "requests/s", "÷ offline", "p50 µs", "p99 µs"], lines, goals,
                   disturbed=windows.disturbed())


def measure_adaptive(bench):
    """What batching costs who calls alone: our default, and no batching at all."""
    adaptive, single, case = "max_batch_size 64", "max_batch_size 1", "1 in flight"
    with bench.servers():
        model = make_model(bench.folder(), KINDS["M1"])
        subjects = [worker(bench, model, Batching(most), 1, 1, name)[0]
                    for name, most in ((adaptive, MOST), (single, 1))]
        windows = bench.take_turns(subjects, [Cell(subject.name, case, subject.load)
                                              for subject in subjects])
    goals = [Goal(f"{adaptive} ÷ {single}, p50",
                  windows.ratio((adaptive, case), (single, case), "p50_us"), 1.02, "{:.3f}")]
    return Section("Adaptive batching, one call at a time: M1; CPU of the worker, µs a request",
                   ["worker", "p50 µs", "p99 µs", "CPU"],
                   [[name, *(count(windows.median(name, case, figure)) for figure in ("p50_us", "p99_us")),
                     us(windows.median(name, case))] for name in (adaptive, single)], goals,
                   disturbed=windows.disturbed())
