"""A call of the digit model, with LibTorch in the worker."""
import os
import subprocess
import sys

from harness import fleet
from harness.processes import CORES, LOAD_CORE, ROOT, Server, ours
from harness.tables import Section, count, us
from harness.windows import Cell, Load, Subject

MODEL = "mnist"
REPOSITORY = os.path.join(ROOT, "models")


def _train():
    if not os.path.exists(os.path.join(REPOSITORY, MODEL, "config.pbtxt")):
        subprocess.run([ours("torchfleet"), "train",
                        os.path.join(ROOT, "examples/mnist/mnist.textproto"), "--repository",
                        REPOSITORY], stdout=sys.stderr, check=True)


def measure(bench):
    _train()
    cases = {"1": Load(MODEL, 1, 1), "32": Load(MODEL, 32, 4)}
    with bench.servers():
        # The model and its gateway each on a core; the caller beside the gateway.
        worker = bench.keep(Server(
            [ours("torchfleet-worker"), "--repository", REPOSITORY, "--model", MODEL, "--listen",
             "127.0.0.1:0", "--log-level", "warning"], CORES[0], ready="fd"))
        gateway = bench.keep(fleet.gateway(worker.address, core=LOAD_CORE))
        subjects = [Subject("worker alone", worker.address, {"worker": worker}),
                    Subject("gateway and worker", gateway.address,
                            {"gateway": gateway, "worker": worker})]
        windows = bench.take_turns(subjects, [Cell(subject.name, case, load)
                                              for case, load in cases.items()
                                              for subject in subjects])
    lines = []
    for case in cases:
        for subject in subjects:
            def of(figure, cell=(subject.name, case)):
                return windows.median(*cell, figure)
            lines.append([subject.name, case, count(of("calls_per_second")), count(of("p50_us")),
                          count(of("p99_us")), us(of("cpu_us")), us(of("worker_us")),
                          us(of("gateway_us")) if "gateway" in subject.roles else ""])
    return Section("The digit model, 784 floats in and 10 out: CPU in µs a call",
                   ["path", "in flight", "calls/s", "p50 µs", "p99 µs", "CPU", "worker's",
                    "gateway's"], lines, [], disturbed=windows.disturbed())
