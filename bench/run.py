#!/usr/bin/env python3
"""Calls per second and CPU per call of a fleet, with each process's share.

Starts registry, gateway and one worker as `torchfleet up` does, drives them
with torchfleet-bench-driver, and prints a table. Rows take turns and are
repeated; figures are medians over the repetitions. CPU is user + system time
of a process from its CPU clock, divided by all calls of that run.
"""
import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.path.join(ROOT, "build", "bin")
ROWS = [  # name, target, calls in flight, connections
    ("worker alone", "worker", 1, 1),
    ("worker alone", "worker", 32, 4),
    ("gateway and worker", "gateway", 1, 1),
    ("gateway and worker", "gateway", 32, 4),
]


def start(name, *arguments):
    """Starts a server; returns it and the line it reports itself ready with."""
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [os.path.join(BIN, name), *arguments, "--ready-fd", str(write_end), "--log-level", "warning"],
        pass_fds=[write_end])
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        line = pipe.readline()
    if not line:
        raise SystemExit(f"bench: {name} ended before it was ready; what it said is above")
    return process, json.loads(line)


def cpu_seconds(pid):
    """CPU time of a whole process, in nanosecond steps (clock_getcpuclockid)."""
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e9


def drive(target, model, in_flight, connections, seconds):
    command = [os.path.join(BIN, "torchfleet-bench-driver"), target, model,
               "--in-flight", str(in_flight), "--connections", str(connections),
               "--seconds", str(seconds)]
    run = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    result = json.loads(run.stdout)
    if result["failed"] or result["wrong_id"] or not result["calls"]:
        raise SystemExit(f"bench: not every call was answered right: {result}")
    return result


def measure(fleet, model, seconds, repetitions):
    samples = {index: [] for index in range(len(ROWS))}
    for turn in range(repetitions):
        order = range(len(ROWS)) if turn % 2 == 0 else reversed(range(len(ROWS)))
        for index in order:
            _, target, in_flight, connections = ROWS[index]
            before = {role: cpu_seconds(process.pid) for role, (process, _) in fleet.items()}
            result = drive(fleet[target][1]["address"], model, in_flight, connections, seconds)
            sample = {"calls_per_second": result["calls"] / result["seconds"],
                      "p50_us": result["p50_us"], "p99_us": result["p99_us"]}
            for role, (process, _) in fleet.items():
                used = cpu_seconds(process.pid) - before[role]
                sample[f"{role}_us"] = used * 1e6 / result["all_calls"]
            samples[index].append(sample)
    return [{"row": row[0], "in_flight": row[2],
             **{key: statistics.median(s[key] for s in samples[index]) for key in samples[index][0]}}
            for index, row in enumerate(ROWS)]


def table(rows):
    lines = ["| path | in flight | calls/s | p50 µs | p99 µs | CPU µs/call | gateway | worker | registry |",
             "|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        cpu = [row[f"{role}_us"] for role in ("gateway", "worker", "registry")]
        lines.append(f"| {row['row']} | {row['in_flight']} | {row['calls_per_second']:,.0f} "
                     f"| {row['p50_us']:.0f} | {row['p99_us']:.0f} | {sum(cpu):.0f} "
                     f"| {cpu[0]:.0f} | {cpu[1]:.0f} | {cpu[2]:.1f} |")
    return "\n".join(lines)


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                  if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} × {model}, Linux {platform.release()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repository", default=os.path.join(ROOT, "models"))
    parser.add_argument("--model", default="mnist")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="write all figures there too")
    options = parser.parse_args()
    if not os.path.exists(os.path.join(options.repository, options.model, "config.pbtxt")):
        if options.model != "mnist":
            raise SystemExit(f"bench: {options.repository} holds no model {options.model}")
        subprocess.run([os.path.join(BIN, "torchfleet"), "train",
                        os.path.join(ROOT, "examples/mnist/mnist.textproto"),
                        "--repository", options.repository], check=True)
    fleet = {}
    try:
        fleet["registry"] = start("torchfleet-registry", "--listen", "127.0.0.1:0")
        registry = fleet["registry"][1]["address"]
        fleet["worker"] = start("torchfleet-worker", "--repository", options.repository, "--model",
                                options.model, "--listen", "127.0.0.1:0", "--registry", registry)
        fleet["gateway"] = start("torchfleet-gateway", "--listen", "127.0.0.1:0",
                                 "--registry", registry)
        drive(fleet["gateway"][1]["address"], options.model, 32, 4, 1)
        rows = measure(fleet, options.model, options.seconds, options.repetitions)
    finally:
        for process, _ in reversed(fleet.values()):
            process.send_signal(signal.SIGTERM)
            process.wait()
    print(f"{machine()}; medians of {options.repetitions} runs of {options.seconds:g} s\n")
    print(table(rows))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine(), "rows": rows}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
