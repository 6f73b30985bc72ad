"""Models loaded and unloaded by callers, under `torchfleet up` and without it."""
import json
import os
import urllib.error
import urllib.request

import grpc
import pytest

import fleet as lib
from fleet import pb, registry_pb, stub
from torchfleet.registry.v1 import catalogue_pb2, catalogue_pb2_grpc
from up import Up


class Address:
    """What lib.stub needs of a process."""

    def __init__(self, address):
        self.address = address


@pytest.fixture
def up(tmp_path, fleet):
    fleet.add_model("echo")
    fleet.add_model("other", versions=(1, 2), extra="version_policy { all {} }")
    running = Up(tmp_path, fleet.repository)
    running.folder = tmp_path
    yield running
    running.close()


def load(client, model, **arguments):
    return client.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name=model, **arguments),
                                      timeout=30 * lib.SLOW)


def unload(client, model):
    return client.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name=model),
                                        timeout=30 * lib.SLOW)


def code_of(call, *arguments, **named):
    with pytest.raises(grpc.RpcError) as error:
        call(*arguments, **named)
    return error.value.code()


def catalogue(running):
    return catalogue_pb2_grpc.CatalogueServiceStub(
        grpc.insecure_channel(running.of("registry")["address"]))


def published(running, name):
    """The catalogue's model, once it is there."""
    found = []

    def there():
        try:
            found[:] = [catalogue(running).GetModel(
                catalogue_pb2.GetModelRequest(name=name), timeout=5 * lib.SLOW).model]
        except grpc.RpcError:
            return False
        return True
    lib.eventually(there)
    return found[0]


def test_the_repository_is_in_the_catalogue(up):
    model = published(up, "other")
    assert [v.version for v in model.versions] == ["1", "2"]
    assert model.versions[1].files[0].path == "model.pt"
    assert model.versions[1].files[0].sha256.startswith("e3b0c44298fc1c14")  # of nothing
    assert model.updated_by == "torchfleet up"


def test_unload_and_load(up):
    client = stub(Address(up.of("gateway")["address"]))
    published(up, "echo")
    request = lib.echo_request()
    assert lib.is_echo_of(request, client.ModelInfer(request, timeout=10 * lib.SLOW))
    unload(client, "echo")
    assert code_of(client.ModelInfer, request, timeout=10 * lib.SLOW) == \
        grpc.StatusCode.UNAVAILABLE
    lib.eventually(lambda: not [p for p in up.processes() if p["model"] == "echo"
                                and p["role"] == "worker" and p["pid"]])
    assert client.ModelReady(pb.ModelReadyRequest(name="other")).ready
    load(client, "echo")
    assert lib.is_echo_of(request, client.ModelInfer(request, timeout=10 * lib.SLOW))
    assert published(up, "echo").updated_by == "RepositoryModelLoad"


def test_unloaded_stays_unloaded_over_a_restart(up, fleet, tmp_path):
    client = stub(Address(up.of("gateway")["address"]))
    published(up, "echo")
    unload(client, "echo")
    assert up.end() == 0
    (tmp_path / "again").mkdir()
    again = Up(tmp_path / "again", fleet.repository)
    try:
        client = stub(Address(again.of("gateway")["address"]))
        lib.wait_model_ready(Address(again.of("gateway")["address"]), "other")
        assert not client.ModelReady(pb.ModelReadyRequest(name="echo")).ready
        assert code_of(client.ModelInfer, lib.echo_request(), timeout=10 * lib.SLOW) == \
            grpc.StatusCode.UNAVAILABLE
        load(client, "echo")
        assert client.ModelReady(pb.ModelReadyRequest(name="echo")).ready
    finally:
        again.close()


def test_a_drained_model_comes_back_when_it_is_loaded(up):
    client = stub(Address(up.of("gateway")["address"]))
    published(up, "echo")
    done = up.run("drain", "echo", "--wait")
    assert done.returncode == 0, done.stderr
    assert not client.ModelReady(pb.ModelReadyRequest(name="echo")).ready
    load(client, "echo")
    assert client.ModelReady(pb.ModelReadyRequest(name="echo")).ready


def test_loads_at_once_are_all_the_same(up):
    """Row 34."""
    client = stub(Address(up.of("gateway")["address"]))
    published(up, "echo")
    unload(client, "echo")
    calls = [client.RepositoryModelLoad.future(pb.RepositoryModelLoadRequest(model_name="echo"),
                                               timeout=30 * lib.SLOW) for _ in range(8)]
    assert {call.code() for call in calls} <= {grpc.StatusCode.OK, grpc.StatusCode.ABORTED}
    assert grpc.StatusCode.OK in {call.code() for call in calls}
    assert client.ModelReady(pb.ModelReadyRequest(name="echo")).ready


def test_a_damaged_file_is_said(up, fleet):
    """Row 31."""
    client = stub(Address(up.of("gateway")["address"]))
    published(up, "echo")
    unload(client, "echo")
    with open(os.path.join(fleet.repository, "echo", "1", "model.pt"), "w", encoding="utf-8") as f:
        f.write("corrupt")
    with pytest.raises(grpc.RpcError) as error:
        load(client, "echo")
    assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert fleet.repository not in error.value.details()


def test_replicas_follow_the_catalogue(up):
    published(up, "echo")
    stub_ = catalogue(up)
    for wanted in (3, 1):
        model = published(up, "echo")
        model.placement.replicas = wanted
        stub_.UpdateModel(catalogue_pb2.UpdateModelRequest(model=model, revision=model.revision,
                                                           actor="test"), timeout=10 * lib.SLOW)
        lib.eventually(lambda: len([p for p in up.processes() if p["model"] == "echo"
                                    and p["state"] == "READY"]) == wanted)


def test_what_nobody_knows_and_what_is_not_taken(up):
    client = stub(Address(up.of("gateway")["address"]))
    assert code_of(load, client, "nothing") == grpc.StatusCode.NOT_FOUND
    assert code_of(unload, client, "nothing") == grpc.StatusCode.NOT_FOUND
    assert code_of(load, client, "../echo") == grpc.StatusCode.INVALID_ARGUMENT
    assert code_of(load, client, "echo", parameters={
        "config": pb.ModelRepositoryParameter(string_param="{}")}) == \
        grpc.StatusCode.INVALID_ARGUMENT


def test_by_rest(up):
    published(up, "echo")
    base = f"http://{up.of('gateway')['address']}/v2/repository/models"

    def post(path):
        request = urllib.request.Request(f"{base}/{path}", data=b"{}", method="POST")
        with urllib.request.urlopen(request, timeout=30 * lib.SLOW) as answer:
            return answer.status

    assert post("echo/unload") == 200
    index = json.load(urllib.request.urlopen(urllib.request.Request(
        f"http://{up.of('gateway')['address']}/v2/repository/index", data=b"{}"), timeout=10))
    assert [m["state"] for m in index if m["name"] == "echo"] != ["READY"]
    assert post("echo/load") == 200
    with pytest.raises(urllib.error.HTTPError) as error:
        post("nothing/load")
    assert error.value.code == 404


def test_row_36_without_the_registry(fleet):
    fleet.add_model("echo")
    registry = fleet.start_registry()
    fleet.start_worker("echo", registry)
    gateway = fleet.start_gateway(registry, "--model-control")
    lib.wait_model_ready(gateway, "echo")
    registry.kill()
    client = stub(gateway)
    assert code_of(load, client, "echo") == grpc.StatusCode.UNAVAILABLE
    request = lib.echo_request()
    assert lib.is_echo_of(request, client.ModelInfer(request, timeout=10 * lib.SLOW))


def test_without_model_control(fleet):
    fleet.add_model("echo")
    _, gateway, _ = fleet.start_all("echo")
    assert code_of(load, stub(gateway), "echo") == grpc.StatusCode.UNIMPLEMENTED


def test_workers_that_nobody_catalogued(fleet):
    fleet.add_model("echo")
    registry = fleet.start_registry()
    fleet.start_worker("echo", registry)
    gateway = fleet.start_gateway(registry, "--model-control")
    lib.wait_model_ready(gateway, "echo")
    client = stub(gateway)
    load(client, "echo")
    unload(client, "echo")
    lib.watch_until(registry, lambda now: all(
        e.state != registry_pb.WORKER_STATE_READY for e in now.values()))
