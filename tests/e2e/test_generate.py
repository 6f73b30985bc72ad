"""Texts from models that write them: generate and generate_stream, by HTTP clients as
people have them."""
import http.client
import json
import subprocess
import urllib.request

import pytest

import fleet as lib

TEXT = ("text_input", "TYPE_STRING", [1])
ANSWER = ("text_output", "TYPE_STRING", [1])


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with lib.Fleet(tmp_path_factory.mktemp("generate")) as fleet:
        fleet.add_model("echo", inputs=[TEXT], outputs=[ANSWER])
        fleet.add_model("bare", inputs=[("text_input", "TYPE_STRING", [-1])],
                        outputs=[("text_output", "TYPE_STRING", [-1])], max_batch=0)
        # The outputs are the inputs of the same place.
        fleet.add_model(
            "told",
            inputs=[TEXT, ("stop", "TYPE_STRING", [-1]), ("temperature", "TYPE_FP32", [1]),
                    ("max_tokens", "TYPE_INT32", [1])],
            outputs=[ANSWER, ("finish_reason", "TYPE_STRING", [-1]),
                     ("logprobs", "TYPE_FP32", [1]), ("token_id", "TYPE_INT32", [1])])
        fleet.add_model("row", inputs=(("x", "TYPE_FP32", [4]),))
        fleet.add_model("throws", inputs=[TEXT], outputs=[ANSWER], fake="throw")
        yield fleet.start_all("echo", "bare", "told", "row", "throws")[1]


class Call:
    """One POST; its answer is read as it comes."""

    def __init__(self, gateway, path, body, **headers):
        self.connection = http.client.HTTPConnection(gateway.address, timeout=60 * lib.SLOW)
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request("POST", f"/v2/models/{path}", text, headers)
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.headers = self.response.headers

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def json(self):
        return json.loads(self.response.read())

    def events(self):
        """The data of each event, one by one."""
        while line := self.response.readline():
            assert line.startswith(b"data: ") and line.endswith(b"\n"), line
            assert self.response.readline() == b"\n"
            yield json.loads(line[6:])


@pytest.mark.parametrize("model", ["echo", "bare", "echo/versions/1"])
def test_generate(gateway, model):
    text = "Say \"hello\"\n\U0001f600"
    with Call(gateway, f"{model}/generate", {"id": "7", "text_input": text},
              **{"X-Request-Id": "mine", "Origin": "http://localhost:1"}) as call:
        assert call.status == 200
        assert call.headers["content-type"] == "application/json"
        assert call.headers["x-request-id"] == "mine"
        assert call.headers["access-control-allow-origin"] == "http://localhost:1"
        assert call.json() == {"id": "7", "model_name": model.split("/")[0], "model_version": "1",
                               "text_output": text}


@pytest.mark.parametrize("model", ["echo", "bare", "echo/versions/1"])
def test_generate_stream(gateway, model):
    text = "Say \"hello\"\n\n\U0001f600"
    with Call(gateway, f"{model}/generate_stream", {"id": "7", "text_input": text},
              **{"X-Request-Id": "mine", "Origin": "http://localhost:1"}) as call:
        assert call.status == 200
        assert call.headers["content-type"] == "text/event-stream"
        assert call.headers["x-request-id"] == "mine"
        assert call.headers["access-control-allow-origin"] == "http://localhost:1"
        assert list(call.events()) == [{"id": "7", "model_name": model.split("/")[0],
                                        "model_version": "1", "text_output": text}]


def test_parameters_and_details(gateway):
    body = {"text_input": "x",
            "parameters": {"stop": ["stop_sequence"], "temperature": -0.5, "max_tokens": 3,
                           "details": True, "mine": "travels"}}
    with Call(gateway, "told/generate", body) as call:
        answer = call.json()
        assert call.status == 200, answer
        assert answer["text_output"] == "x"
        assert answer["details"] == {"finish_reason": "stop_sequence", "logprobs": [-0.5]}
    with Call(gateway, "told/generate_stream", body) as call:
        (event,) = call.events()
        assert event["details"] == {"finish_reason": "stop_sequence", "token": {"id": 3}}
    del body["parameters"]["details"], body["parameters"]["max_tokens"]
    with Call(gateway, "told/generate", body) as call:
        assert "details" not in call.json()


@pytest.mark.parametrize("way", ["generate", "generate_stream"])
@pytest.mark.parametrize("path, body, code, says", [
    ("echo/{}", {}, 400, "the body has no 'text_input'"),
    ("echo/{}", b"{", 400, "a name in quotes"),
    ("echo/{}", {"text_input": 5}, 400, "expected a text as text_input"),
    ("echo/{}", {"text_input": "x", "parameters": {"max_tokens": "9"}}, 400, "a whole number"),
    ("told/{}", {"text_input": "x", "parameters": {"stop": []}}, 400,
     "'temperature' is missing"),
    ("row/{}", {"text_input": "x"}, 400, "model 'row' generates no text"),
    ("nobody/{}", {"text_input": "x"}, 404, "no model 'nobody'"),
    ("echo/versions/9/{}", {"text_input": "x"}, 404, "9"),
    ("throws/{}", {"text_input": "x"}, 500, ""),
])
def test_errors(gateway, way, path, body, code, says):
    with Call(gateway, path.format(way), body) as call:
        assert call.headers["content-type"] == "application/json"
        answer = call.json()
        assert (call.status, list(answer)) == (code, ["error"])
        assert says in answer["error"]


def test_not_ready(tmp_path):
    with lib.Fleet(tmp_path) as fleet:
        fleet.add_model("echo", inputs=[TEXT], outputs=[ANSWER])
        _, gateway, (worker,) = fleet.start_all("echo")
        worker.terminate()
        lib.eventually(lambda: not lib.stub(gateway).ModelReady(
            lib.pb.ModelReadyRequest(name="echo")).ready)
        for way in ("generate", "generate_stream"):
            with Call(gateway, f"echo/{way}", {"text_input": "x"}) as call:
                assert call.status == 503
                assert int(call.headers["retry-after"]) >= 1
                assert list(call.json()) == ["error"]


@pytest.mark.parametrize("how", ["--http1.0", "--http1.1", "--http2-prior-knowledge"])
def test_curl(gateway, how):
    done = subprocess.run(
        ["curl", "-sSN", how, f"http://{gateway.address}/v2/models/echo/generate_stream", "-d",
         '{"text_input": "Hi"}'], stdout=subprocess.PIPE, timeout=60 * lib.SLOW, check=True)
    assert done.stdout.startswith(b"data: {") and done.stdout.endswith(b"}\n\n")
    assert json.loads(done.stdout[6:])["text_output"] == "Hi"


def test_one_connection_takes_one_stream_after_the_other(gateway):
    connection = http.client.HTTPConnection(gateway.address, timeout=60 * lib.SLOW)
    for text in ("first", "second"):
        connection.request("POST", "/v2/models/echo/generate_stream",
                           json.dumps({"text_input": text}))
        response = connection.getresponse()
        assert json.loads(response.read()[6:])["text_output"] == text
    connection.close()


def test_before_a_fixed_worker(tmp_path):
    with lib.Fleet(tmp_path) as fleet:
        fleet.add_model("echo", inputs=[TEXT], outputs=[ANSWER])
        worker = fleet.start_worker("echo")
        gateway = fleet.start("torchfleet-gateway", "--listen", "127.0.0.1:0", "--worker",
                              worker.address)
        lib.wait_model_ready(gateway, "echo")
        with Call(gateway, "echo/generate", {"text_input": "x"}) as call:
            assert call.json()["text_output"] == "x"
        with Call(gateway, "echo/generate_stream", {"text_input": "x"}) as call:
            assert [event["text_output"] for event in call.events()] == ["x"]


def figure(worker, name):
    with urllib.request.urlopen(f"http://{worker.operator_address}/metrics", timeout=10) as page:
        for line in page.read().decode().splitlines():
            if line.startswith(f"torchfleet_worker_{name}{{"):
                return float(line.rsplit(" ", 1)[1])
    return None


def lines(log, way):
    """Of the access log, those of calls to generate or generate_stream."""
    with open(log, encoding="utf-8") as file:
        told = [json.loads(line) for line in file.read().splitlines(keepends=True)
                if line.endswith("\n")]
    return [line for line in told if line["method"].endswith(f"/{way}")]


@pytest.mark.parametrize("way", ["generate", "generate_stream"])
def test_who_leaves_cancels_and_is_in_the_log(tmp_path, way):
    log = tmp_path / "access.log"
    with lib.Fleet(tmp_path) as fleet:
        fleet.add_model("slow", inputs=[TEXT], outputs=[ANSWER], fake="delay", delay_ms=2000)
        registry = fleet.start_registry()
        worker = fleet.start_worker("slow", registry)
        gateway = fleet.start_gateway(registry, "--access-log", str(log))
        lib.wait_model_ready(gateway, "slow")
        # One runs; the other waits behind it, and leaves.
        running = http.client.HTTPConnection(gateway.address, timeout=60 * lib.SLOW)
        leaving = http.client.HTTPConnection(gateway.address, timeout=60 * lib.SLOW)
        running.request("POST", f"/v2/models/slow/{way}", '{"text_input": "stays"}')
        lib.eventually(lambda: figure(worker, "running") == 1)
        leaving.request("POST", f"/v2/models/slow/{way}", '{"text_input": "leaves"}')
        lib.eventually(lambda: figure(worker, "queue_depth") == 1)
        leaving.close()
        lib.eventually(lambda: figure(worker, "cancelled_total") == 1)
        assert running.getresponse().status == 200
        running.close()
        lib.eventually(lambda: len(lines(log, way)) == 2)
        left, stayed = lines(log, way)
        assert (left["http_status"], left["code"]) == (499, "CANCELLED")
        assert (stayed["http_status"], stayed["code"], stayed["model"]) == (200, "OK", "slow")
        assert stayed["attempts"] == 1 and stayed["version"] == "1"
