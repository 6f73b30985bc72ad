"""Clients as people have them, unchanged, against gateway and worker."""
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tritonclient.grpc as triton

import fleet as lib

EXAMPLES = os.path.join(lib.ROOT, "examples")
NODE_MODULES = os.environ.get("TORCHFLEET_NODE_MODULES",
                              os.path.join(lib.ROOT, "build", "node", "node_modules"))
ROW = [0.5, -1.0, 2.25, 0.0]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with lib.Fleet(tmp_path_factory.mktemp("clients")) as fleet:
        fleet.add_model("row", inputs=(("x", "TYPE_FP32", [4]),))
        fleet.add_model("echo")
        yield fleet.start_all("row", "echo")[1]


@pytest.fixture
def row_file(tmp_path):
    path = tmp_path / "row.json"
    path.write_text(json.dumps(ROW))
    return str(path)


def run(*command, **env):
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=60 * lib.SLOW, check=True,
                          env={**os.environ, **env})
    return json.loads(done.stdout)


def test_python_example(gateway, row_file):
    assert run(sys.executable, f"{EXAMPLES}/python/infer.py", gateway.address, "row", "x", row_file,
               PYTHONPATH=lib.STUBS) == ROW


def test_node_example(gateway, row_file):
    assert run("node", f"{EXAMPLES}/node/infer.js", f"{lib.ROOT}/proto", gateway.address, "row",
               "x", row_file, NODE_PATH=NODE_MODULES) == ROW


def test_cpp_example(gateway, row_file):
    assert run(f"{lib.BIN}/example-infer", gateway.address, "row", "x", row_file) == ROW


def tensors(rows=2):
    x = triton.InferInput("x", [rows, 4], "FP32")
    x.set_data_from_numpy(np.arange(rows * 4, dtype=np.float32).reshape(rows, 4))
    mark = triton.InferInput("id", [rows, 1], "BYTES")
    mark.set_data_from_numpy(np.array([[b"one"], [b""]], dtype=np.object_))
    return [x, mark]


def test_tritonclient_health_metadata_config(gateway):
    client = triton.InferenceServerClient(gateway.address)
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("echo") and client.is_model_ready("echo", "1")
    assert not client.is_model_ready("nobody")
    assert client.get_server_metadata().name == "torchfleet"
    metadata = client.get_model_metadata("echo", as_json=True)
    assert metadata["versions"] == ["1"]
    assert [i["datatype"] for i in metadata["inputs"]] == ["FP32", "BYTES"]
    assert client.get_model_config("echo").config.max_batch_size == 8
    assert [m.name for m in client.get_model_repository_index().models] == ["echo", "row"]


def test_tritonclient_infer(gateway):
    client = triton.InferenceServerClient(gateway.address)
    result = client.infer("echo", tensors(), request_id="a mark",
                          outputs=[triton.InferRequestedOutput("id_out"),
                                   triton.InferRequestedOutput("x_out")])
    response = result.get_response()
    assert response.id == "a mark"
    assert [o.name for o in response.outputs] == ["id_out", "x_out"]
    assert result.as_numpy("x_out").tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert result.as_numpy("id_out").tolist() == [[b"one"], [b""]]
    assert client.get_inference_statistics("echo").model_stats[0].inference_count >= 2


def test_tritonclient_async_infer(gateway):
    client = triton.InferenceServerClient(gateway.address)
    answers = lib.queue.Queue()
    for i in range(20):
        client.async_infer("echo", tensors(), request_id=str(i),
                           callback=lambda result, error: answers.put((result, error)))
    ids = set()
    for _ in range(20):
        result, error = answers.get(timeout=30 * lib.SLOW)
        assert error is None
        ids.add(result.get_response().id)
    assert ids == {str(i) for i in range(20)}


def test_tritonclient_reads_our_errors(gateway):
    client = triton.InferenceServerClient(gateway.address)
    with pytest.raises(triton.InferenceServerException) as error:
        client.infer("echo", tensors()[:1])
    assert error.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert "'id' is missing" in error.value.message()
