#!/usr/bin/env python3
"""A fleet under mixed load while its parts are killed, frozen, drained and restarted
and its rules change; `make soak`.

  soak.py --minutes 60          as long as that
  soak.py --minutes 2 --seed 7  the same choices again

Every answer must be its call's own and from a version that the rules allow, every
call must end as FAULTS.md has it, memory and open files must stay as they are. Prints
what happened; exits with 1, the seed and what was wrong when anything was. What is
chosen follows from the seed; when it meets the calls does not.
"""
import argparse
import dataclasses
import os
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import fleet as lib  # noqa: E402
from callers import Callers  # noqa: E402
from events import BEGINNING, Events  # noqa: E402
from oracle import Oracle, Troubles  # noqa: E402
from rules import Timeline  # noqa: E402
from traffic import counted  # noqa: E402
from vitals import MIB, Vitals, too_much  # noqa: E402
from volume import Volume  # noqa: E402
from world import World, served_by  # noqa: E402

# Calls a second, of callers and of the volume beside them.
RATE, VOLUME = 200 // lib.SLOW, 400 // lib.SLOW
# Seconds between lines of progress.
PROGRESS = 10
# Of what is wrong, the first so many are shown.
SHOWN = 5
# Of the time, the first part in which the registry and the second gateway end too.
ROUGH = 0.6
# Of the calls, so many may be told that all workers are full.
MOST_FULL = 0.01
# Memory may grow by so much besides; a sanitizer keeps what is freed.
SLACK = 8 * MIB if lib.SLOW == 1 else None


@dataclasses.dataclass
class Options:
    seconds: float
    seed: int
    # What the workers' models do.
    fake: str = "delay"


class Soak:
    def __init__(self, options, folder):
        self.options = options
        self.world = World(folder, options.fake)
        self.timeline = Timeline(BEGINNING, time.monotonic())
        self.troubles = Troubles()
        self.oracle = Oracle(self.timeline, self.troubles, served_by)
        self.events = Events(self.world, self.timeline, self.oracle, options.seed, BEGINNING)
        self.vitals = Vitals(self._long_lived)
        self.callers = self.volume = None
        # Calls and latencies of which progress() has told.
        self.seen = 0, 0

    def _long_lived(self):
        yield "the first gateway", self.world.gateways[0]
        yield "the second gateway", self.world.gateways[1]
        yield "the registry", self.world.registry
        for slot in self.world.slots:
            if slot.old:
                yield f"worker {slot.name}", slot.process

    def run(self):
        """What was wrong, the first first."""
        try:
            self.world.start(BEGINNING)
            self.callers = Callers([g.address for g in self.world.gateways], self.oracle,
                                   self.options.seed, RATE)
            self.volume = Volume(self.world.gateways[0].address, self.oracle, VOLUME)
            parts = (self.callers, self.volume, self.events, self.vitals)
            for part in parts:
                part.start()
            self._wait()
            # The memory of idle processes says nothing of busy ones.
            self.vitals.stop()
            self.events.stop()
            self.callers.stop()
            self.volume.stop()
            self._check_end()
            self._check_vitals()
        finally:
            if self.oracle.wrong:
                self._keep_logs()
            self.world.close()
        return self.oracle.wrong

    def _keep_logs(self):
        """Of the processes that are there: what they said tells why."""
        folder = tempfile.mkdtemp(prefix="torchfleet-soak-logs-")
        for i, process in enumerate(self.world.fleet.processes):
            name = os.path.basename(process.popen.args[0])
            with open(os.path.join(folder, f"{i}-{name}"), "w", encoding="utf-8") as file:
                file.write(process.output())
        print(f"what the processes said is in {folder}", file=sys.stderr)

    def _wait(self):
        """To the end, or to the first thing that is wrong."""
        begun, said, over = time.monotonic(), 0, threading.Event()
        while not self.oracle.wrong and (age := time.monotonic() - begun) < self.options.seconds:
            if age > ROUGH * self.options.seconds:
                self.events.calm.set()
            if age >= said + PROGRESS:
                said = age
                print(f"{age:6.0f} s  {self.progress()}", file=sys.stderr, flush=True)
            over.wait(0.5)

    def _check_end(self):
        """The fleet is as if nothing had been."""
        if self.oracle.wrong:
            return
        for slot in self.world.slots:
            self.world.await_worker(slot)
        found = lib.watch_until(self.world.registry,
                                lambda now: len(now) == lib.ready_count(now) ==
                                len(self.world.slots))
        assert set(found) == {slot.name for slot in self.world.slots}
        for gateway in self.world.gateways:
            client = lib.stub(gateway)
            for i in range(50):
                asked = lib.echo_request(mark=f"after-{i}", version=str(1 + i % 2))
                if not lib.is_echo_of(asked, client.ModelInfer(asked, timeout=20 * lib.SLOW)):
                    self.oracle.found(f"after all of it {asked.id} got another's answer")
            lib.eventually(lambda g=gateway: counted(g, "torchfleet_gateway_in_flight") == 0)
        for slot in self.world.slots:
            for name in ("torchfleet_worker_running", "torchfleet_worker_queue_depth"):
                lib.eventually(lambda s=slot, n=name: counted(s.process, n) == 0)
        for process in self.world.processes():
            if (code := process.terminate()) != 0:
                self.oracle.found(f"{process.popen.args[0]} exited with {code} in the end: "
                                  f"{process.output()[-2000:]}")

    def _check_vitals(self):
        for life in self.lives() if SLACK else ():
            if wrong := too_much(life, SLACK):
                self.oracle.found(wrong)
        total, full = self.calls(), self.oracle.returns["full"] + self.oracle.ends["full"]
        if full > MOST_FULL * total:
            self.oracle.found(f"{full} of {total} calls were told that every worker is full")

    def calls(self):
        return sum(self.oracle.ends.values())

    def progress(self):
        """A line of what has been since the one before."""
        begun, seen = self.seen
        self.seen = self.callers.begun, len(self.callers.latencies)
        latest = sorted(self.callers.latencies[seen:]) or [0]
        behind, self.callers.behind = self.callers.behind, 0.0
        return (f"{self.callers.begun - begun} calls, {self.callers.under_way} under way, "
                f"p50 {1e3 * latest[len(latest) // 2]:.1f} ms, "
                f"p99 {1e3 * latest[len(latest) * 99 // 100]:.1f} ms, "
                f"callers at most {1e3 * behind:.0f} ms behind, "
                f"{', '.join(f'{what} {whom}' for what, whom in self.troubles.now()) or 'calm'}")

    def lives(self):
        return self.vitals.long(0.35 * self.options.seconds)

    def summary(self):
        def listed(counter):
            return ", ".join(f"{number:,} {name}" for name, number in counter.most_common())
        latencies = sorted(self.callers.latencies) or [0]
        lines = [f"calls: {self.calls():,}: {listed(self.oracle.ends)}",
                 f"callers came back: {listed(self.oracle.returns) or 'none'}",
                 f"not begun, as too many were under way: {self.callers.not_begun:,}",
                 f"events: {listed(self.troubles.counts)}",
                 "unary calls of at most 64 KiB at the first gateway, ms: " + ", ".join(
                     f"p{share:g} {1e3 * latencies[int(len(latencies) * share / 100)]:.1f}"
                     for share in (50, 99, 99.9)),
                 "the last call that an older rule decided began "
                 f"{1e3 * self.timeline.latest:.0f} ms after the newer one was acknowledged"]
        for life in self.lives():
            before, after, files_before, files_after = life.growth()
            lines.append(f"{life.name}, {life.length:.0f} s: {before / MIB:.1f} to "
                         f"{after / MIB:.1f} MiB, {files_before:.0f} to {files_after:.0f} files")
        return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60, help="how long")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of all choices")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="torchfleet-soak-") as folder:
        soak = Soak(Options(options.minutes * 60, options.seed), folder)
        print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
        wrong = soak.run()
    print(soak.summary())
    if wrong:
        print(f"WRONG with seed {options.seed}, {len(wrong)} times:", *wrong[:SHOWN], sep="\n",
              file=sys.stderr)
        return 1
    print("nothing was wrong")
    return 0


if __name__ == "__main__":
    sys.exit(main())
