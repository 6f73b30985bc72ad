"""The registry away, forgetful or slow, and workers that drain: no call notices.

TORCHFLEET_FAULT_SECONDS is how long the longest story runs; 15 by default.
"""
import os
import re
import subprocess
import threading
import time

import grpc
import pytest

import fleet as lib
from fleet import (echo_request, is_echo_of, registry_pb, registry_services, stub, wait_model_ready,
                   watch_until)
# Made by the fleet's library.
from torchfleet.registry.v1 import catalogue_pb2 as catalogue_pb
from torchfleet.registry.v1 import catalogue_pb2_grpc as catalogue_services

SECONDS = int(os.environ.get("TORCHFLEET_FAULT_SECONDS", "15"))


def ready(process, count):
    return watch_until(process, lambda now: lib.ready_count(now) == count)


def metrics_of(process):
    import urllib.request
    with urllib.request.urlopen(f"http://{process.operator_address}/metrics", timeout=10) as page:
        return page.read().decode()


def cli(*arguments):
    return subprocess.run([f"{lib.BIN}/torchfleet", *arguments], capture_output=True, text=True,
                          timeout=60 * lib.SLOW, check=False)


def test_registry_killed_and_restarted_under_load(fleet):
    fleet.add_model("echo")
    registry, gateway, _ = fleet.start_all("echo", replicas=2)
    with lib.Load(gateway) as load:
        for _ in range(max(1, SECONDS // 5)):
            load.wait_new_answers(20)
            registry.kill()
            until = time.monotonic() + 2
            while time.monotonic() < until:
                load.wait_new_answers(5)
            registry = fleet.start_registry(listen=registry.address)
            ready(registry, 2)
            until = time.monotonic() + 2
            while time.monotonic() < until:
                load.wait_new_answers(5)
    assert load.failures == []


def test_a_gateway_starts_without_a_registry(fleet, tmp_path):
    fleet.add_model("echo")
    registry = fleet.start_registry()
    file = str(tmp_path / "fleet")
    workers = [fleet.start_worker("echo", registry) for _ in range(2)]
    first = fleet.start_gateway(registry, "--fleet-file", file)
    wait_model_ready(first, "echo")
    ready(registry, 2)
    lib.eventually(lambda: metrics_of(first).count('state="ready"} 2') == 1)
    registry.kill()
    assert first.terminate() == 0
    again = fleet.start_gateway(registry, "--fleet-file", file)
    wait_model_ready(again, "echo")
    assert "calls go to the workers of the fleet on disk" in again.output()
    known = re.search(r"fleet_known_timestamp_seconds ([0-9.e+]+)", metrics_of(again))
    assert 0 < time.time() - float(known[1]) < 600
    with lib.Load(again) as load:
        load.wait_answers(50)
        # One that knows nothing takes nobody away; then its own word counts.
        registry = fleet.start_registry(listen=registry.address, lease="2s")
        ready(registry, 2)
        load.wait_new_answers(50)
        assert workers[0].terminate() == 0
        ready(registry, 1)
        load.wait_new_answers(50)
    assert load.failures == []
    lib.eventually(lambda: 'state="ready"} 1' in metrics_of(again))


def test_a_damaged_fleet_file_is_said_and_left(fleet, tmp_path):
    fleet.add_model("echo")
    registry = fleet.start_registry()
    fleet.start_worker("echo", registry)
    registry.kill()
    file = tmp_path / "fleet"
    file.write_bytes(b"torchfleet-fleet 1 1 5 1\nhello")
    gateway = fleet.start_gateway(registry, "--fleet-file", str(file))
    lib.eventually(lambda: "is damaged" in gateway.output())
    with pytest.raises(grpc.RpcError) as error:
        stub(gateway).ModelInfer(echo_request(), timeout=10 * lib.SLOW)
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    fleet.start_registry(listen=registry.address)
    wait_model_ready(gateway, "echo")
    lib.eventually(lambda: file.read_bytes().endswith(b"hello") is False)


def test_registry_empty_after_a_disaster(fleet):
    """Workers cannot reach the new one, so it stays empty: they are kept for a lease."""
    fleet.add_model("echo")
    registry, gateway, workers = fleet.start_all("echo", replicas=2)
    with lib.Load(gateway) as load:
        load.wait_answers(20)
        registry.kill()
        workers[1].freeze()
        again = fleet.start_registry(listen=registry.address, lease="2s")
        lib.eventually(lambda: "kept for one lease more" in gateway.output())
        assert 'state="ready"} 2' in metrics_of(gateway)
        ready(again, 1)
        lib.eventually(lambda: 'state="ready"} 1' in metrics_of(gateway))
        load.wait_new_answers(20)
        workers[1].thaw()
        ready(again, 2)
    assert load.failures == []


def test_one_of_the_registries_addresses_is_dead(fleet):
    fleet.add_model("echo")
    dead = fleet.start_registry()
    dead.kill()
    registry = fleet.start_registry()
    both = ["--registry", f"{dead.address},{registry.address}"]
    for _ in range(4):
        fleet.start_worker("echo", None, *both)
    gateways = [fleet.start("torchfleet-gateway", "--listen", "127.0.0.1:0", *both)
                for _ in range(2)]
    ready(registry, 4)
    for gateway in gateways:
        wait_model_ready(gateway, "echo")
        request = echo_request()
        assert is_echo_of(request, stub(gateway).ModelInfer(request, timeout=10 * lib.SLOW))
    assert cli("status", *both).returncode == 0


def test_a_killed_worker_is_disconnected_at_once(fleet):
    fleet.add_model("echo")
    registry, gateway, workers = fleet.start_all("echo", replicas=2)
    with lib.Load(gateway) as load:
        load.wait_answers(20)
        workers[0].kill()
        # Long before its lease ends.
        watch_until(registry, lambda now: any(e.disconnected for e in now.values()))
        load.wait_new_answers(50)
    assert load.failures == []
    status = cli("status", "--registry", registry.address)
    assert status.returncode == 1 and "READY disconnected" in status.stdout


def test_a_frozen_worker_is_gone_with_its_lease(fleet):
    fleet.add_model("echo")
    registry = fleet.start_registry(lease="2s")
    workers = [fleet.start_worker("echo", registry) for _ in range(2)]
    gateway = fleet.start_gateway(registry)
    ready(registry, 2)
    wait_model_ready(gateway, "echo")
    workers[0].freeze()
    lib.eventually(lambda: 'state="ready"} 1' in metrics_of(gateway))
    for i in range(20):
        request = echo_request(mark=f"{i}")
        assert is_echo_of(request, stub(gateway).ModelInfer(request, timeout=10 * lib.SLOW))
    workers[0].thaw()
    ready(registry, 2)


def test_row_02_a_catalogued_model_without_a_worker_is_unavailable(fleet):
    registry = fleet.start_registry()
    gateway = fleet.start_gateway(registry)
    lib.eventually(lambda: "registry_connected 1" in metrics_of(gateway))

    def code(version=""):
        with pytest.raises(grpc.RpcError) as error:
            stub(gateway).ModelInfer(echo_request(version=version), timeout=10 * lib.SLOW)
        return error.value.code()

    assert code() == grpc.StatusCode.NOT_FOUND
    catalogue = catalogue_services.CatalogueServiceStub(grpc.insecure_channel(registry.address))
    catalogue.CreateModel(catalogue_pb.CreateModelRequest(model=catalogue_pb.Model(
        name="echo", versions=[catalogue_pb.ModelVersion(version="3")])))
    lib.eventually(lambda: code() == grpc.StatusCode.UNAVAILABLE)
    assert code("3") == grpc.StatusCode.UNAVAILABLE
    assert code("4") == grpc.StatusCode.NOT_FOUND
    index = stub(gateway).RepositoryIndex(lib.pb.RepositoryIndexRequest()).models
    assert [(m.name, m.version, m.state, m.reason) for m in index] == [
        ("echo", "3", "UNAVAILABLE", "no worker")]
    status = cli("status", "--registry", registry.address)
    assert status.returncode == 1 and "NO WORKER" in status.stdout
    catalogue.DeleteModel(catalogue_pb.DeleteModelRequest(name="echo"))
    lib.eventually(lambda: code() == grpc.StatusCode.NOT_FOUND)


class Phases(threading.Thread):
    """What a worker goes through, as a watcher sees it, until it is gone."""

    def __init__(self, registry, worker_id):
        super().__init__()
        self.seen, self.worker_id = [], worker_id
        self.stream = registry_services.RegistryServiceStub(
            grpc.insecure_channel(registry.address)).Watch(
                registry_pb.WatchRequest(), timeout=60 * lib.SLOW)
        self.note(next(self.stream))
        self.start()

    def note(self, response):
        whole = [*response.snapshot.endpoints, *response.delta.updated]
        said = [e for e in whole if e.worker.worker_id == self.worker_id]
        said += [c for c in response.delta.conditions if c.worker_id == self.worker_id]
        for each in said:
            now = (registry_pb.WorkerState.Name(each.state).rsplit("_", 1)[1],
                   registry_pb.DrainPhase.Name(each.drain_phase).rsplit("_", 1)[1])
            if not self.seen or self.seen[-1] != now:
                self.seen.append(now)

    def run(self):
        for response in self.stream:
            self.note(response)
            if self.worker_id in response.delta.removed:
                self.seen.append("gone")
                self.stream.cancel()
                return


DRAIN = [("READY", "UNSPECIFIED"), ("DRAINING", "ANNOUNCED"), ("DRAINING", "FINISHING"), "gone"]


@pytest.mark.parametrize("how", ["signal", "wish"])
def test_a_worker_drains_in_phases_without_a_failed_call(fleet, how):
    fleet.add_model("echo", fake="delay", delay_ms=200)
    registry = fleet.start_registry()
    workers = [fleet.start_worker("echo", registry, "--worker-id", name) for name in ("a", "b")]
    gateway = fleet.start_gateway(registry)
    ready(registry, 2)
    wait_model_ready(gateway, "echo")
    with lib.Load(gateway) as load:
        load.wait_answers(10)
        phases = Phases(registry, "a")
        if how == "signal":
            assert workers[0].terminate() == 0
        else:
            done = cli("drain", "a", "--wait", "--registry", registry.address)
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout.splitlines()[0] == "a is told to drain"
            assert done.stdout.splitlines()[-1] == "a is gone"
            assert workers[0].popen.wait(timeout=30 * lib.SLOW) == 0
            assert "an operator wants this worker to drain" in workers[0].output()
        phases.join()
        load.wait_new_answers(10)
    assert phases.seen == DRAIN
    assert load.failures == []


def test_a_worker_that_drains_by_wish_takes_a_signal_calmly(fleet):
    """Whoever runs it may end it too; only a second signal is impatience."""
    fleet.add_model("echo", fake="delay", delay_ms=1000)
    registry = fleet.start_registry()
    worker = fleet.start_worker("echo", registry, "--drain-delay", "1s")
    ready(registry, 1)
    call = stub(worker).ModelInfer.future(echo_request(), timeout=20 * lib.SLOW)
    lib.eventually(lambda: "torchfleet_worker_running{model=\"echo\",version=\"1\"} 1"
                   in metrics_of(worker))
    assert cli("drain", "echo", "--registry", registry.address).returncode == 0
    watch_until(registry, lambda now: any(
        e.state == registry_pb.WORKER_STATE_DRAINING for e in now.values()))
    assert worker.terminate() == 0
    assert is_echo_of(echo_request(), call.result())


def test_a_whole_model_drains_by_wish(fleet):
    fleet.add_model("echo")
    fleet.add_model("other")
    registry, gateway, workers = fleet.start_all("echo", "other", replicas=2)
    done = cli("drain", "echo", "--wait", "--registry", registry.address)
    assert done.returncode == 0 and done.stdout.count("is gone") == 2
    for worker in workers[:2]:
        assert worker.popen.wait(timeout=30 * lib.SLOW) == 0
    assert set(e.worker.model for e in ready(registry, 2).values()) == {"other"}
    with pytest.raises(grpc.RpcError) as error:
        stub(gateway).ModelInfer(echo_request(), timeout=10 * lib.SLOW)
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    assert cli("drain", "nobody", "--registry", registry.address).returncode == 1


def test_a_model_that_cannot_be_loaded_is_failed_with_the_reason(fleet):
    fleet.add_model("echo")
    with open(os.path.join(fleet.repository, "echo", "1", "model.pt"), "w", encoding="utf-8") as f:
        f.write("corrupt")
    registry = fleet.start_registry()
    with pytest.raises(RuntimeError):
        fleet.start_worker("echo", registry)
    (failed,) = watch_until(registry, lambda now: any(
        e.state == registry_pb.WORKER_STATE_FAILED for e in now.values())).values()
    assert "is corrupt" in failed.reason and fleet.repository not in failed.reason
    gateway = fleet.start_gateway(registry)
    index = stub(gateway).RepositoryIndex

    def listed():
        return [(m.name, m.state, m.reason) for m in index(lib.pb.RepositoryIndexRequest(),
                                                           wait_for_ready=True).models]
    lib.eventually(lambda: listed() == [("echo", "UNAVAILABLE", failed.reason)])
    status = cli("status", "--registry", registry.address)
    assert status.returncode == 1 and "FAILED" in status.stdout and failed.reason in status.stdout
