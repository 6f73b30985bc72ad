"""Train, serve and call the digit model, as a new user does."""
import gzip
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tritonclient.grpc as triton
from PIL import Image

import fleet as lib
from up import Up

MNIST = os.path.join(lib.ROOT, "examples", "mnist")


def read(name, header):
    with gzip.open(os.path.join(MNIST, "data", name)) as file:
        return np.frombuffer(file.read()[header:], np.uint8)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mnist") / "models"
    done = subprocess.run([f"{lib.BIN}/torchfleet", "train", f"{MNIST}/mnist.textproto",
                           "--repository", str(folder)], capture_output=True, text=True,
                          timeout=250, check=True)
    assert "accuracy on 10000 test records" in done.stdout
    return folder


@pytest.fixture(scope="module")
def up(repository, tmp_path_factory):
    running = Up(tmp_path_factory.mktemp("up"), str(repository), worker="torchfleet-worker")
    yield running
    running.close()


def test_training_is_on_record(repository):
    record = json.loads((repository / "mnist" / "1" / "training.json").read_text())
    assert len(record["epochs"]) == 5
    assert record["epochs"][-1]["test_accuracy"] >= 0.97
    assert record["model_digest"].startswith("sha256:")
    assert set(record["train_data"]) == {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"}


def test_accuracy_through_the_gateway(up):
    images = read("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 784)
    labels = read("t10k-labels-idx1-ubyte.gz", 8)
    client = triton.InferenceServerClient(up.of("gateway")["address"])
    right = 0
    for first in range(0, 10000, 50):
        rows = (images[first:first + 50] / 255).astype(np.float32)
        tensor = triton.InferInput("input", rows.shape, "FP32")
        tensor.set_data_from_numpy(rows)
        answer = client.infer("mnist", [tensor]).as_numpy("output")
        assert np.allclose(answer.sum(axis=1), 1, atol=1e-4)
        right += int((answer.argmax(axis=1) == labels[first:first + 50]).sum())
    assert right >= 9700


def test_the_file_is_a_model_for_python_too(repository, up):
    import torch
    model = torch.jit.load(str(repository / "mnist" / "1" / "model.pt"))
    rows = (read("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 784)[:8] / 255).astype(np.float32)
    tensor = triton.InferInput("input", rows.shape, "FP32")
    tensor.set_data_from_numpy(rows)
    served = triton.InferenceServerClient(up.of("gateway")["address"]).infer("mnist", [tensor])
    with torch.inference_mode():
        expected = model(torch.from_numpy(rows)).numpy()
    assert np.allclose(served.as_numpy("output"), expected, atol=1e-5)


def test_infer_an_image_and_an_array(up, tmp_path):
    images = read("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    Image.fromarray(images[0]).save(tmp_path / "digit.png")
    np.save(tmp_path / "row.npy", (images[0].reshape(784) / 255).astype(np.float32))
    by_image = up.run("infer", "mnist", "--image", str(tmp_path / "digit.png"), "-o", "json")
    by_array = up.run("infer", "mnist", "--input", f"input=@{tmp_path}/row.npy", "-o", "json")
    assert by_image.returncode == 0, by_image.stderr
    row = json.loads(by_image.stdout)["outputs"][0]["data"][0]
    assert row.index(max(row)) == 7
    assert by_array.stdout == by_image.stdout
    assert "class 7" in up.run("infer", "mnist", "--image", str(tmp_path / "digit.png")).stdout
    wrong = up.run("infer", "mnist", "--input", "[1,2]")
    assert wrong.returncode == 1 and "[-1,784]" in wrong.stderr


def test_ten_digits(up):
    done = subprocess.run([sys.executable, f"{MNIST}/ten_digits.py"], text=True,
                          env={**up.env, "TORCHFLEET": f"{lib.BIN}/torchfleet"},
                          capture_output=True, timeout=60, check=True)
    assert "10 of 10 right" in done.stdout
