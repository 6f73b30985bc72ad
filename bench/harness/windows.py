"""Windows of load on subjects that take turns, and what is read off them.

Every call is made by `torchfleet load`, from a core of its own. Subjects take
turns, every second turn backwards, so that a machine that drifts does so for all
of them; ratios are of windows of the same turn, figures medians of windows. A
window in which others took over a tenth of a core is taken again, a few times.
"""
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time

from .processes import LOAD_CORE, Others, cpu_seconds, ours, pinned

QUIET = 0.10
TRIES = 4


@dataclasses.dataclass(frozen=True)
class Load:
    """A closed loop of calls of one model."""
    model: str
    in_flight: int = 32
    connections: int = 4
    protocol: str = "grpc"
    http: int = 2
    # Flags besides, of an open loop for example.
    more: tuple = ()
    warm_up: str = "300ms"
    timeout: str = "30s"

    def command(self, address, ca, seconds):
        flags = ["--gateway", address, "--concurrency", self.in_flight, "--warm-up", self.warm_up,
                 "--duration", f"{int(seconds * 1000)}ms", "-o", "json", "--timeout", self.timeout]
        if self.protocol == "rest":
            flags += ["--protocol", "rest", "--http", self.http]
        if not (self.protocol == "rest" and self.http == 1):
            flags += ["--connections", self.connections]
        if ca:
            flags += ["--tls-ca", ca]
        return [ours("torchfleet"), "load", self.model, *map(str, (*flags, *self.more))]

    def at_rate(self, rate):
        """The same calls as an open loop."""
        return dataclasses.replace(self, more=(*self.more, "--rate", f"{rate:.1f}"))

    def run(self, subject, seconds, what):
        """A window's figures but for what the subject used."""
        report = torchfleet_load(self.command(subject.address, subject.ca, seconds), what)
        return {"calls": report["all_calls"], "seconds": report["seconds"],
                "calls_per_second": report["calls_per_second"],
                "ok_per_second": report["codes"]["OK"] / report["seconds"],
                "p50_us": report["latency_ms"]["p50"] * 1e3,
                "p99_us": report["latency_ms"]["p99"] * 1e3,
                "load_us": report["cpu_us_per_call"], "late": report["late"],
                "codes": report["codes"]}


@dataclasses.dataclass
class Subject:
    """Whom to call, and whose CPU counts, by role."""
    name: str
    address: str
    roles: dict
    ca: str = None
    # Tells how many batches of each size a model has run so far.
    batches: object = None
    # How to call it, where that is not the same for all.
    load: object = None


@dataclasses.dataclass(frozen=True)
class Cell:
    """A line of a table: a load on a subject, anything with Load's `run`."""
    subject: str
    case: str
    load: object


class NothingCounted(RuntimeError):
    """The window was over before a call began, or others disturbed it so that calls
    failed: the machine stood still."""


def torchfleet_load(command, what):
    """Runs it on its core; its report, once every call was answered well."""
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         preexec_fn=pinned(LOAD_CORE), check=False)
    if run.returncode != 0:
        if '"calls":0,' in run.stdout:
            raise NothingCounted(f"{what}: nothing was counted: {run.stdout}{run.stderr}")
        raise RuntimeError(f"{what}: not every call was answered well: {run.stdout}{run.stderr}")
    return json.loads(run.stdout)


def formed(before, after):
    """Batches by size between two readings, which have either how many of each size
    or how many in all, and with how many rows."""
    grown = {what: number - before.get(what, 0) for what, number in after.items()}
    if "rows" in grown:
        rows, executions = grown["rows"], grown["executions"]
        return {rows / executions: executions} if executions else {}
    return {size: number for size, number in grown.items() if number}


def window(subject, cell, seconds, ours_pids):
    """One window's figures."""
    def roles_cpu():
        return {role: cpu_seconds(server.pids()) for role, server in subject.roles.items()}
    batches = subject.batches() if subject.batches else {}
    others, begin = Others([os.getpid(), *ours_pids]), time.monotonic()
    before = roles_cpu()
    try:
        taken = cell.load.run(subject, seconds, f"{cell.subject}, {cell.case}")
    except RuntimeError as error:
        if others.seconds([]) / (time.monotonic() - begin) > QUIET:
            raise NothingCounted(f"others took part: {error}") from error
        raise
    used = {role: value - before[role] for role, value in roles_cpu().items()}
    foreign = others.seconds([]) / (time.monotonic() - begin)
    if subject.batches:
        batches = formed(batches, subject.batches())
    calls = taken["calls"]
    return {"cpu_us": sum(used.values()) * 1e6 / calls,
            **{f"{role}_us": value * 1e6 / calls for role, value in used.items()},
            "batches": batches, "foreign": foreign, **taken}


class Windows:
    """The windows of some cells."""

    def __init__(self, samples):
        self.samples = samples  # (subject, case): a window a turn

    def has(self, subject, case):
        return (subject, case) in self.samples

    def median(self, subject, case, figure="cpu_us"):
        return statistics.median(w[figure] for w in self.samples[subject, case])

    def ratio(self, over, under, figure="cpu_us"):
        """Of two cells, turn by turn; or of figures of them that functions give."""
        pairs = zip(self.samples[over], self.samples[under])
        return statistics.median(a[figure] / b[figure] for a, b in pairs)

    def by_turn(self, figure_of):
        """The median of what a function makes of each turn: it gets a function
        that tells a cell's figure in that turn."""
        turns = range(min(map(len, self.samples.values())))
        return statistics.median(
            figure_of(lambda subject, case, figure="cpu_us", t=turn:
                      self.samples[subject, case][t][figure]) for turn in turns)

    def disturbed(self):
        """How many windows others took part in all the same, of how many."""
        windows = [w for cell in self.samples.values() for w in cell]
        return sum(w["foreign"] > QUIET for w in windows), len(windows)


def _quiet_window(subject, cell, seconds, ours):
    taken = None
    for last in (False,) * (TRIES - 1) + (True,):
        try:
            taken = window(subject, cell, seconds, ours)
        except NothingCounted:
            if last and not taken:
                raise
            continue
        if taken["foreign"] <= QUIET:
            break
    return taken


def take_turns(subjects, cells, turns, seconds, ours):
    """`ours`: the processes that are no others."""
    by_name = {subject.name: subject for subject in subjects}
    samples = {(cell.subject, cell.case): [] for cell in cells}
    for turn in range(turns):
        for cell in cells if turn % 2 == 0 else cells[::-1]:
            taken = _quiet_window(by_name[cell.subject], cell, seconds, ours)
            samples[cell.subject, cell.case].append(taken)
            print(f"  {turn} {cell.case:22} {cell.subject:24} {taken['cpu_us']:9.1f} us "
                  f"{taken['calls_per_second']:9,.0f}/s  p50 {taken['p50_us']:8.0f} us  "
                  f"others {taken['foreign']:.2f}", file=sys.stderr, flush=True)
    return Windows(samples)
