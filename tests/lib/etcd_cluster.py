"""A real etcd of one member or several, on free ports or on hosts of a Network.

    with EtcdCluster(tmp_path) as etcd:
        fleet.start("torchfleet-registry", "--store", etcd.store())
"""
import os
import signal
import socket
import subprocess

from fleet import SLOW, eventually, grpc  # noqa: F401  (fleet makes the stubs)
from etcd import rpc_pb2 as etcd_pb
from etcd import rpc_pb2_grpc as etcd_services


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Member:
    def __init__(self, folder, name, address, client_port, peer_port, within):
        self.folder, self.name, self.within = folder, name, within
        self.client = f"{address}:{client_port}"
        self.peer = f"{address}:{peer_port}"
        self.popen = None

    def start(self, cluster):
        log = open(os.path.join(self.folder, f"{self.name}.log"), "ab")
        self.popen = subprocess.Popen(
            [*self.within, "etcd", "--name", self.name,
             "--data-dir", os.path.join(self.folder, self.name),
             "--listen-client-urls", f"http://{self.client}",
             "--advertise-client-urls", f"http://{self.client}",
             "--listen-peer-urls", f"http://{self.peer}",
             "--initial-advertise-peer-urls", f"http://{self.peer}",
             "--initial-cluster", cluster, "--logger", "zap",
             "--heartbeat-interval", "50", "--election-timeout", "500"], stdout=log, stderr=log)
        log.close()

    def kill(self):
        self.popen.kill()
        self.popen.wait()

    def freeze(self):
        self.popen.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.popen.send_signal(signal.SIGCONT)

    def log(self):
        with open(os.path.join(self.folder, f"{self.name}.log"), encoding="utf-8",
                  errors="replace") as file:
            return file.read()


class EtcdCluster:
    def __init__(self, folder, members=1, hosts=()):
        """`hosts`: a member on each, with ports that are free there for sure."""
        self.folder = str(folder)
        if hosts:
            self.members = [Member(self.folder, f"etcd{i}", host.address, 2379, 2380, host.within)
                            for i, host in enumerate(hosts)]
        else:
            self.members = [Member(self.folder, f"etcd{i}", "127.0.0.1", free_port(), free_port(),
                                   [])
                            for i in range(members)]

    def __enter__(self):
        for member in self.members:
            self.start(member)
        return self

    def __exit__(self, *_):
        for member in self.members:
            member.kill()

    def start(self, member):
        member.start(",".join(f"{m.name}=http://{m.peer}" for m in self.members))

    def store(self, prefix=""):
        """For --store."""
        return "etcd:" + ",".join(m.client for m in self.members) + (prefix and f"/{prefix}")
