"""The registry with a great fleet, beside etcd's own watch."""
import datetime
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import time

from harness.peers import NotThere
from harness.processes import (LOAD_CORE, SUBJECT_CORE, Server, cpu_seconds, free_address, ours,
                               pinned)
from harness.tables import Goal, Section, count, us

WORKERS, WATCHERS, CHANGES = 10000, 128, 1000
STAMPEDE = 1000
# Until what was begun has become steady.
SETTLED = 2


class _Peers:
    """torchfleet-bench-registry-peers: workers, watchers or whoever writes."""

    def __init__(self, bench, *arguments):
        self.popen = subprocess.Popen(
            [ours("torchfleet-bench-registry-peers"), *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            preexec_fn=pinned(LOAD_CORE))
        bench.keep(self)
        self.told = []
        while (line := self.popen.stdout.readline().strip()) != "ready":
            if not line:
                raise RuntimeError(f"peers {arguments} ended before they were ready")
            self.told.append(line)

    def counts(self):
        print(file=self.popen.stdin, flush=True)
        return json.loads(self.popen.stdout.readline())

    def pids(self):
        return [self.popen.pid]

    def stop(self):
        self.popen.kill()
        self.popen.communicate()


def _resident(server):
    with open(f"/proc/{server.popen.pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon:"))


def _registry(bench, *flags):
    return bench.keep(Server([ours("torchfleet-registry"), "--listen", "127.0.0.1:0", "--store",
                              "memory", "--log-level", "error", *flags], SUBJECT_CORE,
                             ready="fd"))


def _etcd(bench):
    binary = shutil.which("etcd")
    if not binary:
        raise NotThere("etcd")
    client, peer = free_address(), free_address()
    return bench.keep(Server(
        [binary, "--data-dir", bench.folder(), "--log-level", "error", "--listen-client-urls",
         f"http://{client}", "--advertise-client-urls", f"http://{client}", "--listen-peer-urls",
         f"http://{peer}"], SUBJECT_CORE, address=client))


def _windows(bench, server, writer, watchers):
    """Of each window: cores, changes a second, CPU µs a change that was delivered."""
    time.sleep(SETTLED)
    found = []
    for _ in range(bench.turns):
        begun, cpu = time.monotonic(), cpu_seconds(server.pids())
        written, heard = writer.counts()["changes"], watchers.counts()["changes"]
        time.sleep(bench.seconds)
        took, used = time.monotonic() - begun, cpu_seconds(server.pids()) - cpu
        heard = watchers.counts()["changes"] - heard
        found.append((used / took, (writer.counts()["changes"] - written) / took,
                      used / max(heard, 1) * 1e6))
    if failed := writer.counts()["failed"] + watchers.counts()["failed"]:
        raise RuntimeError(f"{failed} streams or calls of the row failed")
    return [statistics.median(values) for values in zip(*found)]


def _fleet(bench, lease, renewals, changes):
    """The windows, KiB a worker, and what snapshots took."""
    with bench.servers():
        registry = _registry(bench, "--lease", lease)
        before = _resident(registry)
        workers = _Peers(bench, "workers", registry.address, WORKERS, renewals, changes)
        watchers = _Peers(bench, "watchers", registry.address, WATCHERS)
        windows = _windows(bench, registry, workers, watchers)
        each = (_resident(registry) - before) / WORKERS
        snapshots = _Peers(bench, "snapshots", registry.address, 15).told
        return windows, each, [float(line.split()[0]) for line in snapshots]


def _etcd_windows(bench):
    with bench.servers():
        etcd = _etcd(bench)
        watchers = _Peers(bench, "etcd-watchers", etcd.address, WATCHERS)
        puts = _Peers(bench, "puts", etcd.address, WORKERS, CHANGES)
        return _windows(bench, etcd, puts, watchers)


def measure_fleet(bench):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loads, each, snapshots = _fleet(bench, "30s", CHANGES, CHANGES)
    states, _, _ = _fleet(bench, "30s", CHANGES, -CHANGES)
    default, _, _ = _fleet(bench, "5s", 6 * CHANGES, CHANGES)
    stored, known = map(int, subprocess.run(
        [ours("torchfleet-bench-registry-state"), str(WORKERS)], check=True, capture_output=True,
        text=True).stdout.split())
    lines = [["loads change, a lease of 30 s", loads], ["states change, a lease of 30 s", states],
             ["loads change, 6,000 renewals/s as of a lease of 5 s", default]]
    goals = [Goal("cores", loads[0], 1), Goal("cores, states", states[0], 1)]
    try:
        etcd = _etcd_windows(bench)
        lines.append(["etcd, a key changes", etcd])
        goals += [Goal("a delivered change ÷ etcd's", loads[2] / etcd[2], 0.5),
                  Goal("a delivered change of state ÷ etcd's", states[2] / etcd[2], 0.5)]
    except NotThere as what:
        bench.leave_out(what)
    goals += [Goal("snapshot, median ms", statistics.median(snapshots), 200, "{:.0f}"),
              Goal("memory of a worker with its connection, KiB", each, 100, "{:.0f}"),
              Goal("memory of its state, store and fleet, KiB", (stored + known) / 1024, 4)]
    return Section(f"{count(WORKERS)} workers, {WATCHERS} watchers, {count(CHANGES)} changes a second",
                   ["", "cores", "changes/s", "CPU µs a delivered change"],
                   [[name, f"{cores:.2f}", count(rate), us(cost)]
                    for name, (cores, rate, cost) in lines], goals,
                   [f"state: {stored} bytes in the store in memory, {known} in the fleet's view",
                    f"snapshots: {min(snapshots):.0f} to {max(snapshots):.0f} ms"])


def _arrivals(log):
    """Seconds since the registry served at which workers registered."""
    moments, served = [], None
    for line in log.splitlines():
        if not (stamp := re.match(r"(\S+)Z INFO +registry: (.*)", line)):
            continue
        at = datetime.datetime.fromisoformat(stamp[1]).timestamp()
        if stamp[2].startswith("registry serves"):
            served = at
        elif stamp[2].startswith("worker registered"):
            moments.append(at - served)
    return sorted(moments)


def measure_stampede(bench):
    found = []
    for _ in range(bench.turns):
        with bench.servers():
            address = free_address()

            def start():
                return bench.keep(Server([ours("torchfleet-registry"), "--listen", address,
                                          "--store", "memory", "--lease", "5s"], SUBJECT_CORE,
                                         ready="fd"))

            def awaited(registry):
                end = time.monotonic() + 60
                while time.monotonic() < end:
                    # Opened anew: the registry writes where this file would be read.
                    with open(f"/proc/self/fd/{registry.log.fileno()}", encoding="utf-8") as log:
                        moments = _arrivals(log.read())
                    if len(moments) >= STAMPEDE:
                        return moments
                    time.sleep(0.2)
                raise RuntimeError(f"of {STAMPEDE} workers {len(moments)} registered in 60 s")

            first = start()
            workers = subprocess.Popen([ours("torchfleet-bench-registry-stampede"), address,
                                        str(STAMPEDE)], stdin=subprocess.PIPE,
                                       preexec_fn=pinned(LOAD_CORE))
            try:
                awaited(first)
                first.popen.kill()
                first.popen.wait()
                time.sleep(1)
                moments = awaited(start())
            finally:
                workers.stdin.close()
                workers.wait(timeout=30)
            slots = [int(moment * 10) for moment in moments]
            found.append((moments[-1], max(map(slots.count, set(slots))),
                          moments[len(moments) // 2]))
    last, most, half = (statistics.median(values) for values in zip(*found))
    return Section(f"{count(STAMPEDE)} workers find a registry that was away for a second",
                   ["", ""],
                   [["half of them registered, s after it serves", f"{half:.2f}"],
                    ["all of them", f"{last:.2f}"],
                    ["at most in 100 ms", count(most)]], [])
