"""What connections cost that are open and say nothing."""
import resource
import socket
import ssl

from harness import fleet, http2
from harness.processes import LOAD_CORE
from harness.tables import Goal, Section, count

FLOATS = 240
MODEL = fleet.model(FLOATS)
CONNECTIONS = 1000


def _resident(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            total += next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
    return total * 1024


def _receiver(connection):
    def receive(n):
        data = b""
        while len(data) < n:
            piece = connection.recv(n - len(data))
            if not piece:
                raise RuntimeError("the gateway closed the connection")
            data += piece
        return data
    return receive


def _connect(address, tls):
    host, port = address.split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    if not tls:
        return connection
    context = ssl.create_default_context(cafile=tls.certificate)
    context.set_alpn_protocols(["h2"])
    return context.wrap_socket(connection, server_hostname="127.0.0.1")


def _called(address, tls):
    """A connection that has made one call and now says nothing."""
    connection = _connect(address, tls)
    connection.sendall(http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0) +
                       http2.infer_call(1, MODEL, FLOATS))
    receive = _receiver(connection)
    answered = 0
    while True:
        kind, flags, stream, payload = http2.read_frame(receive)
        if kind == http2.SETTINGS and not flags & http2.ACK:
            connection.sendall(http2.frame(http2.SETTINGS, http2.ACK, 0))
        if kind == http2.DATA:
            answered += len(payload)
        if stream == 1 and flags & http2.END_STREAM and kind in (http2.DATA, http2.HEADERS):
            break
    if answered == 0:
        raise RuntimeError("the call was not answered")
    return connection


def _bytes_each(bench, tls):
    with bench.servers():
        worker = bench.keep(fleet.worker(bench.repository(), MODEL, LOAD_CORE))
        certificate = bench.certificate() if tls else None
        gateway = bench.gateway(worker.address, certificate)
        pids = gateway.roles["gateway"].pids()
        kept = [_called(gateway.address, certificate) for _ in range(10)]
        before = _resident(pids)
        kept += [_called(gateway.address, certificate) for _ in range(CONNECTIONS)]
        grown = _resident(pids) - before
        for connection in kept:
            connection.close()
        return grown / CONNECTIONS


def measure(bench):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    plain, tls = (_bytes_each(bench, by_tls) / 1024 for by_tls in (False, True))
    return Section(f"{count(CONNECTIONS)} idle connections, each after a call: memory of the "
                   "gateway, KiB each", ["", "KiB"],
                   [["HTTP/2", f"{plain:.1f}"], ["HTTP/2 by TLS", f"{tls:.1f}"]],
                   [Goal("KiB of an idle connection", plain, 16, "{:.1f}")])
