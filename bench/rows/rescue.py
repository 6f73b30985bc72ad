"""What callers feel of workers that are slow, die, freeze, straggle or do not suffice.

Workers run four calls at once, each of 20 ms in which they do nothing, so that what
a row tells is the choice of workers and not their speed. Shares of load are of what
all of them, well, can answer.
"""
import json
import os
import signal
import threading
import urllib.request

from harness import fleet
from harness.balancers import BALANCERS
from harness.open_load import OpenLoad
from harness.peers import NotThere
from harness.tables import Goal, Section, count
from harness.windows import Cell, Load, Subject

AT_ONCE, DELAY_MS = 4, 20
# Calls a second of one worker.
ONE = AT_ONCE * 1000 / DELAY_MS
LEASE = "2s"
SLOW, HEALTHY = "8, one slow", "7, all well"


class _Fleet:
    """A registry, a gateway, and workers of models by name."""

    def __init__(self, bench):
        self.bench = bench
        self.registry = bench.keep(fleet.registry(LEASE))
        self.gateway = bench.keep(fleet.gateway_of(self.registry))
        self.repository = bench.repository()
        self.workers = {}

    def add(self, name, number, repository=None, **parameters):
        repository = repository or self.repository
        fleet.add_slow_model(repository, name, AT_ONCE, **{"delay_ms": DELAY_MS, **parameters})
        for _ in range(number):
            self.workers.setdefault(name, []).append(self.start(name, repository))
        fleet.await_ready(self.gateway, len(self.workers[name]), model=name)

    def start(self, name, repository=None):
        return self.bench.keep(fleet.slow_worker(repository or self.repository, name,
                                                 self.registry))

    def load(self, name, share, seconds, *flags, workers=None):
        rate = share * ONE * (workers or len(self.workers[name]))
        return OpenLoad(self.gateway.address, name, rate, seconds, *flags)

    def counted(self, what, model):
        return fleet.counted(self.gateway, f"torchfleet_gateway_{what}_total", model=model)

    def put_route(self, model, route):
        request = urllib.request.Request(
            f"http://{self.registry.report['operator_address']}/v1/routes/{model}?force=true",
            method="PUT", data=json.dumps({"model": model, **route}).encode(),
            headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())


def _rates(model, share, workers=8):
    return Load(model, warm_up="2s", more=("--max-in-flight", 100000)).at_rate(
        share * ONE * workers)


def _balancers(bench, addresses):
    subjects = []
    for name, start in () if bench.alone else BALANCERS.items():
        try:
            server = bench.keep(start(bench.folder(), addresses))
        except NotThere as what:
            bench.leave_out(what)
            continue
        subjects.append(Subject(name, server.address, {"proxy": server}))
    return subjects


def measure_slow(bench):
    with bench.servers():
        ours = _Fleet(bench)
        ours.add("seven", 7)
        ours.add("eight", 7)
        ours.add("eight", 1, bench.repository(), delay_ms=5 * DELAY_MS)
        gateway = Subject("gateway", ours.gateway.address, {"gateway": ours.gateway})
        others = _balancers(bench, [w.address for w in ours.workers["eight"]])
        # Both meet the same arrivals.
        windows = bench.take_turns(
            [gateway, *others],
            [Cell("gateway", HEALTHY, _rates("seven", 0.6)),
             *(Cell(s.name, SLOW, _rates("eight", 0.6)) for s in (gateway, *others))],
            seconds=5 * bench.seconds)
    lines = [[name, case, *(f"{windows.median(name, case, figure) / 1e3:.1f}"
                            for figure in ("p50_us", "p99_us"))] for name, case in windows.samples]
    goals = [Goal("p99 with one slow ÷ p99 of 7 that are well", windows.ratio(
        ("gateway", SLOW), ("gateway", HEALTHY), "p99_us"), 1.2)]
    if others:
        best = min((s.name for s in others), key=lambda n: windows.median(n, SLOW, "p99_us"))
        goals.append(Goal(f"p99, gateway's ÷ that of {best}, the best of the others",
                          windows.ratio(("gateway", SLOW), (best, SLOW), "p99_us"), 0.9))
    return Section("One of 8 workers five times slower, 60 % load, ms",
                   ["before the workers", "workers", "p50", "p99"], lines, goals,
                   disturbed=windows.disturbed())


def measure_killed(bench):
    seconds, every = 30 * bench.seconds, 2
    with bench.servers():
        ours = _Fleet(bench)
        ours.add("m", 3)
        workers = ours.workers["m"]
        load, kills = ours.load("m", 0.4, seconds, "--timeout", "10s"), 0
        tick = threading.Event()
        while load.runs():
            tick.wait(every / 2)
            victim = kills % 3
            workers[victim].popen.kill()
            workers[victim].popen.wait()
            kills += 1
            tick.wait(every / 2)
            workers[victim] = ours.start("m")
        report = load.report()
    return Section(f"3 workers, one killed -9 every {every} s and back a second later, 40 % load",
                   ["s", "killed", "calls", "failed", "p99 ms"],
                   [[f"{seconds:g}", count(kills), count(report["calls"]), count(report["bad"]),
                     f"{report['p99_ms']:.1f}"]],
                   [Goal("failed calls", report["bad"], 0, "{:.0f}")],
                   [f"{code}: {text}" for code, text in report["messages"].items()])


def measure_frozen(bench):
    """A third of the calls begins before the worker freezes; a third 200 ms after it,
    and a third a second after it, each to the thaw."""
    seconds, wait, third = max(2, 5 * bench.seconds), threading.Event(), 0.4 / 3
    with bench.servers():
        ours = _Fleet(bench)
        ours.add("m", 8)
        before = ours.load("m", 0.4, seconds, "--timeout", "500ms").report()
        all_of_it = ours.load("m", third, seconds + 1, "--timeout", "500ms")
        wait.wait(1)
        victim = ours.workers["m"][0].popen
        victim.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, victim.pid, os.WSTOPPED)
        wait.wait(0.2)
        soon = ours.load("m", third, seconds - 0.2, "--timeout", "500ms")
        wait.wait(0.8)
        later = ours.load("m", third, seconds - 1, "--timeout", "500ms")
        all_of_it, soon, later = all_of_it.report(), soon.report(), later.report()
        victim.send_signal(signal.SIGCONT)
    reports = {"before it": before, "from 1 s before it": all_of_it,
               "from 0.2 s after it": soon, "from 1 s after it": later}
    lines = [[name, count(report["calls"]), count(report["bad"]), f"{report['p99_ms']:.1f}"]
             for name, report in reports.items()]
    return Section(f"One of 8 workers frozen for {seconds:g} s, 40 % load, deadlines of 500 ms",
                   ["calls that begin", "calls", "failed", "p99 ms"], lines,
                   [Goal("failed, from 0.2 s after it on", soon["bad"] + later["bad"], 0,
                         "{:.0f}"),
                    Goal("p99 from 1 s after it ÷ before it",
                         later["p99_ms"] / before["p99_ms"], 1.2)])


def measure_stragglers(bench):
    hedged, plain = "hedged", "unhedged"
    with bench.servers():
        ours = _Fleet(bench)
        for name in (hedged, plain):
            ours.add(name, 8, slow_every=50, slow_factor=20)
        ours.put_route(plain, {"rules": [{"targets": [{"version": "1"}]}],
                               "calls": {"hedging": {"disabled": True}}})
        gateway = Subject("gateway", ours.gateway.address, {"gateway": ours.gateway})
        windows = bench.take_turns(
            [gateway], [Cell("gateway", name, _rates(name, 0.3)) for name in (hedged, plain)],
            seconds=5 * bench.seconds)
        more = {name: sum(ours.counted(what, name) for what in ("hedges", "retries")) /
                ours.counted("calls", name) for name in (hedged, plain)}
        won = ours.counted("hedges_won", hedged)
    lines = [[name, *(f"{windows.median('gateway', name, figure) / 1e3:.1f}"
                      for figure in ("p50_us", "p99_us")), f"{100 * more[name]:.1f}"]
             for name in (hedged, plain)]
    notes = [f"{won:.0f} hedges were first"]
    if more[plain] > 0:
        notes.append("calls of the other model were hedged too: the ratio says nothing")
    return Section("2 % of the calls take 20 times as long, 8 workers, 30 % load, ms",
                   ["", "p50", "p99", "more calls, %"], lines,
                   [Goal("p99, hedged ÷ unhedged", windows.ratio(
                       ("gateway", hedged), ("gateway", plain), "p99_us"), 0.4),
                    Goal("more calls, %", 100 * more[hedged], 3)], notes,
                   disturbed=windows.disturbed())


def measure_down(bench):
    with bench.servers():
        ours = _Fleet(bench)
        ours.add("m", 8)
        ours.load("m", 0.3, bench.seconds).report()
        counters = ("calls", "retries", "hedges")
        begun = {what: ours.counted(what, "m") for what in counters}
        load = ours.load("m", 0.6, 5 * bench.seconds)
        # It has asked what the model takes, and calls.
        while load.runs() and ours.counted("calls", "m") < begun["calls"] + 10:
            pass
        for worker in ours.workers["m"]:
            worker.popen.kill()
        for worker in ours.workers["m"]:
            worker.popen.wait()
        report = load.report()
        calls, retries, hedges = (ours.counted(what, "m") - begun[what] for what in counters)
    return Section("All 8 workers killed, 60 % load",
                   ["calls", "answered", "UNAVAILABLE", "INTERNAL", "retries", "hedges"],
                   [[count(calls), *(count(report["codes"].get(code, 0))
                                     for code in ("OK", "UNAVAILABLE", "INTERNAL")),
                     count(retries), count(hedges)]],
                   [Goal("attempts ÷ calls", (calls + retries + hedges) / calls, 1.2)],
                   [f"{code}: {text}" for code, text in report["messages"].items()])


def measure_overload(bench):
    """Capacity is what a closed loop of twice what the workers run at once gets."""
    refused = ("--expect", "UNAVAILABLE")
    with bench.servers():
        ours = _Fleet(bench)
        ours.add("m", 8)
        subject = Subject("gateway", ours.gateway.address, {"gateway": ours.gateway})
        closed = Load("m", in_flight=2 * 8 * AT_ONCE, warm_up="1s", more=refused)
        capacity = bench.take_turns([subject], [Cell("gateway", "closed", closed)]) \
            .median("gateway", "closed", "ok_per_second")
        ours.load("m", 0.6, bench.seconds).report()
        normal = ours.load("m", 0.6, 5 * bench.seconds).report()
        storm = ours.load("m", 3, 30 * bench.seconds, "--timeout", "5s").report()
    late = [report["late"] / report["calls"] for report in (normal, storm)]
    lines = [[name, count(report["calls_per_second"]), count(report["ok_per_second"]),
              f"{report['latency_ms']['p50']:.1f}", f"{report['p99_ms']:.1f}"]
             for name, report in (("60 % load", normal), ("3 × overload", storm))]
    return Section(f"3 × overload for {30 * bench.seconds:g} s, 8 workers",
                   ["", "calls/s", "answered/s", "p50 ms", "p99 ms"], lines,
                   [Goal("answered ÷ capacity", storm["ok_per_second"] / capacity, 0.95,
                         at_least=True),
                    Goal("p99 of those answered ÷ p99 at 60 % load",
                         storm["p99_ms"] / normal["p99_ms"], 2)],
                   [f"capacity is {capacity:,.0f} calls/s; the generator was late for "
                    f"{max(late):.0%} of the calls",
                    *(f"{code}: {text}" for code, text in storm["messages"].items())])
