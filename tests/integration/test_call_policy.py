"""What a route says of how its calls are sent, and zones, with real processes."""
import grpc
import pytest

import fleet as lib
from fleet import eventually, watch_until
from traffic import counted, infer, put_model, put_route

BINARIES = ["torchfleet-registry", "torchfleet-gateway", "torchfleet-fake-worker"]


@pytest.fixture
def echo(fleet):
    """Starts registry, gateway and named workers of a model whose route has `calls`
    before the gateway hears of it."""
    def start(calls, workers=3, gateway=(), **model):
        fleet.add_model("echo", **model)
        registry = fleet.start_registry()
        put_model(registry, "echo", (1,))
        put_route(registry, "echo", calls=calls)
        running = [start_worker(fleet, registry, i) for i in range(workers)]
        gateway = fleet.start_gateway(registry, *gateway)
        await_workers(registry, running)
        lib.wait_model_ready(gateway, "echo")
        return registry, gateway, running
    return start


def start_worker(fleet, registry, i, *arguments):
    return fleet.start_worker("echo", registry, "--worker-id", f"echo-{i}", *arguments)


def await_workers(registry, workers):
    """Returns the fleet with these in it, ready."""
    addresses = {worker.address for worker in workers}
    return watch_until(registry, lambda now: addresses <= {
        e.worker.address for e in now.values()
        if e.state == lib.registry_pb.WORKER_STATE_READY})


def own_stub(gateway):
    """On a connection of its own, so on any of the gateway's loops."""
    channel = grpc.insecure_channel(gateway.address,
                                    options=[("grpc.use_local_subchannel_pool", 1)])
    return lib.services.GRPCInferenceServiceStub(channel)


def answers(worker):
    return counted(worker, "torchfleet_worker_requests_total", code="OK")


# --- idempotent ---

@pytest.mark.parametrize("idempotent, dead", [(False, 1), (True, 2)])
def test_a_call_whose_worker_dies_is_computed_again_only_if_it_may(echo, idempotent, dead):
    """The request itself kills its worker, so that each attempt shows."""
    _, gateway, workers = echo({"idempotent": idempotent}, fake="crash")
    request = lib.echo_request()
    request.raw_input_contents[0] = b"crash___________"
    with pytest.raises(grpc.RpcError) as error:
        lib.stub(gateway).ModelInfer(request, timeout=20 * lib.SLOW)
    eventually(lambda: sum(worker.popen.poll() is not None for worker in workers) == dead)
    assert "127.0.0.1" not in error.value.details()
    if not idempotent:
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE
        assert "may have been computed" in error.value.details()
        # Clients that retry by themselves are not asked to.
        assert not dict(error.value.trailing_metadata()).get("google.rpc.retryinfo-bin")
        assert "grpc-retry-pushback-ms" not in dict(error.value.trailing_metadata())
    for _ in range(10):
        infer(gateway)
    assert sum(worker.popen.poll() is not None for worker in workers) == dead


# --- consistent hash ---

def where(gateway, workers, sequence):
    """Which of the workers answers a call of that sequence."""
    before = [answers(worker) for worker in workers]
    infer(gateway, parameters={"sequence_id": str(sequence)})
    after = [answers(worker) for worker in workers]
    moved = [i for i, (b, a) in enumerate(zip(before, after)) if a > b]
    assert len(moved) == 1
    return moved[0]


def test_calls_of_a_sequence_go_to_one_worker(fleet, echo):
    # A hedge would show another worker.
    registry, gateway, workers = echo({"consistent_hash": {"parameter": "sequence_id"},
                                       "hedging": {"disabled": True}})
    second = fleet.start_gateway(registry)
    lib.wait_model_ready(second, "echo")
    before = {s: where(gateway, workers, s) for s in range(12)}
    assert set(before.values()) == {0, 1, 2}
    for one in (gateway, second):
        assert {s: where(one, workers, s) for s in before} == before

    # Its worker dies: its sequences alone move.
    workers[1].kill()
    left = [workers[0], workers[2]]
    for sequence, home in before.items():
        at = where(gateway, left, sequence)
        assert home == 1 or left[at] is workers[home]
    # Another process by that name has them again, wherever it listens.
    workers[1] = start_worker(fleet, registry, 1)
    await_workers(registry, workers)
    eventually(lambda: {s: where(gateway, workers, s) for s in before} == before)


# --- admission ---

def test_so_many_calls_are_under_way_and_wait(echo):
    """Over all connections and loops of the gateway, while the worker is frozen."""
    admission = {"max_in_flight": 2, "max_waiting": 3, "max_wait_ms": 60000}
    _, gateway, (worker,) = echo({"admission": admission}, workers=1,
                                 gateway=("--threads", "2"))
    infer(gateway)
    worker.freeze()
    request = lib.echo_request()
    calls = [own_stub(gateway).ModelInfer.future(request, timeout=60 * lib.SLOW)
             for _ in range(12)]
    eventually(lambda: sum(call.done() for call in calls) == 7, bound=4)
    refused = [call for call in calls if call.done()]
    worker.thaw()
    for call in refused:
        assert call.code() == grpc.StatusCode.UNAVAILABLE
        assert "grpc-retry-pushback-ms" in dict(call.trailing_metadata())
    for call in calls:
        if call not in refused:
            assert lib.is_echo_of(request, call.result())
    assert counted(gateway, "torchfleet_gateway_refusals_total", model="echo") == 7
    infer(gateway)


def test_a_call_whose_deadline_passes_while_it_waits_is_never_computed(echo):
    _, gateway, (worker,) = echo({"admission": {"max_in_flight": 1, "max_wait_ms": 60000}},
                                 workers=1)
    infer(gateway)
    worker.freeze()
    first = own_stub(gateway).ModelInfer.future(lib.echo_request(), timeout=60 * lib.SLOW)
    eventually(lambda: counted(gateway, "torchfleet_gateway_in_flight", model="echo") == 1)
    with pytest.raises(grpc.RpcError) as error:
        own_stub(gateway).ModelInfer(lib.echo_request(), timeout=0.3 * lib.SLOW)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    worker.thaw()
    first.result()
    infer(gateway)
    assert answers(worker) == 3


# --- zones ---

def test_calls_stay_in_their_zone_while_it_has_workers(fleet):
    fleet.add_model("echo")
    registry = fleet.start_registry()
    workers = {zone: [start_worker(fleet, registry, f"{zone}-{i}", "--zone", zone)
                      for i in range(2)] for zone in ("east", "west")}
    gateways = {zone: fleet.start_gateway(registry, "--zone", zone) for zone in workers}
    now = await_workers(registry, workers["east"] + workers["west"])
    assert {e.worker.zone for e in now.values()} == {"east", "west"}

    def had(zone):
        return sum(answers(worker) for worker in workers[zone])

    for zone, gateway in gateways.items():
        lib.wait_model_ready(gateway, "echo")
        before = {z: had(z) for z in workers}
        for _ in range(20):
            infer(gateway)
        other = "west" if zone == "east" else "east"
        assert (had(zone), had(other)) == (before[zone] + 20, before[other])

    with lib.Load(gateways["east"], callers=3) as load:
        load.wait_answers(20)
        for worker in workers["east"]:
            worker.kill()
        load.wait_new_answers(50)
    assert load.failures == []
    workers["east"] = [start_worker(fleet, registry, f"east-{i}", "--zone", "east")
                       for i in range(2)]
    await_workers(registry, workers["east"])

    def back():
        before = had("east")
        infer(gateways["east"])
        return had("east") > before

    eventually(back)


def test_a_zone_that_is_none_is_refused(fleet):
    """The worker says why, and no gateway hears of it."""
    fleet.add_model("echo")
    registry = fleet.start_registry()
    worker = start_worker(fleet, registry, 0, "--zone", "x" * 65)
    eventually(lambda: "zone has 65 bytes; expected at most 64" in worker.output())
