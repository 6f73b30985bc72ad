"""Processes that die, freeze or forget: each test is a row of the fault table."""
import hashlib
import os
import time

import grpc
import pytest

import fleet as lib
from fleet import echo_request, is_echo_of, pb, registry_pb, registry_services, stub, watch_until


def error_of(client, request, timeout):
    with pytest.raises(grpc.RpcError) as error:
        client.ModelInfer(request, timeout=timeout)
    return error.value


def test_row_02_known_model_but_none_ready(fleet):
    fleet.add_model("echo")
    registry, gateway, (worker,) = fleet.start_all("echo")
    worker.terminate()
    watch_until(registry, lambda now: not now)
    error = error_of(stub(gateway), echo_request(), 10 * lib.SLOW)
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert b"google.rpc.RetryInfo" in dict(error.trailing_metadata())["grpc-status-details-bin"]


def test_row_22_queue_full(fleet):
    fleet.add_model("echo", fake="delay", delay_ms=2000)
    registry = fleet.start_registry()
    worker = fleet.start_worker("echo", registry, "--queue-size", "1")
    gateway = fleet.start_gateway(registry)
    lib.wait_model_ready(gateway, "echo")
    client = stub(gateway)
    first = client.ModelInfer.future(echo_request(mark="first"), timeout=20 * lib.SLOW)
    lib.eventually(lambda: "torchfleet_worker_running{model=\"echo\",version=\"1\"} 1"
                   in metrics(worker))
    calls = [client.ModelInfer.future(echo_request(mark=str(i)), timeout=20 * lib.SLOW)
             for i in range(8)]
    refused = [call for call in calls if call.code() == grpc.StatusCode.UNAVAILABLE]
    assert len(refused) == 7
    details = dict(refused[0].trailing_metadata())["grpc-status-details-bin"]
    assert b"google.rpc.RetryInfo" in details
    assert first.result().id == "first"


def test_row_23_deadline_in_the_queue_is_never_executed(fleet):
    fleet.add_model("echo", fake="delay", delay_ms=400)
    _, gateway, (worker,) = fleet.start_all("echo")
    client = stub(gateway)
    first = client.ModelInfer.future(echo_request(mark="first"), timeout=20 * lib.SLOW)
    lib.eventually(lambda: "torchfleet_worker_running{model=\"echo\",version=\"1\"} 1"
                   in metrics(worker))
    error = error_of(client, echo_request(mark="late"), 0.1)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert first.result().id == "first"
    last = echo_request(mark="last")
    assert is_echo_of(last, client.ModelInfer(last, timeout=20 * lib.SLOW))
    statistics = stub(worker).ModelStatistics(pb.ModelStatisticsRequest(name="echo"))
    assert statistics.model_stats[0].execution_count == 2


def test_row_24_cancelled_work_leaves_the_queue(fleet):
    fleet.add_model("echo", fake="delay", delay_ms=2000)
    _, gateway, (worker,) = fleet.start_all("echo")
    client = stub(gateway)
    first = client.ModelInfer.future(echo_request(mark="first"), timeout=20 * lib.SLOW)
    lib.eventually(lambda: "torchfleet_worker_running{model=\"echo\",version=\"1\"} 1"
                   in metrics(worker))
    queued = client.ModelInfer.future(echo_request(mark="queued"), timeout=20 * lib.SLOW)
    lib.eventually(lambda: "torchfleet_worker_queue_depth{model=\"echo\",version=\"1\"} 1"
                   in metrics(worker))
    queued.cancel()
    lib.eventually(lambda: "torchfleet_worker_cancelled_total{model=\"echo\",version=\"1\"} 1"
                   in metrics(worker))
    assert first.result().id == "first"
    statistics = stub(worker).ModelStatistics(pb.ModelStatisticsRequest(name="echo"))
    assert statistics.model_stats[0].execution_count == 1


def metrics(process):
    import urllib.request
    with urllib.request.urlopen(f"http://{process.operator_address}/metrics", timeout=10) as page:
        return page.read().decode()


def test_row_25_worker_killed_under_load(fleet):
    fleet.add_model("echo", fake="delay", delay_ms=2)
    registry, gateway, workers = fleet.start_all("echo", replicas=2)
    with lib.Load(gateway) as load:
        load.wait_answers(50)
        killed = time.monotonic()
        workers[0].kill()
        load.wait_answers(200)
        watch_until(registry, lambda now: len(now) == 1)
        # The lease is 5 s, and its end is noticed when it comes.
        assert time.monotonic() - killed < 8 * lib.SLOW
        load.wait_answers(20)
    assert load.failures == []


def test_row_25_without_a_replica_the_call_is_unavailable(fleet):
    fleet.add_model("echo", fake="crash")
    _, gateway, _ = fleet.start_all("echo")
    request = echo_request()
    request.inputs[0].name, request.inputs[1].name = "x", "id"
    request.raw_input_contents[0] = b"crash___________"
    error = error_of(stub(gateway), request, 20 * lib.SLOW)
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert "127.0.0.1" not in error.details()


def test_row_27_frozen_worker(fleet):
    fleet.add_model("echo")
    _, gateway, workers = fleet.start_all("echo", replicas=2)
    client = stub(gateway)
    workers[0].freeze()
    for i in range(4):
        request = echo_request(mark=f"frozen-{i}")
        assert is_echo_of(request, client.ModelInfer(request, timeout=30 * lib.SLOW))
    workers[1].freeze()
    error = error_of(client, echo_request(), 1.0)
    assert error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)
    for worker in workers:
        worker.thaw()
    lib.eventually(lambda: served(client))


def served(client):
    try:
        request = echo_request()
        return is_echo_of(request, client.ModelInfer(request, timeout=5 * lib.SLOW))
    except grpc.RpcError:
        return False


def test_row_31_damaged_model_file(fleet):
    fleet.add_model("echo")
    with open(os.path.join(fleet.repository, "echo", "1", "model.pt"), "w", encoding="utf-8") as f:
        f.write("corrupt")
    with pytest.raises(RuntimeError) as error:
        fleet.start_worker("echo")
    assert "is corrupt" in str(error.value)


def test_row_32_another_file_than_the_pinned(fleet):
    nothing = hashlib.sha256(b"").hexdigest()
    fleet.add_model("echo", MODEL_SHA256=nothing)
    fleet.start_worker("echo")
    with open(os.path.join(fleet.repository, "echo", "1", "model.pt"), "w", encoding="utf-8") as f:
        f.write("another")
    with pytest.raises(RuntimeError) as error:
        fleet.start_worker("echo")
    assert nothing in str(error.value)
    assert hashlib.sha256(b"another").hexdigest() in str(error.value)


def test_row_36_registry_down_is_not_inference_down(fleet):
    fleet.add_model("echo")
    registry, gateway, _ = fleet.start_all("echo", replicas=2)
    with lib.Load(gateway) as load:
        load.wait_answers(20)
        registry.kill()
        load.wait_answers(300)
    assert load.failures == []


def test_row_37_zombie_with_an_old_epoch(fleet):
    registry = fleet.start_registry()
    announce = registry_services.RegistryServiceStub(
        grpc.insecure_channel(registry.address)).Announce
    worker = registry_pb.Worker(worker_id="w", address="127.0.0.1:1", model="m", version="1")
    old = lib.queue.Queue()
    old_answers = announce(iter(old.get, None), timeout=30 * lib.SLOW)
    register = registry_pb.AnnounceRequest.Register(worker=worker,
                                                    state=registry_pb.WORKER_STATE_READY)
    old.put(registry_pb.AnnounceRequest(register=register))
    first = next(old_answers).registered
    new = lib.queue.Queue()
    new_answers = announce(iter(new.get, None), timeout=30 * lib.SLOW)
    new.put(registry_pb.AnnounceRequest(register=register))
    assert next(new_answers).registered.epoch > first.epoch
    old.put(registry_pb.AnnounceRequest(renew=registry_pb.AnnounceRequest.Renew(
        epoch=first.epoch, state=registry_pb.WORKER_STATE_READY)))
    with pytest.raises(grpc.RpcError) as error:
        next(old_answers)
    assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    old.put(None)
    new.put(None)


def test_row_37_thawed_worker_registers_anew(fleet):
    fleet.add_model("echo")
    registry = fleet.start_registry(lease="1s")
    worker = fleet.start_worker("echo", registry)
    before = watch_until(registry, lambda now: lib.ready_count(now) == 1)
    worker.freeze()
    watch_until(registry, lambda now: not now)
    worker.thaw()
    after = watch_until(registry, lambda now: lib.ready_count(now) == 1)
    assert next(iter(after.values())).epoch > next(iter(before.values())).epoch


def test_row_38_resume_after_forgotten_revision_is_a_snapshot(fleet):
    registry = fleet.start_registry()
    watch = registry_services.RegistryServiceStub(grpc.insecure_channel(registry.address)).Watch
    first = next(watch(registry_pb.WatchRequest(), timeout=10 * lib.SLOW))
    resumed = next(watch(registry_pb.WatchRequest(
        incarnation=first.incarnation, after_revision=first.revision), timeout=10 * lib.SLOW))
    assert resumed.HasField("delta")
    other = next(watch(registry_pb.WatchRequest(incarnation="another", after_revision=5),
                       timeout=10 * lib.SLOW))
    assert other.HasField("snapshot")


def test_row_39_registry_comes_back_empty(fleet):
    fleet.add_model("echo")
    registry, gateway, _ = fleet.start_all("echo", replicas=2)
    with lib.Load(gateway) as load:
        load.wait_answers(20)
        registry.kill()
        again = fleet.start_registry(listen=registry.address)
        watch_until(again, lambda now: lib.ready_count(now) == 2)
        load.wait_answers(100)
    assert load.failures == []
