"""A model that does not come back: it is logged, then its worker ends and says why."""
import json
import subprocess

import grpc
import pytest

import fleet as lib
from fleet import echo_request, registry_pb, stub, watch_until

STUCK = ("--worker-id", "w", "--stuck-warning", "50ms", "--stuck-limit", "300ms")


def test_a_stuck_batch_ends_the_worker_which_comes_back_with_the_reason(fleet):
    fleet.add_model("echo", fake="delay", delay_ms=600_000)
    registry = fleet.start_registry()
    worker = fleet.start_worker("echo", registry, *STUCK)
    watch_until(registry, lambda now: lib.ready_count(now) == 1)
    with pytest.raises(grpc.RpcError) as error:
        stub(worker).ModelInfer(echo_request(), timeout=30 * lib.SLOW)
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    assert worker.popen.wait(timeout=30 * lib.SLOW) == 70
    assert worker.output().count("a batch does not come back from the model") == 1
    watch_until(registry, lambda now: not now)

    fleet.start_worker("echo", registry, *STUCK)
    now = watch_until(registry, lambda now: lib.ready_count(now) == 1)
    assert now["w"].last_leave_reason == "a batch ran for over 300ms"
    status = [f"{lib.BIN}/torchfleet", "status", "--registry", registry.address]
    shown = subprocess.run(status, capture_output=True, text=True, check=True).stdout
    assert "w left before: a batch ran for over 300ms" in shown
    shown = subprocess.run([*status, "-o", "json"], capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout)["processes"][0]["left"] == "a batch ran for over 300ms"


def test_another_replica_answers_while_one_is_stuck(fleet):
    fleet.add_model("echo", fake="delay", delay_ms=1)
    registry = fleet.start_registry()
    fleet.start_worker("echo", registry, "--reload-interval", "0s")
    gateway = fleet.start_gateway(registry)
    lib.wait_model_ready(gateway, "echo")
    with lib.Load(gateway) as load:
        load.wait_answers(20)
        # The same model, but slower than its limit.
        fleet.add_model("echo", fake="delay", delay_ms=600_000)
        stuck = fleet.start_worker("echo", registry, *STUCK, "--reload-interval", "0s")
        with pytest.raises(grpc.RpcError):
            stub(stuck).ModelInfer(echo_request(), timeout=30 * lib.SLOW)
        assert stuck.popen.wait(timeout=30 * lib.SLOW) == 70
        watch_until(registry, lambda now: len(now) == 1)
        load.wait_new_answers(20)


def test_zero_is_never(fleet):
    fleet.add_model("echo", fake="delay", delay_ms=400)
    worker = fleet.start_worker("echo", None, "--stuck-warning", "0s", "--stuck-limit", "0s")
    assert stub(worker).ModelInfer(echo_request(), timeout=30 * lib.SLOW).id == "m"
    assert "does not come back" not in worker.output()


def test_a_model_that_cannot_be_loaded_says_so_to_the_registry(fleet):
    fleet.add_model("echo", fake="nothing known")
    registry = fleet.start_registry()
    with pytest.raises(RuntimeError):
        fleet.start_worker("echo", registry, "--worker-id", "w")
    now = watch_until(registry, lambda now: [
        e for e in now.values() if e.state == registry_pb.WORKER_STATE_FAILED])
    assert "no fake model behaves like" in now["w"].reason
    fleet.add_model("echo")
    fleet.start_worker("echo", registry, "--worker-id", "w")
    now = watch_until(registry, lambda now: lib.ready_count(now) == 1)
    assert now["w"].reason == ""
