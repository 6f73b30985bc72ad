"""Memory: what does not fit is refused before the kernel ends the process, and
what was used comes back. Models run for real."""
import io
import json
import os
import subprocess

import grpc
import numpy as np
import pytest
import torch

import fleet as lib
from fleet import pb, stub

Input = pb.ModelInferRequest.InferInputTensor
MIB = 1 << 20


class Hungry(torch.nn.Module):
    """Takes as many MiB as its input says."""

    def forward(self, mib):
        taken = torch.ones(int(mib[0]) * (1 << 18))
        return taken.sum().reshape(1) / (1 << 18)


class Same(torch.nn.Module):
    def forward(self, x):
        return x.sum(1)


class Weighty(torch.nn.Module):
    """Has 4 MB of weights."""

    def __init__(self, factor):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full((1024, 1024), float(factor)))

    def forward(self, x):
        return x * self.weight[0, :4]


def publish(fleet, name, module, inputs, max_batch=0, extra=""):
    if not os.path.exists(os.path.join(fleet.repository, name)):
        fleet.add_model(name, inputs=inputs, outputs=(("y", "TYPE_FP32", [-1]),),
                        max_batch=max_batch, extra=extra)
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(module), file)
    place = os.path.join(fleet.repository, name, "1")
    with open(os.path.join(place, ".new"), "wb") as to:
        to.write(file.getvalue())
    os.rename(os.path.join(place, ".new"), os.path.join(place, "model.pt"))


def serve(fleet, name, *arguments):
    return fleet.start("torchfleet-worker", "--repository", fleet.repository, "--model", name,
                       "--reload-interval", "0s", *arguments)


def used(worker, name="RssAnon"):
    with open(f"/proc/{worker.popen.pid}/status", encoding="utf-8") as status:
        line = next(line for line in status if line.startswith(name + ":"))
    return int(line.split()[1]) * 1024


def hungry(fleet, *arguments):
    publish(fleet, "hungry", Hungry(), (("mib", "TYPE_INT32", [1]),),
            extra="instance_group { count: 8 }")
    return serve(fleet, "hungry", *arguments)


def take(client, mib):
    request = pb.ModelInferRequest(
        model_name="hungry", raw_input_contents=[np.array([mib], np.int32).tobytes()],
        inputs=[Input(name="mib", datatype="INT32", shape=[1])])
    return client.ModelInfer.future(request, timeout=60 * lib.SLOW)


def taken(call):
    return np.frombuffer(call.result().raw_output_contents[0], np.float32)[0]


def test_row_29_a_tensor_over_the_limit(fleet):
    worker = hungry(fleet, "--memory-limit", "600M")
    client = stub(worker)
    assert taken(take(client, 50)) == 50
    for mib in (1000, 8000):
        call = take(client, mib)
        assert call.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "memory" in call.details()
    assert taken(take(client, 50)) == 50
    assert used(worker, "VmHWM") - used(worker, "RssFile") < 600 * MIB


def test_row_29_many_at_once(fleet):
    worker = hungry(fleet, "--memory-limit", "600M")
    client = stub(worker)
    for _ in range(3):
        calls = [take(client, 150) for _ in range(32)]
        codes = {call.code() for call in calls}
        assert codes <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert grpc.StatusCode.OK in codes
        assert all(taken(call) == 150 for call in calls if call.code() == grpc.StatusCode.OK)
    assert used(worker, "VmHWM") - used(worker, "RssFile") < 640 * MIB
    assert taken(take(client, 1)) == 1
    assert 'memory_refused_total{' in metrics(worker)


def test_row_29_a_request_whose_bytes_do_not_fit(fleet):
    publish(fleet, "same", Same(), (("x", "TYPE_FP32", [-1, -1]),))
    base = used(serve(fleet, "same"))
    worker = serve(fleet, "same", "--memory-limit", str(base + 40 * MIB))
    client = stub(worker)

    def send(mib):
        request = pb.ModelInferRequest(
            model_name="same", raw_input_contents=[bytes(mib * MIB)],
            inputs=[Input(name="x", datatype="FP32", shape=[mib, 1 << 18])])
        return client.ModelInfer.future(request, timeout=60 * lib.SLOW)
    assert send(1).code() == grpc.StatusCode.OK
    assert send(60).code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert send(1).code() == grpc.StatusCode.OK


def test_a_model_over_the_limit_does_not_start(fleet):
    publish(fleet, "weighty", Weighty(1), (("x", "TYPE_FP32", [4]),), max_batch=8)
    with pytest.raises(RuntimeError) as error:
        serve(fleet, "weighty", "--memory-limit", "1M")
    assert "memory does not suffice for this model" in str(error.value)


def test_a_wrong_limit_is_a_wrong_command_line(fleet):
    publish(fleet, "weighty", Weighty(1), (("x", "TYPE_FP32", [4]),), max_batch=8)
    with pytest.raises(RuntimeError) as error:
        serve(fleet, "weighty", "--memory-limit", "much")
    assert "--memory-limit" in str(error.value)


def test_memory_is_flat_over_calls_and_reloads(fleet):
    publish(fleet, "weighty", Weighty(1), (("x", "TYPE_FP32", [4]),), max_batch=8)
    worker = serve(fleet, "weighty")
    client = stub(worker)

    def reload(count):
        for i in range(count):
            publish(fleet, "weighty", Weighty(i), ())
            client.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="weighty"),
                                       timeout=60 * lib.SLOW)
            call(worker, 100)
    call(worker, 10_000)
    reload(10)
    before = used(worker)
    call(worker, 100_000)
    after_calls = used(worker)
    reload(50)
    after_reloads = used(worker)
    figures = [round(figure / MIB, 1) for figure in (before, after_calls, after_reloads)]
    print("MiB before, after calls, after reloads:", figures)
    bound = before * 1.05 + 8 * MIB
    assert after_calls < bound and after_reloads < bound, figures


def call(worker, count):
    done = subprocess.run(
        [f"{lib.BIN}/torchfleet", "load", "weighty", "--gateway", worker.address, "-o", "json",
         "--calls", str(count), "--warm-up", "0s"],
        capture_output=True, text=True, check=False, timeout=300 * lib.SLOW)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def metrics(process):
    import urllib.request
    with urllib.request.urlopen(f"http://{process.operator_address}/metrics", timeout=10) as page:
        return page.read().decode()
