"""What rows share: how long they measure, and the servers they start."""
import contextlib
import os
import sys
import tempfile

from . import fleet, peers
from .processes import LOAD_CORE
from .windows import Subject, take_turns


class Bench:
    def __init__(self, turns, seconds, alone=False):
        self.turns = turns
        self.seconds = seconds
        self.alone = alone
        self.not_there = set()
        self._ends = None
        self._running = []

    @contextlib.contextmanager
    def servers(self):
        """Within it servers can be started; they end with it."""
        with contextlib.ExitStack() as stack:
            self._ends, self._running = stack, []
            yield self

    def folder(self):
        return self._ends.enter_context(
            tempfile.TemporaryDirectory(prefix="torchfleet-bench-"))

    def keep(self, server):
        self._ends.callback(server.stop)
        self._running.append(server)
        return server

    def backend(self):
        """A gRPC C++ server beside the callers."""
        return self.keep(fleet.grpc_server(LOAD_CORE))

    def gateway(self, backend, tls=None):
        flags = ["--tls-certificate", tls.certificate, "--tls-key", tls.key] if tls else []
        server = self.keep(fleet.gateway(backend, *flags))
        return Subject("gateway", server.address, {"gateway": server},
                       tls.certificate if tls else None)

    def peers(self, names, backend, tls=None):
        """Those of the proxies that are there, as subjects; none when alone."""
        subjects = []
        for name in () if self.alone else names:
            try:
                server = self.keep(peers.PROXIES[name](self.folder(), backend, tls))
            except peers.NotThere as what:
                self.leave_out(what)
                continue
            subjects.append(Subject(name, server.address, {"proxy": server},
                                    tls.certificate if tls else None))
        return subjects

    def leave_out(self, what):
        if str(what) not in self.not_there:
            print(f"bench: not there, left out: {what}", file=sys.stderr, flush=True)
        self.not_there.add(str(what))

    def certificate(self):
        return fleet.Certificate(self.folder())

    def repository(self):
        return os.path.join(self.folder(), "models")

    def take_turns(self, subjects, cells, seconds=None):
        """Windows of `seconds`, where others' are too short."""
        ours = [pid for server in self._running for pid in server.pids()]
        return take_turns(subjects, cells, self.turns, seconds or self.seconds, ours)
