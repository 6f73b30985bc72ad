"""The gateway's judgement with real processes: workers that die again and again,
freeze, or are killed by what callers send."""
import concurrent.futures
import json
import urllib.request

import grpc
import pytest

import fleet as lib
from fleet import echo_request, is_echo_of, stub, watch_until
from traffic import counted


def page(gateway, path):
    with urllib.request.urlopen(f"http://{gateway.operator_address}{path}", timeout=10) as answer:
        return answer.read().decode()


def test_row_25_three_workers_killed_in_turn_lose_no_call(fleet):
    fleet.add_model("echo", fake="delay", delay_ms=2)
    registry, gateway, workers = fleet.start_all("echo", replicas=3)
    with lib.Load(gateway) as load:
        for turn in range(6):
            load.wait_new_answers(100)
            workers[turn % 3].kill()
            load.wait_new_answers(50)
            workers[turn % 3] = fleet.start_worker("echo", registry)
            epochs = {worker.address for worker in workers}
            watch_until(registry, lambda now: epochs <= {
                e.worker.address for e in now.values()
                if e.state == lib.registry_pb.WORKER_STATE_READY})
    assert load.failures == []


def test_row_27_a_frozen_worker_costs_no_call_its_deadline(fleet):
    """The deadline is shorter than it takes to give a frozen connection up."""
    fleet.add_model("echo", fake="delay", delay_ms=50)
    # Several calls are on the worker when it freezes, enough to tell by.
    # A frozen worker keeps its lease: it comes back as who it was.
    _, gateway, workers = fleet.start_all("echo", replicas=3, lease="300s")
    with lib.Load(gateway, callers=24, timeout=3) as load:
        load.wait_answers(800)
        workers[0].freeze()
        load.wait_new_answers(1500)
        lib.eventually(lambda: 'ejections_total{model="echo",reason="silent"} 1'
                       in page(gateway, "/metrics"))
        workers[0].thaw()
        # It is probed, and takes calls again.
        lib.eventually(lambda: 'returns_total{model="echo"} 1' in page(gateway, "/metrics"))
        load.wait_new_answers(200)
    assert load.failures == []


def crash_request(mark):
    """Each with an id of its own, and the same tensors."""
    request = echo_request(mark="poison")
    request.id = mark
    request.raw_input_contents[0] = b"crash___________"
    return request


def test_row_26_a_request_that_killed_two_workers_is_in_quarantine(fleet):
    fleet.add_model("echo", fake="crash")
    _, gateway, workers = fleet.start_all("echo", replicas=3)
    client = stub(gateway)
    assert json.loads(page(gateway, "/quarantine")) == {"quarantine": []}
    for mark in ("first", "again", "once more"):
        with pytest.raises(grpc.RpcError) as error:
            client.ModelInfer(crash_request(mark), timeout=20 * lib.SLOW)
        assert error.value.code() == grpc.StatusCode.INTERNAL
        assert "127.0.0.1" not in error.value.details()
        lib.eventually(lambda: sum(w.popen.poll() is not None for w in workers) == 2)
    (entry,) = json.loads(page(gateway, "/quarantine"))["quarantine"]
    assert entry["model"] == "echo"
    assert entry["refused"] == 2
    assert "two workers died of a request" in gateway.output()
    # Whoever sends something else is served by the one that is left.
    for i in range(5):
        request = echo_request(mark=f"harmless-{i}")
        assert is_echo_of(request, client.ModelInfer(request, timeout=20 * lib.SLOW))


def test_requests_on_workers_that_died_together_are_tried_again(fleet):
    """All send the same, and a machine's workers die at once: no request is to blame."""
    fleet.add_model("echo", fake="delay", delay_ms=50)
    registry, gateway, workers = fleet.start_all("echo", replicas=4)
    request = echo_request(mark="everybody's")
    with concurrent.futures.ThreadPoolExecutor(16) as callers:
        client = stub(gateway)

        def call():
            try:
                return is_echo_of(request, client.ModelInfer(request, timeout=20 * lib.SLOW))
            except grpc.RpcError as error:
                return error.code()
        assert all(callers.map(lambda _: call(), range(32)))
        under_way = [callers.submit(call) for _ in range(16)]
        lib.eventually(lambda: counted(gateway, "torchfleet_gateway_in_flight") == 16)
        for worker in workers:
            worker.popen.kill()
        ends = {end.result() for end in under_way}
        assert ends <= {True, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL}, ends
        for _ in range(2):
            fleet.start_worker("echo", registry)
        lib.eventually(lambda: call() is True)
        assert json.loads(page(gateway, "/quarantine")) == {"quarantine": []}
        assert all(end is True for end in callers.map(lambda _: call(), range(32)))
