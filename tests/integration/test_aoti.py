"""AOTInductor packages on a real worker: PyTorch's own answers, alone and in
batches, and what is said of packages that cannot run here."""
import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import aoti_models
import fleet as lib
from fleet import pb

DYNAMIC = ("max_batch_size: {most} "
           'input {{ name: "x" data_type: TYPE_FP32 dims: {width} }} '
           'input {{ name: "y" data_type: TYPE_FP32 dims: 2 }} '
           'output {{ name: "scores" data_type: TYPE_FP32 dims: 3 }} '
           'output {{ name: "rest" data_type: TYPE_FP32 dims: 2 }} ')
FIXED = ('input { name: "x" data_type: TYPE_FP16 dims: [4, 4] } '
         'input { name: "y" data_type: TYPE_BF16 dims: [4, 4] } '
         # By name: in the other order than the model gives them.
         'output { name: "sum" data_type: TYPE_BF16 dims: [4, 4] } '
         'output { name: "doubled" data_type: TYPE_FP16 dims: [4, 4] } ')


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return aoti_models.make(tmp_path_factory.mktemp("aoti"))


@pytest.fixture(scope="module")
def golden(made):
    return np.load(os.path.join(made, "golden.npz"))


def add(fleet, package, config):
    """The package as version 1 of the model `compiled`."""
    folder = os.path.join(fleet.repository, "compiled", "1")
    os.makedirs(folder, exist_ok=True)
    if package:
        shutil.copy(package, os.path.join(folder, "model.pt2"))
    with open(os.path.join(fleet.repository, "compiled", "config.pbtxt"), "w",
              encoding="utf-8") as file:
        file.write(f'platform: "torch_aoti" {config}')
    return os.path.join(folder, "model.pt2")


def dynamic(most=8, width=4):
    return DYNAMIC.format(most=most, width=width)


def serve(fleet, tmp_path):
    """The worker, and the folder where it unpacks."""
    temporary = tmp_path / "unpacked"
    temporary.mkdir(exist_ok=True)
    return fleet.start("torchfleet-worker", "--repository", fleet.repository, "--model",
                       "compiled", "--listen", "127.0.0.1:0",
                       env={"TMPDIR": str(temporary)}), temporary


def refusal(fleet, tmp_path):
    temporary = tmp_path / "unpacked"
    temporary.mkdir(exist_ok=True)
    done = subprocess.run([os.path.join(lib.BIN, "torchfleet-worker"), "--repository",
                           fleet.repository, "--model", "compiled"], capture_output=True,
                          text=True, timeout=60 * lib.SLOW, check=False,
                          env={**os.environ, "TMPDIR": str(temporary)})
    assert done.returncode == 1, done.stderr
    assert os.listdir(temporary) == []
    said = [line for line in done.stderr.splitlines() if "ERROR" in line][-1]
    assert "compiled/1/model.pt2" in said
    return said


def ask(worker, **inputs):
    types = {np.float32: "FP32", np.float16: "FP16", np.uint16: "BF16"}
    answer = lib.stub(worker).ModelInfer(pb.ModelInferRequest(
        model_name="compiled", inputs=[pb.ModelInferRequest.InferInputTensor(
            name=name, datatype=types[value.dtype.type], shape=value.shape)
            for name, value in inputs.items()],
        raw_input_contents=[value.tobytes() for value in inputs.values()]),
        timeout=30 * lib.SLOW)
    back = {name: kind for kind, name in types.items()}
    return {output.name: np.frombuffer(raw, back[output.datatype]).reshape(output.shape)
            for output, raw in zip(answer.outputs, answer.raw_output_contents)}


def check_rows(worker, golden, first, last):
    answer = ask(worker, x=golden["x"][first:last], y=golden["y"][first:last])
    for name in ("scores", "rest"):
        np.testing.assert_allclose(answer[name], golden[name][first:last], atol=1e-5, rtol=1e-5)


def test_answers_are_pytorchs_alone_and_in_batches(fleet, made, golden, tmp_path):
    add(fleet, f"{made}/dynamic.pt2", dynamic() + "instance_group { count: 2 } "
        "dynamic_batching { max_queue_delay_microseconds: 20000 }")
    worker, _ = serve(fleet, tmp_path)
    for rows in range(1, 9):
        check_rows(worker, golden, 0, rows)
    with ThreadPoolExecutor(8) as callers:
        for one in [callers.submit(check_rows, worker, golden, i % 8, i % 8 + 1)
                    for i in range(200)]:
            one.result()
    statistics = lib.stub(worker).ModelStatistics(pb.ModelStatisticsRequest(name="compiled"))
    model = statistics.model_stats[0]
    assert model.inference_count == 200 + sum(range(1, 9))
    assert model.execution_count < 150  # batches were formed


def test_halves_and_names(fleet, made, golden, tmp_path):
    add(fleet, f"{made}/fixed.pt2", FIXED)
    worker, _ = serve(fleet, tmp_path)
    x = golden["x"][:4].astype(np.float16)
    y = (golden["y"].repeat(2, 1)[:4].copy().view(np.uint32) >> 16).astype(np.uint16)
    answer = ask(worker, x=x, y=y)
    np.testing.assert_array_equal(answer["doubled"], x * 2)
    as_float = lambda bits: (bits.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_allclose(as_float(answer["sum"]), as_float(y) + x.astype(np.float32),
                               atol=0.02)


def test_nothing_stays_in_the_temporary_folder(fleet, made, golden, tmp_path):
    add(fleet, f"{made}/dynamic.pt2", dynamic())
    worker, temporary = serve(fleet, tmp_path)
    assert os.listdir(temporary) == []
    check_rows(worker, golden, 0, 3)
    worker.kill()
    assert os.listdir(temporary) == []


@pytest.mark.parametrize("package, config, says", [
    ("dynamic", dynamic(most=9), ["'x' in a batch of 9", "<= 8", "max_batch_size"]),
    ("dynamic", dynamic(width=5), ["'x'", "expected: 4", "got: 5"]),
    ("dynamic", dynamic().replace("TYPE_FP32 dims: 2", "TYPE_FP64 dims: 2", 1), ["'y'", "dtype"]),
    ("dynamic", dynamic() + 'input { name: "z" data_type: TYPE_FP32 dims: 1 }',
     ["3 inputs", "takes 2"]),
    ("dynamic", dynamic() + 'output { name: "z" data_type: TYPE_FP32 dims: 1 }',
     ["3 outputs", "gives 2"]),
    ("dynamic", dynamic().replace("FP32 dims: 2", "STRING dims: 2", 1), ["'y' is TYPE_STRING"]),
    ("fixed", "max_batch_size: 8 " + FIXED.replace("[4, 4]", "4"),
     ["in a batch of 1", "expected: 4", "torch.export.Dim"]),
])
def test_a_configuration_that_does_not_fit_is_refused(fleet, made, tmp_path, package, config, says):
    add(fleet, f"{made}/{package}.pt2", config)
    said = refusal(fleet, tmp_path)
    for part in says:
        assert part in said


def metadata(**changes):
    def edit(name, data):
        if not name.endswith("wrapper_metadata.json"):
            return data
        return json.dumps({**json.loads(data), **changes}).encode()
    return edit


def another_torch(name, data):
    """The library asks for a function that this torch does not have."""
    if not name.endswith(".so"):
        return data
    assert b"aoti_torch_get_dtype\0" in data
    return data.replace(b"aoti_torch_get_dtype\0", b"aoti_torch_got_dtype\0")


@pytest.mark.parametrize("edit, says", [
    (metadata(AOTI_CPU_ISA="AVX2 AVX4096"), ["processor with AVX2 AVX4096", "no avx4096"]),
    (metadata(AOTI_DEVICE_KEY="cuda"), ["device 'cuda'", "CPU"]),
    (metadata(AOTI_MACHINE="sparc64"), ["'sparc64'", "this machine is"]),
    (metadata(AOTI_PLATFORM="win32"), ["'win32'", "'linux'"]),
    (lambda name, data: b"7" if name.endswith("archive_version") else data, ["version '7'"]),
    (another_torch, ["does not fit LibTorch 2."]),
    (lambda name, data: b"no library" if name.endswith(".so") else data, ["does not fit LibTorch"]),
], ids=["isa", "device", "machine", "platform", "version", "torch", "library"])
def test_a_package_for_another_machine_is_refused(fleet, made, tmp_path, edit, says):
    target = add(fleet, None, dynamic())
    aoti_models.rewrite(f"{made}/dynamic.pt2", target, edit)
    said = refusal(fleet, tmp_path)
    for part in says:
        assert part in said


def test_a_torchscript_file_is_no_package(fleet, tmp_path):
    import torch
    target = add(fleet, None, dynamic())
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), target)
    assert "no AOTInductor model" in refusal(fleet, tmp_path)
