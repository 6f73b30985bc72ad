"""A call by REST beside the same by gRPC."""
from harness import fleet
from harness.processes import LOAD_CORE
from harness.tables import Goal, Section, count, us
from harness.windows import Cell, Load

MODEL = fleet.model(784)
CASES = {"gRPC": Load(MODEL), "JSON over HTTP/2": Load(MODEL, protocol="rest", http=2),
         "JSON over HTTP/1.1": Load(MODEL, connections=32, protocol="rest", http=1)}


def measure(bench):
    with bench.servers():
        worker = bench.keep(fleet.worker(bench.repository(), MODEL, LOAD_CORE))
        gateway = bench.gateway(worker.address)
        windows = bench.take_turns([gateway], [Cell("gateway", case, load)
                                               for case, load in CASES.items()])
    lines = [[case, us(windows.median("gateway", case)),
              f"{windows.ratio(('gateway', case), ('gateway', 'gRPC')):.2f}",
              count(windows.median("gateway", case, "calls_per_second"))] for case in CASES]
    goals = [Goal(f"gateway, {case} ÷ gRPC",
                  windows.ratio(("gateway", case), ("gateway", "gRPC")), 2.0)
             for case in list(CASES)[1:]]
    return Section("REST: 784 floats, 32 in flight; CPU of the gateway, µs a call",
                   ["", "CPU", "÷ gRPC", "calls/s"], lines, goals, disturbed=windows.disturbed())
