"""A repository of PyTorch models as people have them for Triton, served unchanged
and called with Triton's own client."""
import os
import queue

import pytest
import torch
import tritonclient.grpc as triton

import fleet as lib
from torch_calls import (batch_sizes, failure, metric, outputs, ask, refusal, request, start_worker,
                         statistics)
from torch_models import CASES, Case, F, Forks, Several, Spins
from up import Up

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

EVERYTHING = """
name: "%(name)s"
platform: "pytorch_libtorch"
max_batch_size: 8
default_model_filename: "net.pt"
version_policy: { latest: { num_versions: 1 } }
input [
  {
    name: "INPUT__0"
    data_type: TYPE_FP32
    format: FORMAT_NONE
    dims: [ 20 ]
  }
]
output [
  {
    name: "OUTPUT__0"
    data_type: TYPE_FP32
    dims: [ 5 ]
    label_filename: "labels.txt"
  }
]
instance_group [
  {
    count: 2
    kind: KIND_CPU
    host_policy: "policy_0"
  },
  { name: "another" count: 1 kind: KIND_AUTO }
]
dynamic_batching {
  preferred_batch_size: [ 4, 8 ]
  max_queue_delay_microseconds: 60000000
  preserve_ordering: %(in_order)s
  priority_levels: 3
  default_priority_level: 2
  default_queue_policy { allow_timeout_override: true max_queue_size: 500 }
}
optimization {
  execution_accelerators { gpu_execution_accelerator: [ { name: "tensorrt" } ] }
  input_pinned_memory { enable: true }
  priority: PRIORITY_MAX
}
model_warmup [
  { name: "zeros" batch_size: 4 inputs { key: "INPUT__0"
      value { data_type: TYPE_FP32 dims: [ 20 ] zero_data: true } } },
  { name: "random" batch_size: 8 count: 3 inputs { key: "INPUT__0"
      value { data_type: TYPE_FP32 dims: 20 random_data: true } } },
  { name: "recorded" batch_size: 1 inputs { key: "INPUT__0"
      value { data_type: TYPE_FP32 dims: 20 input_data_file: "recorded.bin" } } }
]
parameters: { key: "INFERENCE_MODE" value: { string_value: "True" } }
parameters: { key: "DISABLE_OPTIMIZED_EXECUTION" value: { string_value: "1" } }
parameters: { key: "INTRA_OP_THREAD_COUNT" value: { string_value: "1" } }
parameters: { key: "INTER_OP_THREAD_COUNT" value: { string_value: "1" } }
parameters: { key: "ENABLE_TENSOR_FUSER" value: { string_value: "false" } }
parameters: { key: "ENABLE_NVFUSER" value: { string_value: "false" } }
response_cache { enable: false }
"""


def write_everything(repository, name="everything", in_order="false"):
    case = CASES["mlp"]
    case.write(repository, name, max_batch=8)
    folder = os.path.join(repository, name)
    os.rename(os.path.join(folder, "1", "model.pt"), os.path.join(folder, "1", "net.pt"))
    os.makedirs(os.path.join(folder, "warmup"))
    with open(os.path.join(folder, "warmup", "recorded.bin"), "wb") as file:
        file.write(torch.randn(20).numpy().tobytes())
    with open(os.path.join(folder, "labels.txt"), "w", encoding="utf-8") as file:
        file.write("a\nb\nc\nd\ne\n")
    replace_config(repository, name, EVERYTHING % {"name": name, "in_order": in_order})
    return case


def replace_config(repository, name, text):
    with open(os.path.join(repository, name, "config.pbtxt"), "w", encoding="utf-8") as file:
        file.write(text)


def write_versions(repository):
    """Three versions that tell themselves apart; the policy serves the outer two."""
    class Numbered(torch.nn.Module):
        def __init__(self, number: int):
            super().__init__()
            self.number = number

        def forward(self, x):
            return x + self.number

    for version in (1, 2, 3):
        folder = os.path.join(repository, "versions", str(version))
        os.makedirs(folder)
        torch.jit.script(Numbered(version)).save(os.path.join(folder, "model.pt"))
    replace_config(repository, "versions", """
backend: "pytorch"
input { name: "INPUT__0" data_type: TYPE_FP32 dims: [ -1 ] }
output { name: "OUTPUT__0" data_type: TYPE_FP32 dims: [ -1 ] }
version_policy { specific { versions: [ 1, 3 ] } }
""")


def infer(client, model, name, rows, **arguments):
    tensor = triton.InferInput(name, list(rows.shape), "FP32")
    tensor.set_data_from_numpy(rows.numpy())
    return client.infer(model, [tensor], **arguments)


def test_a_repository_under_torchfleet_up(tmp_path):
    repository = str(tmp_path / "models")
    case = write_everything(repository)
    write_versions(repository)
    CASES["mlp"].write(repository, "gpu", "instance_group [ { count: 1 kind: KIND_GPU } ]",
                       save=False)
    up = Up(tmp_path, repository, worker="torchfleet-worker")
    try:
        served = [(p["model"], p["version"], p["state"]) for p in up.processes()
                  if p["role"] == "worker"]
        assert served == [("everything", "1", "READY"), ("versions", "1", "READY"),
                          ("versions", "3", "READY")]
        up.log.seek(0)
        assert ("instance_group asks for a GPU; this server runs models on the CPU: use KIND_CPU"
                in up.log.read())
        client = triton.InferenceServerClient(up.of("gateway")["address"])
        for rows, arguments in ((4, {}), (8, {"priority": 1}), (4, {"priority": 3, "timeout": 9**9}),
                                (8, {"request_id": "mine", "client_timeout": 60})):
            inputs = case.ask(rows)
            answer = infer(client, "everything", "INPUT__0", inputs["INPUT__0"], **arguments)
            case.check(case.expected(inputs),
                       {"OUTPUT__0": torch.from_numpy(answer.as_numpy("OUTPUT__0").copy())})
            assert answer.get_response().id == arguments.get("request_id", "")
        for version, expected in (("1", 1), ("3", 3), ("", 3)):
            answer = infer(client, "versions", "INPUT__0", torch.zeros(2), model_version=version)
            assert answer.as_numpy("OUTPUT__0").tolist() == [expected] * 2
        with pytest.raises(triton.InferenceServerException) as error:
            infer(client, "versions", "INPUT__0", torch.zeros(2), model_version="2")
        assert error.value.status() == "StatusCode.NOT_FOUND"
        config = client.get_model_config("everything", as_json=True)["config"]
        assert config["dynamic_batching"]["preferred_batch_size"] == [4, 8]
        assert config["default_model_filename"] == "net.pt"
        assert up.end() == 0
    finally:
        up.close()


def test_what_is_not_known_is_named_and_warm_ups_run(fleet):
    write_everything(fleet.repository)
    worker = start_worker(fleet, "everything")
    said = worker.output()
    for field in ("host_policy", "execution_accelerators", "input_pinned_memory", "priority"):
        assert any("is skipped" in line and f'{field}\\".' in line for line in said.splitlines()), said
    for parameter in ("ENABLE_TENSOR_FUSER", "ENABLE_NVFUSER"):
        assert any("is not heeded" in line and parameter in line for line in said.splitlines())
    assert "INFERENCE_MODE" not in said
    for warm_up, runs in (("zeros", 1), ("random", 3), ("recorded", 1)):
        assert any(f"request={warm_up}" in line and f"runs={runs}" in line
                   for line in said.splitlines()), said
    counted = statistics(worker, "everything")
    assert (counted.inference_count, counted.execution_count) == (0, 0)


@pytest.mark.parametrize("in_order", ["false", "true"])
def test_batches_of_the_preferred_sizes(fleet, in_order):
    case = write_everything(fleet.repository, in_order=in_order)
    worker = start_worker(fleet, "everything")
    client = triton.InferenceServerClient(worker.address)
    answers = queue.Queue()
    asked = [case.ask(1) for _ in range(80)]
    for i, inputs in enumerate(asked):
        tensor = triton.InferInput("INPUT__0", [1, 20], "FP32")
        tensor.set_data_from_numpy(inputs["INPUT__0"].numpy())
        client.async_infer("everything", [tensor], request_id=str(i),
                           callback=lambda result, error: answers.put((result, error)))
    for _ in asked:
        result, error = answers.get(timeout=60 * lib.SLOW)
        assert error is None, error
        case.check(case.expected(asked[int(result.get_response().id)]),
                   {"OUTPUT__0": torch.from_numpy(result.as_numpy("OUTPUT__0").copy())})
    sizes = batch_sizes(worker, "everything")
    assert set(sizes) <= {4, 8} and sum(size * count for size, count in sizes.items()) == 80


QUEUES = """
instance_group { count: 1 }
dynamic_batching {
  priority_levels: 2
  default_priority_level: 2
  default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 600000000
                         allow_timeout_override: true max_queue_size: 3 }
  priority_queue_policy { key: 1 value { timeout_action: DELAY default_timeout_microseconds: 1000 } }
}
"""


def test_priorities_timeouts_and_queue_sizes(fleet):
    # One row a batch: whoever is served is served alone.
    case = Case(Spins, [("x", F, [1])], [("y", F, [1])], lambda n: {"x": torch.ones(n, 1)})
    case.write(fleet.repository, "spins", QUEUES, max_batch=1)
    worker = start_worker(fleet, "spins")
    client = triton.InferenceServerClient(worker.address)
    ended = queue.Queue()

    def send(mark, rounds=1., **arguments):
        tensor = triton.InferInput("x", [1, 1], "FP32")
        tensor.set_data_from_numpy(torch.full((1, 1), rounds).numpy())
        client.async_infer("spins", [tensor], request_id=mark, **arguments,
                           callback=lambda result, error: ended.put((mark, error and error.status())))

    def wait(name, value):
        lib.eventually(lambda: metric(worker, f"torchfleet_worker_{name}") == value)

    send("slow", 4000., priority=1)
    wait("running", 1)
    for mark in ("low 1", "low 2", "low 3"):
        send(mark, priority=2)
    wait("queue_depth", 3)
    send("one too many", priority=2)
    assert ended.get(timeout=60 * lib.SLOW) == ("one too many", "StatusCode.UNAVAILABLE")
    for mark in ("high 1", "high 2"):
        send(mark, priority=1)
    wait("queue_depth", 5)
    order = [ended.get(timeout=120 * lib.SLOW)[0] for _ in range(6)]
    assert order[0] == "slow" and {*order[1:3]} == {"high 1", "high 2"}
    assert {*order[3:]} == {"low 1", "low 2", "low 3"}

    send("slow", 4000., priority=1)
    wait("running", 1)
    send("too late", timeout=1000)  # of the default priority: who may wait less than the rest
    assert ended.get(timeout=60 * lib.SLOW) == ("too late", "StatusCode.DEADLINE_EXCEEDED")
    assert ended.get(timeout=120 * lib.SLOW) == ("slow", None)
    code, text = failure(worker, request("spins", {"x": torch.ones(1, 1)}, priority=3))
    assert code == lib.grpc.StatusCode.INVALID_ARGUMENT and "'priority' is 3" in text


def test_some_of_a_models_outputs_by_their_numbers(fleet):
    case = Case(Several, CASES["several"].inputs, CASES["several"].outputs, CASES["several"].make)
    full = case.outputs
    case.outputs = [full[3], full[1]]
    case.write(fleet.repository, "several")
    worker = start_worker(fleet, "several")
    inputs = case.ask(3)
    got = outputs(ask(worker, request("several", inputs)))
    case.outputs = full
    expected = case.expected(inputs)
    assert set(got) == {"OUTPUT__1", "OUTPUT__3"}
    assert all(torch.equal(value, expected[name]) for name, value in got.items())


@pytest.mark.parametrize("threads", [2, 5])
def test_as_many_threads_for_what_a_model_forks_as_configured(fleet, threads):
    case = Case(Forks, [("x", F, [4])], [("y", F, [4])], lambda n: {"x": torch.randn(n, 4)})
    case.write(fleet.repository, "forks", "parameters { key: \"INTER_OP_THREAD_COUNT\" "
               f'value {{ string_value: "{threads}" }} }}')
    worker = start_worker(fleet, "forks")

    def ask_once():
        inputs = case.ask(2)
        case.check(case.expected(inputs), outputs(ask(worker, request("forks", inputs))))
        return len(os.listdir(f"/proc/{worker.popen.pid}/task"))

    before = len(os.listdir(f"/proc/{worker.popen.pid}/task"))
    assert ask_once() - before == threads
    assert ask_once() - before == threads


NO_STRINGS = "other than the 2 BYTES elements"


@pytest.mark.parametrize("data, says", [
    (b"", NO_STRINGS), (b"\x02\0\0\0a", NO_STRINGS), (b"\x01\0\0\0a\x01\0\0\0bc", NO_STRINGS),
    (None, "the file warmup/texts.bin cannot be read")])
def test_a_recorded_request_that_is_none_ends_the_start(fleet, data, says):
    CASES["words"].write(fleet.repository, "words", 'model_warmup { name: "recorded" batch_size: 2 '
                         'inputs { key: "text" value { data_type: TYPE_STRING dims: 1 '
                         'input_data_file: "texts.bin" } } }')
    folder = os.path.join(fleet.repository, "words", "warmup")
    os.makedirs(folder)
    if data is not None:
        with open(os.path.join(folder, "texts.bin"), "wb") as file:
            file.write(data)
    said = refusal(fleet, "words")
    assert "model_warmup 'recorded'" in said and says in said


def test_a_gpu_is_refused_in_words(fleet):
    CASES["mlp"].write(fleet.repository, "gpu", "instance_group [ { kind: KIND_GPU gpus: [ 0 ] } ]",
                       save=False)
    assert "instance_group asks for a GPU; this server runs models on the CPU: use KIND_CPU" in (
        refusal(fleet, "gpu", "torchfleet-fake-worker"))
