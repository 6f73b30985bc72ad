"""Gateways, workers and the registry on hosts of their own, some of which do not hear
each other: calls go round what is cut, whatever the registry says of it."""
import json
import subprocess
import sys

import pytest

import fleet as lib
from fleet import BIN, SLOW, Process
from netns import Network, permitted

pytestmark = pytest.mark.skipif(not permitted(), reason="network namespaces need root")
PAGE = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"


class Hosts:
    """A registry, two gateways and two workers, each on a host."""

    def __init__(self, network, fleet):
        self.fleet = fleet
        self.hosts = {name: network.add_host() for name in ("registry", "one", "two", "a", "b")}
        self.processes = {}

    def start(self, name, binary, *flags):
        host = self.hosts[name]
        self.processes[name] = Process(
            binary, ["--listen", f"{host.address}:0", "--operator-listen", f"{host.address}:0",
                     *flags], within=host.within)
        self.fleet.processes.append(self.processes[name])

    def start_all(self):
        self.start("registry", "torchfleet-registry", "--store", "memory", "--lease", "2s")
        registry = ("--registry", self.processes["registry"].address)
        for name in ("a", "b"):
            self.start(name, "torchfleet-fake-worker", "--repository", self.fleet.repository,
                       "--model", "echo", *registry)
        for name in ("one", "two"):
            self.start(name, "torchfleet-gateway", *registry)
            lib.eventually(lambda n=name: self.counted(
                n, 'torchfleet_gateway_fleet_endpoints{model="echo",state="ready"}') == 2)

    def counted(self, name, series):
        """What a process' metrics say, read on its own host."""
        host, process = self.hosts[name], self.processes[name]
        page = subprocess.run([*host.within, sys.executable, "-c", PAGE,
                               f"http://{process.operator_address}/metrics"], check=True,
                              capture_output=True, text=True).stdout
        return sum(float(line.rpartition(" ")[2]) for line in page.splitlines()
                   if line.startswith(series))

    def answered(self, worker):
        return self.counted(worker, "torchfleet_worker_requests_total")

    def call(self, gateway, calls=600):
        """How many calls of so many came to a and b."""
        before = [self.answered(worker) for worker in ("a", "b")]
        self.load(gateway, calls)
        return [self.answered(worker) - was for worker, was in zip(("a", "b"), before)]

    def load(self, gateway, calls=600):
        """On the gateway's host; every call must be answered with what is its own."""
        run = subprocess.run(
            [*self.hosts[gateway].within, f"{BIN}/torchfleet", "load", "echo", "--gateway",
             self.processes[gateway].address, "--concurrency", "4", "--calls", str(calls),
             "--warm-up", "0s", "--timeout", f"{20 * SLOW}s", "--check", "-o", "json"],
            capture_output=True, text=True, check=False, timeout=120 * SLOW)
        assert run.returncode == 0, run.stdout + run.stderr
        assert json.loads(run.stdout)["codes"] == {"OK": calls}


@pytest.fixture
def hosts(fleet):
    fleet.add_model("echo", fake="delay", delay_ms=2)
    with Network() as network:
        running = Hosts(network, fleet)
        running.network = network
        try:
            running.start_all()
            yield running
        finally:
            # Before their hosts are gone.
            for process in reversed(fleet.processes):
                process.close()
            fleet.processes.clear()


def cut(hosts, gateway, worker):
    """Neither hears the other."""
    hosts.network.partition({hosts.hosts[gateway]}, {hosts.hosts[worker]})


def cut_answers(hosts, gateway, worker):
    """The worker hears the gateway; what it says is lost."""
    hosts.hosts[gateway].filter("-A", "INPUT", "-s", hosts.hosts[worker].address, "-j", "DROP")


@pytest.mark.parametrize("partition", [cut, cut_answers])
def test_row_27_a_gateway_that_does_not_reach_a_worker_goes_to_another(hosts, partition):
    assert min(hosts.call("one")) > 0
    partition(hosts, "one", "a")
    # What it meets first is rescued; then it is not called any more.
    hosts.call("one")
    to_a, to_b = hosts.call("one")
    assert to_a < to_b / 20
    # The registry and the other gateway hear it.
    assert min(hosts.call("two")) > 0
    hosts.network.heal()
    lib.eventually(lambda: hosts.call("one", 100)[0] > 0, bound=60)


def test_row_36_gateways_without_the_registry_go_by_what_they_know(hosts):
    hosts.network.partition({hosts.hosts["registry"]},
                            {hosts.hosts[name] for name in ("one", "two")})
    lib.eventually(lambda: hosts.counted("one", "torchfleet_gateway_registry_connected") == 0,
                   bound=60)
    assert min(hosts.call("one")) > 0
    # A worker that freezes is gone round too.
    hosts.processes["a"].freeze()
    hosts.load("one")
    hosts.processes["a"].thaw()
