"""The gateway alone, before a gRPC C++ server, beside other proxies."""
from harness import fleet
from harness.tables import Goal, Section, us
from harness.windows import Cell, Load, Subject

PROXIES = ["HAProxy", "nginx", "nghttpx", "Envoy", "gRPC C++ generic"]
OURS, DIRECT = "gateway", "none"
MIB = 1 << 20


def _subjects(bench, proxies=tuple(PROXIES), tls=None):
    """Each proxy has a core to itself; callers and the server behind share the other."""
    backend = bench.backend()
    return [bench.gateway(backend.address, tls), *bench.peers(proxies, backend.address, tls)], backend


def _cpu_lines(windows, subjects, cases):
    return [[subject.name, *(us(windows.median(subject.name, case)) for case in cases),
             *(f"{windows.ratio((OURS, case), (subject.name, case)):.2f}" for case in cases)]
            for subject in subjects]


def _cpu_head(cases):
    return ["", *cases, *(f"gateway ÷ it, {case}" for case in cases)]


def measure_sizes(bench):
    cases = {"1 KiB": fleet.model(240), "3 KiB": fleet.model(784), "64 KiB": fleet.model(1 << 14)}
    with bench.servers():
        subjects, _ = _subjects(bench)
        windows = bench.take_turns(subjects, [Cell(subject.name, case, Load(model))
                                              for case, model in cases.items()
                                              for subject in subjects])
    goals = []
    for case, peer, limit in (("1 KiB", "HAProxy", 0.65), ("3 KiB", "HAProxy", 0.65),
                              ("64 KiB", "nginx", 0.8)):
        if windows.has(peer, case):
            goals.append(Goal(f"gateway ÷ {peer}, {case}",
                              windows.ratio((OURS, case), (peer, case)), limit))
    return Section("The gateway alone: 32 in flight on 4 connections; CPU of the proxy, µs a call",
                   _cpu_head(cases), _cpu_lines(windows, subjects, cases), goals,
                   disturbed=windows.disturbed())


def measure_megabytes(bench):
    """The slope: what a call of 1 MiB costs more than one of 1 KiB, by MiB."""
    small = Load(fleet.model(240))
    cases = {"1 MiB request": (Load(fleet.model(1 << 18)), MIB - 4 * 240),
             "1 MiB answer": (Load(fleet.model(240, 1 << 18)), MIB - 4 * 10)}
    with bench.servers():
        subjects, _ = _subjects(bench)
        cells = [Cell(subject.name, case, load)
                 for case, load in [("1 KiB", small), *((c, l) for c, (l, _) in cases.items())]
                 for subject in subjects]
        windows = bench.take_turns(subjects, cells)

    def slope(subject, case):
        more = cases[case][1]
        return lambda figure: (figure(subject, case) - figure(subject, "1 KiB")) * MIB / more
    goals = [Goal(f"gateway's slope ÷ nginx's, {case}",
                  windows.by_turn(lambda f, c=case: slope(OURS, c)(f) / slope("nginx", c)(f)), 0.7)
             for case in cases if windows.has("nginx", case)]
    lines = [[subject.name, *(us(windows.by_turn(slope(subject.name, case))) for case in cases)]
             for subject in subjects]
    return Section("Large messages: 32 in flight on 4 connections; CPU of the proxy, µs a MiB",
                   ["", *cases], lines, goals, disturbed=windows.disturbed())


def measure_latency(bench):
    load = Load(fleet.model(240), in_flight=1, connections=1)
    with bench.servers():
        proxies, backend = _subjects(bench)
        subjects = [Subject(DIRECT, backend.address, {"server": backend}), *proxies]
        windows = bench.take_turns(subjects, [Cell(subject.name, "1", load)
                                              for subject in subjects])

    def added(name):
        return windows.by_turn(lambda figure: figure(name, "1", "p50_us") -
                               figure(DIRECT, "1", "p50_us"))
    goals = []
    if windows.has("HAProxy", "1"):
        goals.append(Goal("p50 that the gateway adds ÷ HAProxy's", windows.by_turn(
            lambda figure: (figure(OURS, "1", "p50_us") - figure(DIRECT, "1", "p50_us")) /
            (figure("HAProxy", "1", "p50_us") - figure(DIRECT, "1", "p50_us"))), 0.7))
    lines = [[subject.name, us(windows.median(subject.name, "1", "p50_us")),
              us(added(subject.name)) if subject in proxies else "",
              us(windows.median(subject.name, "1")) if subject in proxies else ""]
             for subject in subjects]
    return Section("Time that the gateway adds: 1 KiB, one call at a time",
                   ["proxy", "p50 µs", "p50 added, µs", "CPU µs a call"], lines, goals,
                   disturbed=windows.disturbed())


def measure_many(bench):
    model = fleet.model(240)
    cases = {"32 on 4": Load(model), "256 on 16": Load(model, 256, 16),
             "1,024 on 64": Load(model, 1024, 64)}
    with bench.servers():
        subjects, _ = _subjects(bench, ("HAProxy", "nghttpx", "Envoy"))
        windows = bench.take_turns(subjects, [Cell(subject.name, case, load)
                                              for case, load in cases.items()
                                              for subject in subjects])
    goals = [Goal(f"gateway, {case} ÷ 32 on 4", windows.ratio((OURS, case), (OURS, "32 on 4")), 1.0)
             for case in list(cases)[1:]]
    return Section("Many in flight, 1 KiB, on so many connections; CPU of the proxy, µs a call",
                   _cpu_head(cases), _cpu_lines(windows, subjects, cases), goals,
                   disturbed=windows.disturbed())


def measure_tls(bench):
    cases = {"1 KiB": Load(fleet.model(240)), "64 KiB": Load(fleet.model(1 << 14))}
    with bench.servers():
        subjects, _ = _subjects(bench, ("HAProxy", "nginx", "nghttpx"), bench.certificate())
        windows = bench.take_turns(subjects, [Cell(subject.name, case, load)
                                              for case, load in cases.items()
                                              for subject in subjects])
    goals = []
    there = [peer for peer in ("HAProxy", "nginx") if windows.has(peer, "1 KiB")]
    if there:
        best = min(there, key=lambda peer: windows.median(peer, "1 KiB"))
        goals.append(Goal(f"gateway ÷ {best}, the better of {' and '.join(there)}, 1 KiB",
                          windows.ratio((OURS, "1 KiB"), (best, "1 KiB")), 0.8))
    return Section("TLS 1.3 before the proxy, AES-GCM: 32 in flight on 4 connections; its CPU, "
                   "µs a call", _cpu_head(cases), _cpu_lines(windows, subjects, cases), goals,
                   disturbed=windows.disturbed())
