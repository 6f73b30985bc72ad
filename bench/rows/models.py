"""Whether a call costs more when the fleet has many models.

Counted in instructions, and where a call finds its model, which is all that the
fleet's size can make longer: whole calls differ from run to run by more than is
asked for here, as they come in one piece or in two.
"""
import os
import re
import shutil
import signal
import urllib.request

from harness import fleet, stubs
from harness.peers import NotThere
from harness.processes import LOAD_CORE, SUBJECT_CORE, Server, ours
from harness.tables import Goal, Section, count
from harness.windows import torchfleet_load

MODEL = fleet.model(240)
KNOWN = (1, 1000)
# Where the model is looked up, its counters and its workers too.
LOOKING_UP = "torchfleet::gateway::InferCall::Route*"
CALLS = 2000


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


def _instructions(bench, models, only=None):
    """Of a gateway a call; `only` in that function and what it calls."""
    out = os.path.join(bench.folder(), "callgrind")
    registry = bench.keep(fleet.registry())
    worker = bench.keep(fleet.worker(bench.repository(), MODEL, LOAD_CORE, registry.address))
    _announce(registry, worker, models - 1)
    gateway = bench.keep(Server(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
         *([f"--toggle-collect={only}"] if only else []), ours("torchfleet-gateway"), "--listen",
         "127.0.0.1:0", "--registry", registry.address, "--threads", "1", "--log-level",
         "warning"], SUBJECT_CORE, ready="fd"))
    for _ in range(100):
        if _known(gateway) == models:
            break
    else:
        raise RuntimeError(f"the gateway knows {_known(gateway)} models, expected {models}")
    command = [ours("torchfleet"), "load", MODEL, "--gateway", gateway.address, "--calls", CALLS,
               "--warm-up", "0s", "-o", "json", "--timeout", "30s"]
    torchfleet_load([str(word) for word in command], "models")
    gateway.popen.send_signal(signal.SIGTERM)
    gateway.popen.wait(timeout=60)
    with open(out, encoding="utf-8") as file:
        return int(re.search(r"^(?:totals|summary): (\d+)", file.read(), re.MULTILINE)[1]) / CALLS


def measure(bench):
    title = "Models that the fleet has: 1 KiB, one call at a time; instructions of the gateway"
    if not shutil.which("valgrind"):
        bench.leave_out(NotThere("valgrind (apt-get install valgrind)"))
        return Section(title, ["models"], [], [])
    with bench.servers():
        one, many = (_instructions(bench, models, LOOKING_UP) for models in KNOWN)
        whole = _instructions(bench, KNOWN[0])
    if one == 0:
        raise RuntimeError(f"nothing was counted in {LOOKING_UP}")
    names = [f"{models:,} known" for models in KNOWN]
    return Section(title, ["models", "to find the model", "a whole call"],
                   [[names[0], count(one), count(whole)],
                    [names[1], count(many), count(whole + many - one)]],
                   [Goal(f"{names[1]} ÷ {names[0]}, a whole call", (whole + many - one) / whole,
                         1.03, "{:.3f}")])
