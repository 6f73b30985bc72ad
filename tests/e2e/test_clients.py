"""Clients as people have them, unchanged, against gateway and worker."""
import asyncio
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
def servers(tmp_path_factory):
    with lib.Fleet(tmp_path_factory.mktemp("clients")) as fleet:
        fleet.add_model("row", inputs=(("x", "TYPE_FP32", [4]),))
        fleet.add_model("echo")
        _, gateway, (row, echo) = fleet.start_all("row", "echo")
        yield {"gateway": gateway, "row": row, "echo": echo}


@pytest.fixture
def gateway(servers):
    return servers["gateway"]


@pytest.fixture(params=["gateway", "row"])
def row(request, servers):
    """Whoever answers for the model `row`: the gateway, or its worker itself."""
    return servers[request.param]


@pytest.fixture(params=["gateway", "echo"])
def echo(request, servers):
    return servers[request.param]


@pytest.fixture
def row_file(tmp_path):
    path = tmp_path / "row.json"
    path.write_text(json.dumps(ROW))
    return str(path)


def run(*command, **env):
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=60 * lib.SLOW, check=True,
                          env={**os.environ, **env})
    return json.loads(done.stdout)


def test_python_example(row, row_file):
    assert run(sys.executable, f"{EXAMPLES}/python/infer.py", row.address, "row", "x", row_file,
               PYTHONPATH=lib.STUBS) == ROW


def test_node_example(row, row_file):
    assert run("node", f"{EXAMPLES}/node/infer.js", f"{lib.ROOT}/proto", row.address, "row",
               "x", row_file, NODE_PATH=NODE_MODULES) == ROW


def test_node_stream(row, row_file):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node", "stream.js")
    assert run("node", script, f"{lib.ROOT}/proto", row.address, "row", "x", row_file,
               NODE_PATH=NODE_MODULES) == {"1": ROW, "2": ROW, "wrong": "error", "3": ROW}


def test_cpp_example(row, row_file):
    assert run(f"{lib.BIN}/example-infer", row.address, "row", "x", row_file) == ROW


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


def test_tritonclient_infer(echo):
    client = triton.InferenceServerClient(echo.address)
    result = client.infer("echo", tensors(), request_id="a mark",
                          outputs=[triton.InferRequestedOutput("id_out"),
                                   triton.InferRequestedOutput("x_out")])
    response = result.get_response()
    assert response.id == "a mark"
    assert [o.name for o in response.outputs] == ["id_out", "x_out"]
    assert result.as_numpy("x_out").tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert result.as_numpy("id_out").tolist() == [[b"one"], [b""]]
    assert client.get_inference_statistics("echo").model_stats[0].inference_count >= 2


def test_tritonclient_async_infer(echo):
    client = triton.InferenceServerClient(echo.address)
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


def test_tritonclient_reads_our_errors(echo):
    client = triton.InferenceServerClient(echo.address)
    with pytest.raises(triton.InferenceServerException) as error:
        client.infer("echo", tensors()[:1])
    assert error.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert "'id' is missing" in error.value.message()


class Stream:
    """A tritonclient stream whose answers wait to be read."""

    def __init__(self, server, **arguments):
        self.client = triton.InferenceServerClient(server.address)
        self.answers = lib.queue.Queue()
        self.client.start_stream(
            callback=lambda result, error: self.answers.put((result, error)), **arguments)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def send(self, mark, model="echo", inputs=None, **arguments):
        self.client.async_stream_infer(model, inputs or tensors(), request_id=mark, **arguments)

    def read(self):
        return self.answers.get(timeout=30 * lib.SLOW)


def test_tritonclient_stream(echo):
    with Stream(echo) as stream:
        for i in range(100):
            stream.send(str(i))
        ids = set()
        for _ in range(100):
            result, error = stream.read()
            assert error is None
            assert result.as_numpy("id_out").tolist() == [[b"one"], [b""]]
            ids.add(result.get_response().id)
        assert ids == {str(i) for i in range(100)}
        stream.client.stop_stream()


def test_tritonclient_stream_goes_on_behind_an_error(echo):
    with Stream(echo) as stream:
        stream.send("wrong", inputs=tensors()[:1])
        result, error = stream.read()
        assert result is None and "'id' is missing" in error.message()
        stream.send("well")
        result, error = stream.read()
        assert error is None and result.get_response().id == "well"


def test_tritonclient_stream_ends_with_the_status_that_is_asked_for(echo):
    with Stream(echo, headers={"triton_grpc_error": "true"}) as stream:
        stream.send("wrong", model="nobody")
        result, error = stream.read()
        assert result is None and error.status() == "StatusCode.NOT_FOUND"


def test_tritonclient_stream_tells_the_final_response(echo):
    with Stream(echo) as stream:
        stream.send("asks", enable_empty_final_response=True)
        result, error = stream.read()
        assert error is None
        assert result.get_response().parameters["triton_final_response"].bool_param
        assert result.as_numpy("x_out").shape == (2, 4)
        stream.send("asks not")
        result, error = stream.read()
        assert error is None and "triton_final_response" not in result.get_response().parameters


@pytest.mark.parametrize("kind", ["unary", "stream"])
def test_tritonclient_asyncio(echo, kind):
    import tritonclient.grpc.aio as aio

    async def unary(client):
        results = await asyncio.gather(*(client.infer("echo", tensors(), request_id=str(i))
                                         for i in range(20)))
        return {result.get_response().id for result in results}

    async def stream(client):
        async def requests():
            for i in range(20):
                yield {"model_name": "echo", "inputs": tensors(), "request_id": str(i)}
        ids = set()
        async for result, error in client.stream_infer(requests()):
            assert error is None
            ids.add(result.get_response().id)
        return ids

    async def call():
        async with aio.InferenceServerClient(echo.address) as client:
            return await (unary if kind == "unary" else stream)(client)

    assert asyncio.run(asyncio.wait_for(call(), 60 * lib.SLOW)) == {str(i) for i in range(20)}
