"""A caller that behaves, beside one that does not: the first has no failure and
waits no longer than a stall would be. Each attack also meets its own answer."""
import contextlib
import resource
import struct

import grpc
import pytest

import fleet as lib
from fleet import echo_request, is_echo_of, stub
from raw_peer import (CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY,
                      HEADERS, PING, PREFACE, REFUSED_STREAM, RESET, SETTINGS, RawPeer,
                      call_headers, field, frame, message)

ROUNDS = 5
P99_BOUND = 1.0 * lib.SLOW
MOST_MESSAGE = 64 << 20


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with lib.Fleet(tmp_path_factory.mktemp("attacks")) as fleet:
        fleet.add_model("echo")
        fleet.add_model("slow", fake="delay", delay_ms=200)
        registry = fleet.start_registry()
        fleet.start_worker("echo", registry)
        fleet.start_worker("slow", registry, "--queue-size", "4")
        gateway = fleet.start_gateway(registry)
        for model in ("echo", "slow"):
            lib.wait_model_ready(gateway, model)
        yield gateway
        assert gateway.terminate() == 0, gateway.output()


# Each attack is one round. What it enters into `held` stays while calls go on.

def large_headers(gateway, held):
    peer = held.enter_context(RawPeer(gateway)).greet()
    block = call_headers() + field("x", "x" * 9000)
    peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, block))
    assert peer.next_of(HEADERS), "no answer, though only the headers were too large"
    peer.send(frame(PING, payload=b"12345678"))
    assert peer.next_of(PING)


def headers_without_end(gateway, held):
    peer = held.enter_context(RawPeer(gateway)).greet()
    peer.send(frame(HEADERS, 0, 1, call_headers()))
    part = frame(CONTINUATION, 0, 1, field("x", "x" * 16000))
    for _ in range(1024):  # 16 MiB
        if not peer.send(part):
            break
    peer.ends()


def large_headers_http1(gateway, held):
    peer = held.enter_context(RawPeer(gateway))
    peer.send(b"GET /v2 HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 9000 + b"\r\n\r\n")
    assert peer.http1_status() == 431


def too_many_streams(gateway, held):
    peer = held.enter_context(RawPeer(gateway)).greet()
    peer.send(b"".join(frame(HEADERS, END_HEADERS, stream, call_headers())
                       for stream in range(1, 2 * 1100, 2)))
    for kind, _, payload in peer.frames():
        if kind == GOAWAY:
            break
        if kind == RESET:
            assert payload == struct.pack(">I", REFUSED_STREAM)
            break
    else:
        pytest.fail("nothing was refused")


def rapid_reset(gateway, held):
    peer = held.enter_context(RawPeer(gateway)).greet()
    peer.send(b"".join(frame(HEADERS, END_HEADERS, stream, call_headers())
                       + frame(RESET, 0, stream, struct.pack(">I", CANCEL))
                       for stream in range(1, 2 * 4000, 2)))
    assert peer.ends() in (ENHANCE_YOUR_CALM, None)


def flood(one):
    def attack(gateway, held):
        peer = held.enter_context(RawPeer(gateway)).greet()
        peer.send(frame(HEADERS, END_HEADERS, 1, call_headers()))
        for _ in range(100):
            if not peer.send(one * 200):
                break
        assert peer.ends() in (ENHANCE_YOUR_CALM, None)
    return attack


def drip(*pieces):
    """Forty connections, each of which sends a piece of one byte, then the next."""
    def attack(gateway, held):
        peers = [held.enter_context(RawPeer(gateway)) for _ in range(40)]
        for head in pieces:
            for i in range(len(head)):
                for peer in peers:
                    assert peer.send(head[i:i + 1])
    return attack


def idle(gateway, held):
    for _ in range(60):
        held.enter_context(RawPeer(gateway))
        held.enter_context(RawPeer(gateway)).greet()


def unread_answers(gateway, held):
    """Calls whose answers find no window."""
    no_window = struct.pack(">HI", 4, 0)
    peer = held.enter_context(RawPeer(gateway)).greet(settings=no_window)
    body = message(echo_request(rows=8))
    for stream in range(1, 200, 2):
        peer.send(frame(HEADERS, END_HEADERS, stream, call_headers())
                  + frame(DATA, END_STREAM, stream, body))
    assert peer.next_of(HEADERS)


def oversized(gateway, held):
    peer = held.enter_context(RawPeer(gateway)).greet()
    peer.send(frame(HEADERS, END_HEADERS, 1, call_headers())
              + frame(DATA, 0, 1, b"\0" + struct.pack(">I", MOST_MESSAGE + 1) + b"x" * 1000))
    assert peer.next_of(HEADERS)
    peer = held.enter_context(RawPeer(gateway))
    peer.send(b"POST /v2/models/echo/infer HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
              b"Content-Length: %d\r\n\r\n{" % (MOST_MESSAGE + 1))
    assert peer.http1_status() == 413


def compressed(gateway, held):
    channel = grpc.insecure_channel(gateway.address, compression=grpc.Compression.Gzip)
    held.callback(channel.close)
    with pytest.raises(grpc.RpcError) as error:
        lib.services.GRPCInferenceServiceStub(channel).ModelInfer(
            echo_request(mark="m" * 4000), timeout=20 * lib.SLOW)
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED
    peer = held.enter_context(RawPeer(gateway))
    peer.send(b"POST /v2/models/echo/infer HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n"
              b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n\x1f\x8b")
    assert peer.http1_status() == 415


def full_queue(gateway, held):
    client = stub(gateway)
    calls = [client.ModelInfer.future(echo_request("slow", mark=str(i)), timeout=20 * lib.SLOW)
             for i in range(60)]
    codes = {call.code() for call in calls}
    assert grpc.StatusCode.UNAVAILABLE in codes
    assert codes <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}


def cancelled(gateway, held):
    client = stub(gateway)
    for _ in range(100):
        client.ModelInfer.future(echo_request("slow")).cancel()
    peer = held.enter_context(RawPeer(gateway)).greet()
    body = message(echo_request("slow"))
    for stream in range(1, 100, 2):
        peer.send(frame(HEADERS, END_HEADERS, stream, call_headers())
                  + frame(DATA, 0, stream, body[:len(body) // 2]))
    peer.socket.close()


ATTACKS = {
    "row 14: oversized messages": oversized,
    "row 15: compressed messages": compressed,
    "row 17: slow headers, HTTP/2": drip(
        PREFACE, frame(SETTINGS), frame(HEADERS, END_HEADERS, 1, call_headers())[:-1]),
    "row 17: slow headers, HTTP/1.1": drip(b"GET /v2 HTTP/1.1\r\nHost: x\r\nX: y"),
    "row 17: slow body": drip(
        b"POST /v2/models/echo/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n",
        b'{"inputs":['),
    "row 18: large headers, HTTP/2": large_headers,
    "row 18: headers without end": headers_without_end,
    "row 18: large headers, HTTP/1.1": large_headers_http1,
    "row 22: a full queue": full_queue,
    "row 24: cancelled and broken off": cancelled,
    "row 40: pings": flood(frame(PING, payload=b"12345678")),
    "row 40: settings": flood(frame(SETTINGS)),
    "row 40: empty frames": flood(frame(DATA, 0, 1)),
    "row 40: rapid reset": rapid_reset,
    "row 40: streams over the limit": too_many_streams,
    "idle connections": idle,
    "unread answers": unread_answers,
}


@pytest.fixture
def bystander(gateway, request, capsys):
    """Calls that go on during the test, and are judged at its end."""
    with lib.Load(gateway, callers=2) as load:
        load.wait_answers(20)
        yield load
        load.wait_new_answers(20)
    assert load.failures == []
    with capsys.disabled():
        print(f"\n{request.node.name}: {len(load.durations)} calls beside it, "
              f"p99 {load.p99() * 1e3:.1f} ms")
    assert load.p99() < P99_BOUND


@pytest.mark.parametrize("name", ATTACKS)
def test_attack(gateway, bystander, name):
    with contextlib.ExitStack() as held:
        for _ in range(ROUNDS):
            ATTACKS[name](gateway, held)
            bystander.wait_new_answers(10)


# UBSan looks at memory through a pipe of its own, which it cannot have here.
@pytest.mark.skipif(lib.SLOW > 1, reason="a sanitizer needs file descriptors of its own")
def test_row_41_out_of_file_descriptors(gateway, bystander):
    pid = gateway.popen.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (80, before[1]))
    with contextlib.ExitStack() as held:
        for _ in range(200):
            held.enter_context(RawPeer(gateway)).greet()
        bystander.wait_new_answers(50)
        lib.eventually(lambda: "no file descriptors are left" in gateway.output())
    # They have gone, so that others get in; and the limit is as it was.
    with RawPeer(gateway) as peer:
        peer.greet()
        assert peer.next_of(SETTINGS)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    request = echo_request(mark="later")
    channel = grpc.insecure_channel(gateway.address,
                                    options=[("grpc.use_local_subchannel_pool", 1)])
    assert is_echo_of(request, lib.services.GRPCInferenceServiceStub(channel).ModelInfer(
        request, timeout=20 * lib.SLOW))
    channel.close()
