"""Everything that callers and workers can do wrong, at once and for a bounded
while; then the fleet is as if nothing had been. Under a sanitizer this is where
races and leaks would show: every process must end with exit code 0."""
import random
import struct
import threading
import urllib.request

import grpc
import pytest

import fleet as lib
from fleet import echo_request, is_echo_of, stub
from raw_peer import (DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, RawPeer, call_headers,
                      frame, message)

ROUNDS = 30
KILLS = 4


class Caller(threading.Thread):
    """Does one thing again and again; what goes wrong on our own side is kept."""

    def __init__(self, what, gateway, seed):
        super().__init__()
        self.what, self.gateway, self.random = what, gateway, random.Random(seed)
        self.error = None

    def run(self):
        try:
            for _ in range(ROUNDS):
                self.what(self.gateway, self.random)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error


def cancels(gateway, chance):
    client = stub(gateway)
    calls = [client.ModelInfer.future(echo_request(mark=str(i)), timeout=20 * lib.SLOW)
             for i in range(20)]
    chance.shuffle(calls)
    for call in calls[:15]:
        call.cancel()
    for call in calls[15:]:
        call.code()


def has_no_time(gateway, chance):
    client = stub(gateway)
    for _ in range(10):
        with_deadline = client.ModelInfer.future(echo_request(), timeout=chance.uniform(0, 0.02))
        with_deadline.code()


def leaves_answers_unread(gateway, chance):
    with RawPeer(gateway) as peer:
        peer.greet(settings=struct.pack(">HI", 4, chance.choice([0, 1, 30])))
        body = message(echo_request(rows=8))
        for stream in range(1, 40, 2):
            peer.send(frame(HEADERS, END_HEADERS, stream, call_headers())
                      + frame(DATA, END_STREAM, stream, body))
        peer.next_of(HEADERS)


def breaks_off(gateway, chance):
    body = message(echo_request(rows=8))
    with RawPeer(gateway) as peer:
        peer.greet()
        for stream in range(1, 10, 2):
            peer.send(frame(HEADERS, END_HEADERS, stream, call_headers())
                      + frame(DATA, 0, stream, body[:chance.randrange(len(body))]))
    with RawPeer(gateway) as peer:
        peer.send(b"POST /v2/models/echo/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n"
                  + b'{"inputs":[' * chance.randrange(4))


def sends_garbage(gateway, chance):
    def frames():
        return b"".join(frame(chance.randrange(11), chance.randrange(256), chance.randrange(8),
                              chance.randbytes(chance.randrange(40))) for _ in range(10))
    for garbage in (chance.randbytes(200),
                    PREFACE + chance.randbytes(200),
                    PREFACE + frame(SETTINGS) + frames(),
                    PREFACE + frame(SETTINGS) + frame(HEADERS, END_HEADERS, 1, call_headers())
                    + frame(DATA, END_STREAM, 1, chance.randbytes(100)),
                    b"POST /v2/models/echo/infer HTTP/1.1\r\n" + chance.randbytes(100)):
        with RawPeer(gateway) as peer:
            peer.send(garbage)


def behaves(gateway, chance):
    """May meet the moment when a worker is killed, but never another's answer."""
    request = echo_request(mark=str(chance.random()))
    try:
        assert is_echo_of(request, stub(gateway).ModelInfer(request, timeout=20 * lib.SLOW))
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error.details()


def in_flight(gateway):
    with urllib.request.urlopen(f"http://{gateway.operator_address}/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    return [float(line.rsplit(" ", 1)[1]) for line in lines
            if line.startswith("torchfleet_gateway_in_flight{")]


@pytest.mark.parametrize("access_log", [True, False], ids=["logged", "not logged"])
def test_everything_at_once(fleet, tmp_path, access_log):
    fleet.add_model("echo", fake="delay", delay_ms=3)
    registry = fleet.start_registry(lease="2s")
    workers = [fleet.start_worker("echo", registry) for _ in range(3)]
    gateway = fleet.start_gateway(
        registry, "--threads", "2", *(["--access-log", str(tmp_path / "log")] * access_log))
    lib.wait_model_ready(gateway, "echo")
    kinds = (cancels, has_no_time, leaves_answers_unread, breaks_off, sends_garbage, behaves)
    callers = [Caller(what, gateway, seed) for seed, what in enumerate(kinds * 2)]
    for caller in callers:
        caller.start()
    for _ in range(KILLS):
        workers.pop(0).kill()
        workers.append(fleet.start_worker("echo", registry))
        lib.watch_until(registry, lambda now: len(now) == lib.ready_count(now) == 3)
    for caller in callers:
        caller.join()
        assert caller.error is None, f"{caller.what.__name__}: {caller.error}"

    client = stub(gateway)
    for i in range(50):
        request = echo_request(mark=f"after-{i}")
        assert is_echo_of(request, client.ModelInfer(request, timeout=20 * lib.SLOW))
    lib.eventually(lambda: sum(in_flight(gateway)) == 0)
    for process in (gateway, *workers, registry):
        assert process.terminate() == 0, process.output()
