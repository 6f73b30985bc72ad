"""Tails and overload: what callers wait when they come as they like, and what is
left of a worker's capacity when far more come than it can answer.
"""
import dataclasses
import statistics

from harness.serving import Batching, make_model, with_peers, worker
from harness.tables import Goal, Section, count
from harness.windows import Cell, Windows
from rows.worker import KINDS, MOST, WORKER, warm_up

CLOSED = "64 in flight"
SHARE = 0.7
OVERLOAD, DEADLINE_MS = 3, 50
# M1 takes little longer than a refusal does, so that a storm on it is one of I/O;
# M2 is the same with layers of 2,048.
STORMS = {"M1, one at a time": ("mlp", Batching()), "M2, one at a time": ("wide", Batching()),
          f"M2, batches of up to {MOST}": ("wide", Batching(MOST))}
# Whichever of the two clocks is first says that it is too late; a queue that is full
# says so at once.
LATE = ("DEADLINE_EXCEEDED", "CANCELLED", "UNAVAILABLE", "RESOURCE_EXHAUSTED")


def measure_tail(bench):
    """Each peer at its own rate, and our worker at the same, turn by turn."""
    title = (f"Tails: M1, batches of up to {MOST}, no delay; arrivals as a Poisson process at "
             f"{SHARE:.0%} of what the peer answers with {CLOSED}")
    with bench.servers():
        model = make_model(bench.folder(), KINDS["M1"])
        ours, *others = with_peers(bench, model, Batching(MOST, 0), 64, 8)
        # h2load calls at given times on one connection, which is gRPC's.
        others = [subject for subject in others if subject.name != "TorchServe, REST"]
        warm_up(bench, others)
        # Alone, our worker is held against itself.
        peers = others or [ours]
        windows = bench.take_turns(peers, [Cell(peer.name, CLOSED, peer.load) for peer in peers])
        rates = {peer.name: SHARE * windows.median(peer.name, CLOSED, "ok_per_second")
                 for peer in peers}
        windows.samples.update(bench.take_turns(
            [ours, *others],
            [Cell(subject.name, f"at {peer.name}'s", subject.load.at_rate(rates[peer.name]))
             for peer in peers for subject in ([ours] if peer is ours else [ours, peer])]).samples)
    goals, lines = [], []
    for peer in peers:
        case = f"at {peer.name}'s"
        lines.append([peer.name, count(rates[peer.name]),
                      *(count(windows.median(name, case, figure)) for figure in ("p50_us", "p99_us")
                        for name in (WORKER, peer.name)),
                      f"{windows.ratio((WORKER, case), (peer.name, case), 'p99_us'):.2f}"])
        if peer is not ours:
            goals.append(Goal(f"p99 of the {WORKER} ÷ {peer.name}'s",
                              windows.ratio((WORKER, case), (peer.name, case), "p99_us"), 0.5))
    return Section(title, ["peer", "arrivals/s", "worker's p50 µs", "its p50 µs",
                           "worker's p99 µs", "its p99 µs", "p99, worker's ÷ its"], lines, goals,
                   disturbed=windows.disturbed())


def _storm(load, rate):
    """Its counts begin with the first call, as the server's do."""
    expected = (word for code in LATE for word in ("--expect", code))
    return dataclasses.replace(load, timeout=f"{DEADLINE_MS}ms", warm_up="0s", more=(
        "--max-in-flight", 100000, *expected)).at_rate(rate)


def _run_for_nobody(window):
    """The share of the rows run for which nobody got an answer in time. What was
    run after its deadline is among them; most of them ended too late."""
    ran = sum(size * number for size, number in window["batches"].items())
    return (ran - window["codes"]["OK"]) / ran


def _take_storm(bench, case, kind, batching, windows):
    """Windows of the capacity and of the storm; the arrivals a second of the storm."""
    with bench.servers():
        model = make_model(bench.folder(), kind)
        ours, = worker(bench, model, batching, 64, 8)
        closed = f"{case}, {CLOSED}"
        windows.samples.update(
            bench.take_turns([ours], [Cell(WORKER, closed, ours.load)]).samples)
        rate = OVERLOAD * windows.median(WORKER, closed, "ok_per_second")
        windows.samples.update(
            bench.take_turns([ours], [Cell(WORKER, case, _storm(ours.load, rate))]).samples)
    return rate


def measure_storm(bench):
    windows, goals, lines, notes = Windows({}), [], [], []
    for case, (kind, batching) in STORMS.items():
        rate = _take_storm(bench, case, kind, batching, windows)
        storms = windows.samples[WORKER, case]
        share = windows.ratio((WORKER, case), (WORKER, f"{case}, {CLOSED}"), "ok_per_second")
        late = statistics.median(w["late"] / w["calls"] for w in storms)
        goals.append(Goal(f"{case}: answers in time ÷ capacity", share, 0.9, at_least=True))
        lines.append([case, count(rate / OVERLOAD), count(rate),
                      count(windows.median(WORKER, case, "ok_per_second")), f"{share:.2f}",
                      f"{100 * statistics.median(map(_run_for_nobody, storms)):.1f}",
                      f"{100 * late:.1f}"])
        if late > 0.05:
            notes.append(f"{case}: the generator was late for {late:.0%} of the calls, so fewer "
                         "came at once than should have")
    return Section(f"A storm of deadlines: {OVERLOAD} × what the worker can answer, open loop, "
                   f"{DEADLINE_MS} ms each",
                   ["", "capacity, requests/s", "arrivals/s", "answers in time/s", "÷ capacity",
                    "run for nobody, %", "generator late, %"], lines, goals, notes,
                   disturbed=windows.disturbed())
