"""HTTP clients as people have them, unchanged, against the gateway's port."""
import asyncio
import json
import subprocess

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio

import fleet as lib


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with lib.Fleet(tmp_path_factory.mktemp("rest")) as fleet:
        fleet.add_model("row", inputs=(("x", "TYPE_FP32", [4]),))
        fleet.add_model("echo")
        fleet.add_model("long", inputs=(("x", "TYPE_INT64", [3]),))
        fleet.add_model("image", inputs=(("x", "TYPE_UINT8", [1 << 20]),))
        yield fleet.start_all("row", "echo", "long", "image")[1]


@pytest.fixture(scope="module")
def client(gateway):
    with triton.InferenceServerClient(gateway.address, concurrency=8) as made:
        yield made


def tensors(binary, rows=2):
    x = triton.InferInput("x", [rows, 4], "FP32")
    x.set_data_from_numpy(np.arange(rows * 4, dtype=np.float32).reshape(rows, 4),
                          binary_data=binary)
    mark = triton.InferInput("id", [rows, 1], "BYTES")
    mark.set_data_from_numpy(np.array([[b"one"], [b""]], dtype=np.object_), binary_data=binary)
    return [x, mark]


def test_health_metadata_config(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("echo") and client.is_model_ready("echo", "1")
    assert not client.is_model_ready("nobody")
    assert client.get_server_metadata()["name"] == "torchfleet"
    metadata = client.get_model_metadata("echo")
    assert metadata["versions"] == ["1"]
    assert [i["datatype"] for i in metadata["inputs"]] == ["FP32", "BYTES"]
    assert client.get_model_config("echo")["max_batch_size"] == 8
    assert {m["name"] for m in client.get_model_repository_index()} >= {"echo", "row"}


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_infer(client, binary_in, binary_out):
    outputs = [triton.InferRequestedOutput("id_out", binary_data=binary_out),
               triton.InferRequestedOutput("x_out", binary_data=binary_out)]
    result = client.infer("echo", tensors(binary_in), outputs=outputs, request_id="a mark")
    response = result.get_response()
    assert response["id"] == "a mark"
    assert [o["name"] for o in response["outputs"]] == ["id_out", "x_out"]
    assert result.as_numpy("x_out").tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    names = [n if isinstance(n, bytes) else n.encode() for n in result.as_numpy("id_out").ravel()]
    assert names == [b"one", b""]
    assert client.get_inference_statistics("echo")["model_stats"][0]["inference_count"] >= 2


def test_async_infer(client):
    pending = [client.async_infer("echo", tensors(True), request_id=str(i)) for i in range(20)]
    assert [p.get_result().get_response()["id"] for p in pending] == [str(i) for i in range(20)]


def test_aio(gateway):
    async def calls():
        async with triton_aio.InferenceServerClient(gateway.address) as made:
            assert await made.is_server_ready()
            results = await asyncio.gather(
                *(made.infer("echo", tensors(i % 2 == 0), request_id=str(i)) for i in range(20)))
            return [r.get_response()["id"] for r in results]
    assert asyncio.run(calls()) == [str(i) for i in range(20)]


def test_large_tensor(client):
    image = np.random.default_rng(1).integers(0, 256, (2, 1 << 20), dtype=np.uint8)
    x = triton.InferInput("x", list(image.shape), "UINT8")
    x.set_data_from_numpy(image)
    result = client.infer("image", [x], outputs=[triton.InferRequestedOutput("x_out")])
    assert np.array_equal(result.as_numpy("x_out"), image)


def test_errors(client):
    with pytest.raises(triton.InferenceServerException, match="'id' is missing"):
        client.infer("echo", tensors(True)[:1])
    with pytest.raises(triton.InferenceServerException, match="there is no model 'nobody'"):
        client.infer("nobody", tensors(True))
    with pytest.raises(triton.InferenceServerException, match="compressed"):
        client.infer("echo", tensors(True), request_compression_algorithm="gzip")


def curl(gateway, path, *arguments, body=None):
    """The status and the body."""
    done = subprocess.run(["curl", "-sS", "-w", "\n%{http_code}", *arguments,
                           *(["--data-binary", "@-"] if body is not None else []),
                           f"http://{gateway.address}{path}"],
                          input=body, stdout=subprocess.PIPE, timeout=60 * lib.SLOW, check=True)
    text, code = done.stdout.rsplit(b"\n", 1)
    return int(code), text


ROW = [0.5, -1.0, 2.25, 0.0]


@pytest.mark.parametrize("how", [["--http1.1"], ["--http1.0"], ["--http2-prior-knowledge"],
                                 ["--http1.1", "-H", "Transfer-Encoding: chunked"],
                                 ["--http1.1", "-H", "Expect: 100-continue"]])
def test_curl(gateway, how):
    body = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": ROW}]}
    code, text = curl(gateway, "/v2/models/row/infer", *how, body=json.dumps(body).encode())
    assert code == 200
    assert json.loads(text)["outputs"][0]["data"] == ROW


def test_tensorflow_servings_and_the_plainest_call(gateway):
    for path, body, answer in [
            ("/v1/models/row:predict", {"instances": [ROW, ROW]}, {"predictions": [ROW, ROW]}),
            ("/v1/models/row/versions/1:predict", {"inputs": [ROW]}, {"outputs": [ROW]}),
            ("/models/row/predict", {"x": ROW}, {"y": ROW}),
            ("/models/row/predict", {"x": [ROW]}, {"y": [ROW]})]:
        code, text = curl(gateway, path, body=json.dumps(body).encode())
        assert (code, json.loads(text)) == (200, answer)
    code, text = curl(gateway, "/predict", body=b'{"x":[1]}')
    assert code == 400 and b"/models/{name}/predict" in text


def test_numbers_survive(gateway):
    numbers = [2**63 - 1, -2**63, 9007199254740993]
    body = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "INT64", "data": numbers}]}
    code, text = curl(gateway, "/v2/models/long/infer", body=json.dumps(body).encode())
    assert (code, json.loads(text)["outputs"][0]["data"]) == (200, numbers)
    for wrong in (b"NaN", b"1e999", b"9223372036854775808", b"1.5"):
        text = json.dumps(body).encode().replace(b"9007199254740993", wrong)
        assert curl(gateway, "/v2/models/long/infer", body=text)[0] == 400


def test_head_and_verbs(gateway):
    code, text = curl(gateway, "/v2", "--http1.1", "-I")
    assert code == 200 and b"content-length: " in text
    assert curl(gateway, "/v2/health/live", "-X", "DELETE")[0] == 405
    assert curl(gateway, "/nowhere")[0] == 404


def test_identifiers(gateway):
    _, text = curl(gateway, "/v2/health/live", "-i", "-H", "X-Request-Id: mine")
    assert b"x-request-id: mine\r\n" in text
