"""Hosts that are network namespaces on one switch, and partitions between them.

    with Network() as network:
        one, two = network.add_host(), network.add_host()
        one.popen(["etcd", …])
        network.partition({one}, {two})      # packets are dropped, both ways
        network.heal()

Needs root. Everything is in namespaces of its own, the switch too: nothing of
the machine's own network changes.
"""
import itertools
import os
import subprocess
import uuid


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def permitted():
    """Namespaces can be made here."""
    name = f"tf-{uuid.uuid4().hex[:8]}-probe"
    try:
        ip("netns", "add", name)
        ip("-n", name, "link", "add", "name", "switch", "type", "bridge")
        subprocess.run(["ip", "netns", "exec", name, "iptables", "-w", "-L", "-n"], check=True,
                       capture_output=True)
        return True
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        if os.path.exists(f"/run/netns/{name}"):
            ip("netns", "delete", name)


class Host:
    def __init__(self, namespace, address):
        self.namespace, self.address = namespace, address
        # Before a command, to have it run there.
        self.within = ["ip", "netns", "exec", namespace]

    def popen(self, command, **options):
        return subprocess.Popen([*self.within, *command], **options)

    def filter(self, *words):
        subprocess.run([*self.within, "iptables", "-w", *words], check=True, capture_output=True)


class Network:
    def __init__(self):
        self.name = f"tf-{uuid.uuid4().hex[:8]}"
        self.switch = f"{self.name}-switch"
        self.hosts = []
        self.namespaces = []

    def __enter__(self):
        self.add_namespace(self.switch)
        ip("-n", self.switch, "link", "add", "name", "switch", "type", "bridge")
        ip("-n", self.switch, "link", "set", "switch", "up")
        return self

    def __exit__(self, *_):
        for namespace in reversed(self.namespaces):
            ip("netns", "delete", namespace)

    def add_namespace(self, name):
        ip("netns", "add", name)
        self.namespaces.append(name)

    def add_host(self):
        number = len(self.hosts) + 1
        host = Host(f"{self.name}-{number}", f"10.0.0.{number}")
        self.add_namespace(host.namespace)
        port = f"port{number}"
        ip("-n", self.switch, "link", "add", port, "type", "veth", "peer", "name", "eth0",
           "netns", host.namespace)
        ip("-n", self.switch, "link", "set", port, "master", "switch", "up")
        ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
        ip("-n", host.namespace, "link", "set", "eth0", "up")
        ip("-n", host.namespace, "link", "set", "lo", "up")
        self.hosts.append(host)
        return host

    def partition(self, *groups):
        """Hosts of different groups hear nothing of each other. Those in no group
        hear all."""
        for ours, theirs in itertools.permutations(groups, 2):
            for host, other in itertools.product(ours, theirs):
                host.filter("-A", "INPUT", "-s", other.address, "-j", "DROP")

    def heal(self):
        for host in self.hosts:
            host.filter("-F", "INPUT")
