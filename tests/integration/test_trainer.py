"""`torchfleet train` on small data: what it learns, repeats, resumes and refuses."""
import json
import os
import re
import signal
import subprocess

import numpy as np
import pytest
import torch

import fleet as lib

DENSE = "layers { dense { units: 16 } } layers { relu {} } layers { dense { units: 3 } } layers { softmax {} }"
ADAM = "optimizer { adam {} learning_rate: 0.01 }"


@pytest.fixture
def data(tmp_path):
    """Points in the plane of three classes that lie apart, and their images."""
    random = np.random.default_rng(0)
    centres = np.array([[2, 0], [-1, 2], [-1, -2]], np.float32)
    for name, count in (("train", 300), ("test", 60)):
        labels = np.arange(count) % 3
        points = (centres[labels] + random.normal(0, 0.3, (count, 2))).astype(np.float32)
        np.save(tmp_path / f"{name}_x.npy", points)
        np.save(tmp_path / f"{name}_y.npy", labels.astype(np.int64))
        images = random.normal(0, 0.1, (count, 1, 6, 6)).astype(np.float32)
        for i, label in enumerate(labels):
            images[i, 0, 2 * label:2 * label + 2, :] += 1
        np.save(tmp_path / f"{name}_images.npy", images)
    return tmp_path


def spec(folder, layers=DENSE, optimizer=ADAM, loss="LOSS_SPARSE_CROSS_ENTROPY", shape="2", x="x",
         y="y", epochs=8, seed=3, extra=""):
    sets = " ".join(f'{name} {{ npy {{ inputs: "{name}_{x}.npy" targets: "{name}_{y}.npy" }} }}'
                    for name in ("train", "test"))
    (folder / "spec.textproto").write_text(
        f'model: "small" {sets} input_shape: [{shape}] {layers} loss: {loss} {optimizer} '
        f'epochs: {epochs} batch_size: 16 seed: {seed} {extra}', encoding="utf-8")
    return folder / "spec.textproto"


def train(folder, *arguments, repository="models", **kwargs):
    return subprocess.run([f"{lib.BIN}/torchfleet", "train", str(spec(folder, **kwargs)),
                           "--repository", str(folder / repository), *arguments],
                          capture_output=True, text=True, timeout=120, check=False)


def record(folder, repository="models", version=1):
    return json.loads((folder / repository / "small" / str(version) / "training.json").read_text())


@pytest.mark.parametrize("optimizer", [
    "sgd {} learning_rate: 0.1", "sgd { momentum: 0.9 } learning_rate: 0.02",
    "sgd { momentum: 0.9 } learning_rate: 0.02 weight_decay: 0.001",
    "adam {} learning_rate: 0.01", "adam {} learning_rate: 0.01 weight_decay: 0.001",
    "adamw {} learning_rate: 0.01 weight_decay: 0.01",
    "adam {} learning_rate: 0.02 schedule { cosine { final_rate: 0.001 } }",
    "adam {} learning_rate: 0.02 schedule { step { every_epochs: 3 factor: 0.5 } }",
    "adam {} learning_rate: 0.02 schedule { exponential { factor: 0.9 } }"])
def test_every_optimizer_learns(data, optimizer):
    done = train(data, optimizer=f"optimizer {{ {optimizer} }}")
    assert done.returncode == 0, done.stderr
    epochs = record(data)["epochs"]
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"] / 2
    assert epochs[-1]["test_accuracy"] == 1


def test_every_layer_learns(data):
    layers = ("layers { conv2d { filters: 4 kernel: 3 padding: 1 } } layers { batch_norm {} } "
              "layers { relu {} } layers { max_pool2d { kernel: 2 } } layers { flatten {} } "
              "layers { dropout { rate: 0.2 } } layers { dense { units: 3 } } layers { softmax {} }")
    done = train(data, layers=layers, shape="1, 6, 6", x="images")
    assert done.returncode == 0, done.stderr
    assert record(data)["epochs"][-1]["test_accuracy"] == 1
    model = torch.jit.load(str(data / "models/small/1/model.pt"))
    images = torch.from_numpy(np.load(data / "test_images.npy"))
    with torch.inference_mode():
        once, again = model(images), model(images)
    assert torch.equal(once, again)  # dropout and batch norm are at rest
    assert torch.allclose(once.sum(1), torch.ones(60))
    assert (once.argmax(1).numpy() == np.load(data / "test_y.npy")).all()


def test_mean_squared_error_on_csv(data):
    random = np.random.default_rng(1)
    for name, count in (("a", 200), ("b", 40)):
        x = random.uniform(-1, 1, (count, 3))
        rows = np.column_stack([x, x @ [1, -2, 0.5] + 0.25, x[:, 0]])
        np.savetxt(data / f"{name}.csv", rows, delimiter=",", header="a,b,c,t,u", comments="")
    (data / "spec.textproto").write_text(
        'model: "small" train { csv { file: "a.csv" header: true target_columns: 2 } } '
        'test { csv { file: "b.csv" header: true target_columns: 2 } } input_shape: 3 '
        'layers { dense { units: 2 } } loss: LOSS_MSE '
        'optimizer { adam {} learning_rate: 0.05 } epochs: 20 batch_size: 10 seed: 1',
        encoding="utf-8")
    done = subprocess.run([f"{lib.BIN}/torchfleet", "train", str(data / "spec.textproto"),
                           "--repository", str(data / "models")], capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    last = record(data)["epochs"][-1]
    assert last["test_loss"] < 1e-3 and "test_accuracy" not in last
    model = torch.jit.load(str(data / "models/small/1/model.pt"))
    assert np.allclose(model(torch.zeros(1, 3)).detach().numpy(), [[0.25, 0]], atol=0.02)


def test_the_same_seed_gives_the_same_weights(data):
    layers = DENSE.replace("layers { relu {} }", "layers { relu {} } layers { dropout { rate: 0.1 } }")
    digests = []
    for seed, repository in ((3, "one"), (3, "two"), (4, "three")):
        assert train(data, repository=repository, seed=seed, layers=layers).returncode == 0
        digests.append(record(data, repository)["model_digest"])
    assert digests[0] == digests[1] != digests[2]


def test_what_is_on_record(data):
    assert train(data).returncode == 0
    assert train(data, seed=4).returncode == 0
    second = record(data, version=2)
    assert second["seed"] == 4 and "seed: 4" in second["spec"]
    assert len(second["epochs"]) == 8
    assert set(second["train_data"]) == {"train_x.npy", "train_y.npy"}
    for epoch in second["epochs"]:
        assert {"train_loss", "test_loss", "train_accuracy", "test_accuracy"} <= set(epoch)
    config = (data / "models/small/config.pbtxt").read_text()
    assert "pytorch_libtorch" in config and "max_batch_size: 64" in config
    files = sorted(os.listdir(data / "models/small"))
    assert files == ["1", "2", "config.pbtxt"]  # nothing half-made beside them


def test_interrupted_and_resumed_is_as_if_nothing_had_been(data):
    optimizer = "optimizer { sgd { momentum: 0.9 } learning_rate: 0.01 schedule { cosine {} } }"
    arguments = dict(optimizer=optimizer, epochs=400)
    assert train(data, repository="whole", **arguments).returncode == 0
    command = [f"{lib.BIN}/torchfleet", "train", str(spec(data, **arguments)), "--repository",
               str(data / "parts")]
    for attempt in range(2):
        running = subprocess.Popen([*command, *(["--resume"] if attempt else [])],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in running.stdout:
            if re.match(rf"epoch {1 + 100 * attempt + 20}/", line):
                break
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
        assert running.returncode == 130 and "--resume" in errors
        assert not (data / "parts" / "small").exists()
    assert train(data, "--resume", repository="parts", **arguments).returncode == 0
    assert record(data, "parts")["model_digest"] == record(data, "whole")["model_digest"]
    losses = [[e["train_loss"] for e in record(data, r)["epochs"]] for r in ("parts", "whole")]
    assert losses[0] == losses[1]
    again = train(data, "--resume", repository="parts", **arguments)
    assert again.returncode == 1 and "checkpoint" in again.stderr


@pytest.mark.parametrize("change, says", [
    (dict(optimizer="optimizer { sgd {} learning_rate: 1e30 }", loss="LOSS_SPARSE_CROSS_ENTROPY"),
     ["loss"]),
    (dict(layers="layers { dense { units: 2 } } layers { softmax {} }"),
     ["train_y.npy", "label 2", "0 to 1"]),
    (dict(shape="3"), ["train_x.npy", "2 values", "3"]),
    (dict(y="none"), ["train_none.npy"]),
    (dict(layers="layers { dens { units: 2 } }"), ["spec.textproto:1:", "dens"]),
    (dict(layers="layers { conv2d { filters: 1 kernel: 3 } }"), ["spec.textproto", "layers[0]"])])
def test_what_cannot_be_trained_says_why(data, change, says):
    done = train(data, **change)
    assert done.returncode == 1
    for part in says:
        assert part in done.stderr
    assert not (data / "models" / "small").exists()
