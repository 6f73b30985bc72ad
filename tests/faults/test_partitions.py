"""Three members of etcd and two registries, each a host of its own, with clients
on another: members and registries are killed, frozen and cut off at random, and
what the clients saw must be explained by one order of all operations."""
import json
import os
import queue
import random
import subprocess
import sys
import threading
import time

import pytest

from etcd_cluster import EtcdCluster
from fleet import ROOT, SLOW, Process
from linearizability import NEVER, Operation, check
from netns import Network, permitted

pytestmark = pytest.mark.skipif(not permitted(), reason="network namespaces need root")
# Of faults, in seconds; a fault goes on until clients have heard enough answers.
DURATION = 20
ANSWERS = 40
SEEDS = [1, 2]


class Clients:
    """The process of catalogue_clients.py and what it has said."""

    def __init__(self, host, seed, registries):
        script = os.path.join(ROOT, "tests", "lib", "catalogue_clients.py")
        self.popen = host.popen([sys.executable, script, str(seed), *registries],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.operations, self.settled = [], False
        self.progress = queue.Queue()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.popen.stdout:
            said = json.loads(line)
            if "settled" in said:
                self.settled = said["settled"]
                continue
            if said["end"] is None:
                said["end"] = NEVER
            else:
                self.progress.put(1)
            self.operations.append(Operation(**said))

    def wait_answers(self, count, bound):
        """That many more, or until `bound` seconds are over."""
        limit = time.monotonic() + bound
        try:
            for _ in range(count):
                self.progress.get(timeout=max(0.0, limit - time.monotonic()))
        except queue.Empty:
            pass

    def settle(self):
        self.popen.stdin.write("settle\n")
        self.popen.stdin.flush()
        self.popen.wait(timeout=60 * SLOW)
        self.reader.join()

    def close(self):
        self.popen.kill()
        self.popen.wait()
        self.reader.join()
        self.popen.stdin.close()
        self.popen.stdout.close()


class Registry:
    """A registry at one address, however often it starts."""

    def __init__(self, host, etcd):
        self.host, self.etcd = host, etcd
        self.address = f"{host.address}:7000"
        self.process = None

    def start(self):
        self.close()
        self.process = Process(
            "torchfleet-registry", ["--listen", self.address, "--store", self.etcd.store(),
                                    "--operator-listen", f"{self.host.address}:7001"],
            within=self.host.within)

    def close(self):
        if self.process:
            self.process.close()


class Faults:
    """One at a time, each undone before the next."""

    def __init__(self, seed, network, etcd, etcd_hosts, registries):
        self.random = random.Random(seed)
        self.network, self.etcd, self.etcd_hosts = network, etcd, etcd_hosts
        self.registries = registries
        self.seen = []

    def kill_member(self):
        member = self.random.choice(self.etcd.members)
        member.kill()
        return lambda: self.etcd.start(member)

    def freeze_member(self):
        member = self.random.choice(self.etcd.members)
        member.freeze()
        return member.thaw

    def kill_registry(self):
        registry = self.random.choice(self.registries)
        registry.process.kill()
        return registry.start

    def freeze_registry(self):
        registry = self.random.choice(self.registries)
        registry.process.freeze()
        return registry.process.thaw

    def cut_off_member(self):
        """From the other members; registries still reach it."""
        alone = self.random.choice(self.etcd_hosts)
        self.network.partition({alone}, set(self.etcd_hosts) - {alone})
        return self.network.heal

    def split(self):
        """A minority with one registry, a majority with the other."""
        alone = self.random.choice(self.etcd_hosts)
        with_it, others = self.random.sample([r.host for r in self.registries], 2)
        self.network.partition({alone, with_it}, set(self.etcd_hosts) - {alone} | {others})
        return self.network.heal

    def cut_off_registry(self):
        registry = self.random.choice(self.registries)
        self.network.partition({registry.host}, set(self.etcd_hosts))
        return self.network.heal

    def next(self):
        """Makes one; what undoes it."""
        fault = self.random.choice([
            self.kill_member, self.freeze_member, self.kill_registry, self.freeze_registry,
            self.cut_off_member, self.split, self.cut_off_registry])
        self.seen.append(fault.__name__)
        return fault()


@pytest.mark.parametrize("seed", SEEDS)
def test_catalogue_writes_are_linearizable_whatever_is_killed_or_cut_off(tmp_path, seed):
    with Network() as network:
        etcd_hosts = [network.add_host() for _ in range(3)]
        registry_hosts = [network.add_host() for _ in range(2)]
        client_host = network.add_host()
        with EtcdCluster(tmp_path, hosts=etcd_hosts) as etcd:
            registries = [Registry(host, etcd) for host in registry_hosts]
            clients = None
            try:
                for registry in registries:
                    registry.start()
                clients = Clients(client_host, seed, [r.address for r in registries])
                clients.wait_answers(ANSWERS, bound=30 * SLOW)
                faults = Faults(seed, network, etcd, etcd_hosts, registries)
                limit = time.monotonic() + DURATION
                while time.monotonic() < limit:
                    undo = faults.next()
                    clients.wait_answers(ANSWERS, bound=3)
                    undo()
                    clients.wait_answers(ANSWERS, bound=3)
                clients.settle()
            finally:
                for registry in registries:
                    registry.close()
                if clients:
                    clients.close()
    assert clients.settled, f"not everything could be read again after {faults.seen}"
    wrong = check(clients.operations)
    assert wrong is None, f"seed {seed}, {faults.seen}: {wrong}"
    written = [o for o in clients.operations if o.action != "get" and o.result == "ok"]
    assert len(written) > ANSWERS, f"too few writes to tell: {len(written)}"
