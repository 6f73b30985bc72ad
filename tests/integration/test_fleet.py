"""Registry, gateway and fake workers as real processes."""
import json
import subprocess
import threading
import urllib.error
import urllib.request

import grpc
import pytest

import fleet as lib
from fleet import echo_request, is_echo_of, pb, stub, wait_model_ready, watch_until

BINARIES = ["torchfleet-registry", "torchfleet-gateway", "torchfleet-fake-worker", "torchfleet"]


def test_every_answer_is_the_callers_own(fleet):
    fleet.add_model("echo")
    _, gateway, _ = fleet.start_all("echo", replicas=2)
    client = stub(gateway)
    wrong = []

    def call_many(number):
        for i in range(100):
            request = echo_request(mark=f"{number}-{i}-{'x' * (i % 7)}", rows=1 + i % 8)
            if not is_echo_of(request, client.ModelInfer(request, timeout=20 * lib.SLOW)):
                wrong.append(request.id)

    threads = [threading.Thread(target=call_many, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_no_version_means_the_highest_ready(fleet):
    fleet.add_model("echo", versions=(2, 9, 10), extra="version_policy { all {} }")
    registry = fleet.start_registry()
    gateway = fleet.start_gateway(registry)
    for version in (2, 9, 10):
        worker = fleet.start_worker("echo", registry, version=version)
        wait_model_ready(gateway, "echo", str(version))
    client = stub(gateway)
    assert client.ModelInfer(echo_request()).model_version == "10"
    assert client.ModelInfer(echo_request(version="9")).model_version == "9"
    metadata = client.ModelMetadata(pb.ModelMetadataRequest(name="echo"))
    assert sorted(metadata.versions) == ["10", "2", "9"]
    # The highest drains: the next one answers, and no call fails.
    assert worker.terminate() == 0
    assert client.ModelInfer(echo_request()).model_version == "9"


def test_access_log_tells_each_call_once(fleet, tmp_path):
    fleet.add_model("echo")
    registry = fleet.start_registry()
    fleet.start_worker("echo", registry)
    gateway = fleet.start_gateway(registry, "--access-log", str(tmp_path / "log"))
    wait_model_ready(gateway, "echo")
    client = stub(gateway)
    named = [("x-request-id", "mine")]
    client.ServerLive(pb.ServerLiveRequest(), metadata=named)
    client.ModelInfer(echo_request(), metadata=named)
    with pytest.raises(grpc.RpcError):
        client.ModelConfig(pb.ModelConfigRequest(name="nobody"), metadata=named)
    rest = urllib.request.Request(f"http://{gateway.address}/v2/models/echo/config",
                                  headers={"X-Request-Id": "mine"})
    with urllib.request.urlopen(rest, timeout=20 * lib.SLOW) as answer:
        assert answer.status == 200
    endless = grpc.insecure_channel(gateway.address).unary_stream("/grpc.health.v1.Health/Watch")
    watched = endless(b"", metadata=named)
    next(watched)
    watched.cancel()

    def lines():
        told = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
        return [line for line in told if line["request_id"] == "mine"]

    lib.eventually(lambda: len(lines()) >= 5)
    assert gateway.terminate() == 0
    service = "/inference.GRPCInferenceService/"
    assert sorted((line["protocol"], line["method"], line["code"]) for line in lines()) == [
        ("grpc", "/grpc.health.v1.Health/Watch", "CANCELLED"),
        ("grpc", service + "ModelConfig", "NOT_FOUND"),
        ("grpc", service + "ModelInfer", "OK"),
        ("grpc", service + "ServerLive", "OK"),
        ("rest", "GET /v2/models/echo/config", "OK")]
    live = next(line for line in lines() if line["method"].endswith("ServerLive"))
    assert live["bytes_in"] == 5 and live["bytes_out"] > 5


def test_a_worker_refuses_what_is_no_grpc(fleet):
    fleet.add_model("echo")
    worker = fleet.start_worker("echo")
    for data, code in ((None, 405), (b"x", 415)):
        for path in ("/v2/health/ready", "/inference.GRPCInferenceService/ModelInfer"):
            with pytest.raises(urllib.error.HTTPError) as error:
                urllib.request.urlopen(f"http://{worker.address}{path}", data=data,
                                       timeout=20 * lib.SLOW)
            assert error.value.code == code
    request = echo_request()
    assert is_echo_of(request, stub(worker).ModelInfer(request))


def test_replicas_share_the_load(fleet):
    fleet.add_model("echo", fake="delay", delay_ms=5)
    _, gateway, workers = fleet.start_all("echo", replicas=2)
    with lib.Load(gateway, callers=8) as load:
        load.wait_answers(80)
    assert load.failures == []
    for worker in workers:
        served = stub(worker).ModelStatistics(pb.ModelStatisticsRequest(name="echo"))
        assert served.model_stats[0].inference_count > 20


def test_readiness_and_index(fleet):
    fleet.add_model("echo")
    _, gateway, _ = fleet.start_all("echo")
    client = stub(gateway)
    assert client.ServerLive(pb.ServerLiveRequest()).live
    assert client.ServerReady(pb.ServerReadyRequest()).ready
    assert client.ServerMetadata(pb.ServerMetadataRequest()).name == "torchfleet"
    assert not client.ModelReady(pb.ModelReadyRequest(name="nobody")).ready
    models = client.RepositoryIndex(pb.RepositoryIndexRequest()).models
    assert [(m.name, m.version, m.state) for m in models] == [("echo", "1", "READY")]
    config = client.ModelConfig(pb.ModelConfigRequest(name="echo")).config
    assert config.name == "echo" and config.max_batch_size == 8
    with pytest.raises(grpc.RpcError) as error:
        client.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="echo"))
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


def health_of(process):
    """grpc.health.v1, by hand: field 1 of the answer is the status, 1 = SERVING."""
    check = grpc.insecure_channel(process.address).unary_unary("/grpc.health.v1.Health/Check")
    return check(b"", wait_for_ready=True, timeout=10 * lib.SLOW) == b"\x08\x01"


def services_of(process):
    """The names that server reflection lists, as raw bytes: field 7 asks for them."""
    call = grpc.insecure_channel(process.address).stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    return next(call(iter([b"\x3a\x00"]), timeout=10 * lib.SLOW))


def metrics_of(process):
    with urllib.request.urlopen(f"http://{process.operator_address}/metrics", timeout=10) as page:
        return page.read().decode()


def test_all_processes_have_health_reflection_and_metrics(fleet):
    fleet.add_model("echo")
    registry, gateway, (worker,) = fleet.start_all("echo")
    stub(gateway).ModelInfer(echo_request())
    for process, service, metric in (
            (registry, b"torchfleet.registry.v1.RegistryService",
             'torchfleet_registry_endpoints{state="ready"} 1'),
            (gateway, b"inference.GRPCInferenceService",
             'torchfleet_gateway_calls_total{model="echo",code="OK"} 1'),
            (worker, b"inference.GRPCInferenceService",
             'torchfleet_worker_requests_total{model="echo",version="1",code="OK"} 1')):
        assert health_of(process)
        assert service in services_of(process)
        assert metric in metrics_of(process)


def test_a_made_up_name_is_no_label(fleet):
    fleet.add_model("echo")
    _, gateway, _ = fleet.start_all("echo")
    with pytest.raises(grpc.RpcError):
        stub(gateway).ModelInfer(echo_request(model="made-up-by-a-client"))
    text = metrics_of(gateway)
    assert "made-up" not in text and 'model="other"' in text


def test_a_worker_drains_without_a_failed_call(fleet):
    fleet.add_model("echo", fake="delay", delay_ms=2)
    registry, gateway, workers = fleet.start_all("echo", replicas=2)
    with lib.Load(gateway) as load:
        load.wait_answers(50)
        assert workers[0].terminate() == 0
        load.wait_answers(200)
    assert load.failures == []
    watch_until(registry, lambda fleet_now: len(fleet_now) == 1)


def test_gateway_and_registry_end_by_themselves(fleet):
    fleet.add_model("echo")
    registry, gateway, _ = fleet.start_all("echo")
    assert gateway.terminate() == 0
    assert registry.terminate() == 0


def test_a_worker_serves_alone(fleet):
    fleet.add_model("echo")
    worker = fleet.start_worker("echo")
    request = echo_request()
    assert is_echo_of(request, stub(worker).ModelInfer(request))


def test_a_gateway_serves_a_fixed_worker(fleet):
    fleet.add_model("echo")
    worker = fleet.start_worker("echo")
    gateway = fleet.start("torchfleet-gateway", "--listen", "127.0.0.1:0", "--worker",
                          worker.address)
    request = echo_request()
    assert is_echo_of(request, stub(gateway).ModelInfer(request))


def test_json_logs_are_json(fleet):
    registry = fleet.start("torchfleet-registry", "--listen", "127.0.0.1:0", "--store", "memory",
                           "--log-format", "json")
    assert registry.terminate() == 0
    lines = [json.loads(line) for line in registry.output().splitlines()]
    assert lines and all({"time", "level", "process", "message"} <= set(line) for line in lines)


def test_flags_come_from_the_environment(fleet):
    registry = fleet.start("torchfleet-registry", env={
        "TORCHFLEET_LISTEN": "127.0.0.1:0", "TORCHFLEET_LOG_FORMAT": "json",
        "TORCHFLEET_STORE": "memory"})
    registry.terminate()
    assert json.loads(registry.output().splitlines()[0])["process"] == "registry"


def test_a_registry_that_cannot_open_its_store_says_why():
    for store, said in (("sqlite:/nowhere/at/all.db", "/nowhere/at/all.db"),
                        ("postgres:x", "memory, sqlite:PATH")):
        done = subprocess.run([f"{lib.BIN}/torchfleet-registry", "--listen", "127.0.0.1:0",
                               "--store", store], capture_output=True, text=True,
                              timeout=30 * lib.SLOW, check=False)
        assert done.returncode == 1 and said in done.stderr


@pytest.mark.parametrize("binary", BINARIES)
def test_help_and_version(binary):
    for flag, expected in (("--help", "--"), ("--version", "torchfleet")):
        done = subprocess.run([f"{lib.BIN}/{binary}", flag], capture_output=True, text=True,
                              check=True)
        assert expected in done.stdout


@pytest.mark.parametrize("binary", BINARIES)
def test_a_wrong_flag_is_exit_code_2(binary):
    done = subprocess.run([f"{lib.BIN}/{binary}", "--no-such-flag"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 2 and "--help" in done.stderr


def test_a_taken_port_is_named(fleet):
    registry = fleet.start_registry()
    done = subprocess.run([f"{lib.BIN}/torchfleet-registry", "--listen", registry.address,
                           "--store", "memory"],
                          capture_output=True, text=True, timeout=30 * lib.SLOW, check=False)
    assert done.returncode == 1 and registry.address in done.stderr
