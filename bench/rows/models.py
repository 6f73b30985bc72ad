"""Whether a call costs more when the fleet has many models."""
import urllib.request

from harness import fleet, stubs
from harness.processes import LOAD_CORE
from harness.tables import Goal, Section, count, us
from harness.windows import Cell, Load, Subject

MODEL = fleet.model(240)
KNOWN = (1, 1000)


def _announce(registry, worker, models):
    """Leases for models that are never called."""
    grpc, pb, services = stubs.registry()
    with grpc.insecure_channel(registry.address) as channel:
        stub = services.RegistryServiceStub(channel)
        for n in range(models):
            tensor = [pb.Tensor(name="x", datatype="FP32", shape=[-1, 240])]
            announced = pb.Worker(worker_id=f"other-{n}", address=worker.address,
                                  model=f"other-{n}", version="1", platform="pytorch_libtorch",
                                  inputs=tensor, outputs=tensor)
            message = pb.AnnounceRequest(register=pb.AnnounceRequest.Register(
                worker=announced, state=pb.WORKER_STATE_READY))
            next(stub.Announce(iter([message])))


def _known(gateway):
    """Models that the gateway says it knows."""
    url = f"http://{gateway.report['operator_address']}/metrics"
    with urllib.request.urlopen(url) as answer:
        lines = answer.read().decode().splitlines()
    return len({line.split('model="')[1].split('"')[0] for line in lines
                if line.startswith("torchfleet_gateway_fleet_endpoints{")})


def _subject(bench, models):
    registry = bench.keep(fleet.registry())
    worker = bench.keep(fleet.worker(bench.repository(), MODEL, LOAD_CORE, registry.address))
    _announce(registry, worker, models - 1)
    gateway = bench.keep(fleet.gateway_of(registry.address))
    for _ in range(100):
        if _known(gateway) == models:
            return Subject(f"{models:,} known", gateway.address, {"gateway": gateway})
    raise RuntimeError(f"the gateway knows {_known(gateway)} models, expected {models}")


def measure(bench):
    with bench.servers():
        subjects = [_subject(bench, models) for models in KNOWN]
        windows = bench.take_turns(subjects, [Cell(subject.name, "1 KiB", Load(MODEL))
                                              for subject in subjects])
    one, many = (subject.name for subject in subjects)
    goals = [Goal(f"{many} ÷ {one}", windows.ratio((many, "1 KiB"), (one, "1 KiB")), 1.03)]
    lines = [[subject.name, us(windows.median(subject.name, "1 KiB")),
              count(windows.median(subject.name, "1 KiB", "calls_per_second"))]
             for subject in subjects]
    return Section("Models that the fleet has: 1 KiB, 32 in flight; CPU of the gateway, µs a call",
                   ["models", "CPU", "calls/s"], lines, goals, disturbed=windows.disturbed())
