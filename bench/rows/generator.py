"""`torchfleet load` beside other generators, on one server."""
import os
import re
import resource
import statistics
import subprocess
import urllib.request

from harness import fleet, http2, peers
from harness.processes import LOAD_CORE, SUBJECT_CORE, pinned
from harness.tables import Goal, Section, count, us
from harness.windows import Load, torchfleet_load

FLOATS = 784
MODEL = fleet.model(FLOATS)
IN_FLIGHT, CONNECTIONS = 32, 4
OURS, PERF_ANALYZER, H2LOAD = "torchfleet load", "perf_analyzer", "h2load"


def _served(worker):
    """Requests that the worker has answered."""
    url = f"http://{worker.report['operator_address']}/metrics"
    with urllib.request.urlopen(url) as answer:
        return sum(float(line.rsplit(" ", 1)[1]) for line in answer.read().decode().splitlines()
                   if line.startswith("torchfleet_worker_requests_total{"))


def _run(command, worker):
    """What it printed, and its CPU in µs by request that reached the worker."""
    def used():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime
    served, before = _served(worker), used()
    run = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, preexec_fn=pinned(LOAD_CORE),
                         check=False)
    if run.returncode != 0:
        raise RuntimeError(f"{command[0]} failed:\n{run.stdout[-2000:]}")
    return run.stdout, (used() - before) * 1e6 / (_served(worker) - served)


def _by_ours(worker, seconds, _):
    load = Load(MODEL, IN_FLIGHT, CONNECTIONS)
    served_before = _served(worker)
    report = torchfleet_load(load.command(worker.address, None, seconds), OURS)
    if _served(worker) - served_before != report["all_calls"]:
        raise RuntimeError("the generator and the worker counted differently")
    return {"load_us": report["cpu_us_per_call"], "calls_per_second": report["calls_per_second"],
            "p50_us": report["latency_ms"]["p50"] * 1e3,
            "p99_us": report["latency_ms"]["p99"] * 1e3}


def _by_perf_analyzer(worker, seconds, _):
    out, load_us = _run([*peers.perf_analyzer(), "-m", MODEL, "-i", "grpc", "-u", worker.address,
                         "--concurrency-range", IN_FLIGHT, "--async", "--input-data", "zero",
                         "-p", int(seconds * 1000), "-r", 3, "-s", 1000, "--percentile", 99], worker)
    return {"load_us": load_us,
            "calls_per_second": float(re.search(r"Throughput: ([\d.]+)", out)[1]),
            "p50_us": float(re.search(r"p50 latency: (\d+)", out)[1]),
            "p99_us": float(re.search(r"p99 latency: (\d+)", out)[1])}


def _by_h2load(worker, seconds, folder):
    body, log = os.path.join(folder, "body"), os.path.join(folder, "latencies")
    with open(body, "wb") as file:
        file.write(http2.infer_request(MODEL, FLOATS))
    if os.path.exists(log):
        os.remove(log)
    out, load_us = _run(
        [peers.h2load(), "-D", f"{int(seconds * 1000 + 300)}ms", "-c", CONNECTIONS, "-m",
         IN_FLIGHT // CONNECTIONS, "-d", body, "-H", "content-type: application/grpc", "-H",
         "te: trailers", "--log-file", log,
         f"http://{worker.address}/inference.GRPCInferenceService/ModelInfer"], worker)
    with open(log, encoding="utf-8") as file:
        times = sorted(int(line.split("\t")[2]) for line in file)
    return {"load_us": load_us,
            "calls_per_second": float(re.search(r"([\d.]+) req/s", out)[1]),
            "p50_us": times[len(times) // 2], "p99_us": times[len(times) * 99 // 100]}


def measure(bench):
    generators = {OURS: _by_ours, H2LOAD: _by_h2load, PERF_ANALYZER: _by_perf_analyzer}
    if bench.alone:
        generators = {OURS: _by_ours}
    samples = {}
    with bench.servers():
        worker = bench.keep(fleet.worker(bench.repository(), MODEL, SUBJECT_CORE))
        folder = bench.folder()
        for _ in range(bench.turns):
            for name, measure_by in generators.items():
                try:
                    taken = measure_by(worker, bench.seconds, folder)
                except peers.NotThere as what:
                    bench.leave_out(what)
                    continue
                samples.setdefault(name, []).append(taken)
    lines = [[name, *(form(statistics.median(w[figure] for w in windows))
                      for figure, form in (("load_us", us), ("calls_per_second", count),
                                           ("p50_us", count), ("p99_us", count)))]
             for name, windows in samples.items()]
    goals = []
    if PERF_ANALYZER in samples:
        ratio = statistics.median(a["load_us"] / b["load_us"] for a, b in
                                  zip(samples[OURS], samples[PERF_ANALYZER]))
        goals.append(Goal(f"{OURS} ÷ {PERF_ANALYZER}, CPU of the generator a call", ratio, 0.5))
    return Section("Generators on one worker that answers at once: 784 floats, 32 in flight",
                   ["generator", "its CPU, µs a call", "calls/s", "p50 µs", "p99 µs"], lines,
                   goals)
