"""Gateway and worker, the model's work aside, beside a plain gRPC C++ server."""
from harness import fleet
from harness.processes import SUBJECT_CORE
from harness.tables import Goal, Section, us
from harness.windows import Cell, Load, Subject, Windows

TITLE = "Gateway and worker, the model's work aside"
CASES = {"1 KiB": fleet.model(240), "3 KiB": fleet.model(784)}
PROXIES = ["HAProxy", "nginx", "nghttpx", "Envoy", "gRPC C++ generic"]
WHOLE, WORKER, UNIT = "gateway + worker", "worker", "gRPC C++ server (U)"


def _behind(name):
    return f"{name} + gRPC C++ server"


def _subjects(bench, model):
    """All on one core. A proxy counts with the server behind it: one that hands
    over in small gulps makes that dearer too."""
    repository = bench.repository()
    worker = bench.keep(fleet.worker(repository, model, SUBJECT_CORE))
    server = bench.keep(fleet.grpc_server(SUBJECT_CORE))
    whole = bench.gateway(worker.address)
    whole.name, whole.roles = WHOLE, {"gateway": whole.roles["gateway"], "worker": worker}
    proxies = bench.peers(PROXIES, server.address)
    for proxy in proxies:
        proxy.name, proxy.roles = _behind(proxy.name), {**proxy.roles, "server": server}
    return [whole, Subject(WORKER, worker.address, {"worker": worker}),
            Subject(UNIT, server.address, {"server": server}), *proxies]


def measure(bench):
    windows = Windows({})
    names = []
    for case, model in CASES.items():
        with bench.servers():
            subjects = _subjects(bench, model)
            names = [subject.name for subject in subjects]
            cells = [Cell(name, case, Load(model)) for name in names]
            windows.samples.update(bench.take_turns(subjects, cells).samples)
    goals = []
    for case in CASES:
        goals.append(Goal(f"{WHOLE} ÷ U, {case}", windows.ratio((WHOLE, case), (UNIT, case)), 1.0))
        if windows.has(_behind("HAProxy"), case):
            goals.append(Goal(f"{WHOLE} ÷ {_behind('HAProxy')}, {case}",
                              windows.ratio((WHOLE, case), (_behind("HAProxy"), case)), 0.45))
        goals.append(Goal(f"{WORKER} ÷ U, {case}", windows.ratio((WORKER, case), (UNIT, case)),
                          0.35))
    lines = [[name, *(us(windows.median(name, case)) for case in CASES),
              *(f"{windows.ratio((name, case), (UNIT, case)):.2f}" for case in CASES)]
             for name in names]
    return Section(TITLE + ": 32 in flight on 4 connections; CPU of all servers, µs a call",
                   ["", *CASES, *(f"÷ U, {case}" for case in CASES)], lines, goals,
                   disturbed=windows.disturbed())
