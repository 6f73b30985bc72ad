"""A worker that loads its model anew: what is good takes over, what is not leaves
the old one serving; no call is lost either way. Models run for real."""
import io
import os
import re
import threading

import grpc
import numpy as np
import pytest
import torch

import fleet as lib
from fleet import pb, stub, watch_until

Input = pb.ModelInferRequest.InferInputTensor
FAST = ("--reload-interval", "20ms")
NEVER = ("--reload-interval", "0s")


class Times(torch.nn.Module):
    def __init__(self, factor, size=4):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full((size, 4), float(factor)))

    def forward(self, x):
        return x * self.weight[0]


class TakesTwo(torch.nn.Module):
    def forward(self, x, y):
        return x + y


def scripted(module):
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(module), file)
    return file.getvalue()


def path(fleet, name="model.pt"):
    return os.path.join(fleet.repository, "times", "1", name)


def replace(fleet, data):
    """As a publisher does: whole, under its name, at once."""
    with open(path(fleet, ".new"), "wb") as file:
        file.write(data)
    os.rename(path(fleet, ".new"), path(fleet))


def configure(fleet, max_batch=8, **more):
    fleet.add_model("times", inputs=(("x", "TYPE_FP32", [4]),), outputs=(("y", "TYPE_FP32", [4]),),
                    max_batch=max_batch, versions=(), **more)


def serve(fleet, *arguments, factor=2, registry=None):
    fleet.add_model("times")
    configure(fleet)
    replace(fleet, scripted(Times(factor)))
    where = ["--registry", registry.address] if registry else []
    return fleet.start("torchfleet-worker", "--repository", fleet.repository, "--model", "times",
                       *where, *arguments)


def request(rows=1, width=4):
    return pb.ModelInferRequest(
        model_name="times", raw_input_contents=[np.ones((rows, width), np.float32).tobytes()],
        inputs=[Input(name="x", datatype="FP32", shape=[rows, width])])


def factor_of(client):
    answer = client.ModelInfer(request(), timeout=20 * lib.SLOW)
    values = np.frombuffer(answer.raw_output_contents[0], np.float32)
    assert (values == values[0]).all()
    return values[0]


def load(client, name="times", **parameters):
    return client.RepositoryModelLoad(pb.RepositoryModelLoadRequest(
        model_name=name, parameters={key: pb.ModelRepositoryParameter(string_param=value)
                                     for key, value in parameters.items()}),
        timeout=60 * lib.SLOW)


def refused(client, *args, **kwargs):
    with pytest.raises(grpc.RpcError) as error:
        load(client, *args, **kwargs)
    return error.value


def index(client):
    return client.RepositoryIndex(pb.RepositoryIndexRequest()).models[0]


class Calls:
    """Calls in the background, each answered by one model or the other, whole."""

    def __init__(self, client):
        self.client, self.stopping, self.failures, self.seen = client, threading.Event(), [], set()
        self.threads = [threading.Thread(target=self.run) for _ in range(4)]

    def run(self):
        while not self.stopping.is_set():
            try:
                self.seen.add(factor_of(self.client))
            except (grpc.RpcError, AssertionError) as error:
                self.failures.append(str(error))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def test_a_load_takes_the_new_file_and_no_call_is_lost(fleet):
    worker = serve(fleet, *NEVER)
    client = stub(worker)
    with Calls(client) as calls:
        for factor in (3, 4, 5):
            replace(fleet, scripted(Times(factor)))
            load(client)
            assert factor_of(client) == factor
    assert calls.failures == [] and 5 in calls.seen
    assert index(client).state == "READY" and index(client).reason == ""


def test_a_file_that_changed_is_taken_without_being_asked(fleet):
    client = stub(serve(fleet, *FAST))
    with Calls(client) as calls:
        replace(fleet, scripted(Times(7)))
        lib.eventually(lambda: factor_of(client) == 7)
    assert calls.failures == []


def test_a_changed_configuration_is_told_to_the_registry(fleet):
    registry = fleet.start_registry()
    client = stub(serve(fleet, *FAST, registry=registry))
    before = watch_until(registry, lambda now: lib.ready_count(now) == 1)
    configure(fleet, max_batch=0)
    after = watch_until(registry, lambda now: lib.ready_count(now) == 1 and list(
        next(iter(now.values())).worker.inputs[0].shape) == [4])
    assert list(before) == list(after)
    answer = client.ModelInfer(pb.ModelInferRequest(
        model_name="times", raw_input_contents=[np.ones(4, np.float32).tobytes()],
        inputs=[Input(name="x", datatype="FP32", shape=[4])]), timeout=20 * lib.SLOW)
    assert list(answer.outputs[0].shape) == [4]


@pytest.mark.parametrize("damage", [
    lambda whole: b"", lambda whole: b"no model", lambda whole: whole[:-100],
    lambda whole: whole[:300], lambda whole: scripted(TakesTwo())],
    ids=["empty", "text", "cut", "a_head", "takes_other_inputs"])
def test_row_31_a_damaged_file_leaves_the_old_one_serving(fleet, damage):
    worker = serve(fleet, *NEVER)
    client = stub(worker)
    replace(fleet, damage(scripted(Times(3))))
    error = refused(client)
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert fleet.repository not in error.details() and "/" not in error.details()
    assert index(client).state == "READY" and index(client).reason == error.details()
    assert factor_of(client) == 2
    assert re.search(r"reloads_total{[^}]*failed[^}]*} 1\n", metrics(worker))
    replace(fleet, scripted(Times(3)))
    load(client)
    assert factor_of(client) == 3 and index(client).reason == ""


def test_row_31_a_damaged_file_is_tried_once_until_it_changes(fleet):
    worker = serve(fleet, *FAST)
    client = stub(worker)
    replace(fleet, b"no model")
    lib.eventually(lambda: index(client).reason)
    assert factor_of(client) == 2
    replace(fleet, scripted(Times(3)))
    lib.eventually(lambda: factor_of(client) == 3)
    assert worker.output().count("could not be loaded anew") == 1


def test_a_wrong_configuration_leaves_the_old_one_serving(fleet):
    client = stub(serve(fleet, *NEVER))
    with open(os.path.join(fleet.repository, "times", "config.pbtxt"), "w", encoding="utf-8") as f:
        f.write("platform: [")
    error = refused(client)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "config.pbtxt:1" in error.details() and fleet.repository not in error.details()
    assert factor_of(client) == 2


def test_only_its_own_model_and_no_parameters(fleet):
    client = stub(serve(fleet, *NEVER))
    assert refused(client, "other").code() == grpc.StatusCode.NOT_FOUND
    assert refused(client, config="{}").code() == grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.RpcError) as error:
        client.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="times"))
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_row_34_loads_at_once_have_one_outcome(fleet):
    client = stub(serve(fleet, *NEVER))
    replace(fleet, scripted(Times(9)))
    asked = pb.RepositoryModelLoadRequest(model_name="times")
    calls = [client.RepositoryModelLoad.future(asked, timeout=60 * lib.SLOW) for _ in range(16)]
    assert [call.code() for call in calls] == [grpc.StatusCode.OK] * 16
    assert factor_of(client) == 9
    replace(fleet, b"no model")
    calls = [client.RepositoryModelLoad.future(asked, timeout=60 * lib.SLOW) for _ in range(16)]
    assert {call.code() for call in calls} == {grpc.StatusCode.FAILED_PRECONDITION}
    assert factor_of(client) == 9


def test_a_drain_does_not_wait_for_a_load(fleet):
    worker = serve(fleet, *NEVER, "--drain-delay", "0s")
    replace(fleet, scripted(Times(9)))
    asked = stub(worker).RepositoryModelLoad.future(
        pb.RepositoryModelLoadRequest(model_name="times"), timeout=60 * lib.SLOW)
    assert worker.terminate() == 0
    assert asked.code() in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)


def metrics(process):
    import urllib.request
    with urllib.request.urlopen(f"http://{process.operator_address}/metrics", timeout=10) as page:
        return page.read().decode()
