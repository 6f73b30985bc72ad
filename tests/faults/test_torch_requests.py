"""Rows 12, 13, 28 and 30 with a model that runs for real."""
import io
import os

import grpc
import numpy as np
import pytest
import torch

import fleet as lib
from fleet import pb, stub

Input = pb.ModelInferRequest.InferInputTensor


class Picky(torch.nn.Module):
    """Each row's sum by what the row says to do."""

    def forward(self, x):
        if bool((x == 13).any()):
            raise RuntimeError("secret words of the model")
        if bool((x == 30).any()):
            return x
        return x.sum(1, keepdim=True)


@pytest.fixture
def client(fleet):
    fleet.add_model("picky", inputs=(("x", "TYPE_FP32", [-1]),), outputs=(("y", "TYPE_FP32", [1]),),
                    extra="dynamic_batching { max_queue_delay_microseconds: 1000 }")
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(Picky()), file)
    with open(os.path.join(fleet.repository, "picky", "1", "model.pt"), "wb") as to:
        to.write(file.getvalue())
    return stub(fleet.start("torchfleet-worker", "--repository", fleet.repository,
                            "--model", "picky"))


def ask(client, values):
    values = np.asarray(values, np.float32)
    return client.ModelInfer.future(pb.ModelInferRequest(
        model_name="picky", raw_input_contents=[values.tobytes()],
        inputs=[Input(name="x", datatype="FP32", shape=values.shape)]), timeout=30 * lib.SLOW)


def sums(call):
    answer = call.result()
    assert list(answer.outputs[0].shape) == [len(answer.raw_output_contents[0]) // 4, 1]
    return np.frombuffer(answer.raw_output_contents[0], np.float32).tolist()


def test_row_12_no_rows_and_no_elements(client):
    assert sums(ask(client, np.zeros((0, 3)))) == []
    assert sums(ask(client, np.zeros((2, 0)))) == [0, 0]
    assert sums(ask(client, np.zeros((0, 0)))) == []
    # Beside others, in one batch.
    calls = [ask(client, np.ones((rows, 3))) for rows in (0, 2, 0, 1)]
    assert [sums(call) for call in calls] == [[], [3, 3], [], [3]]


def test_row_13_a_batch_over_the_limit(client):
    call = ask(client, np.ones((9, 3)))
    assert call.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "9" in call.details() and "8" in call.details()
    assert sums(ask(client, np.ones((8, 3)))) == [3] * 8


def test_row_28_the_model_throws_at_one_and_answers_the_others(client):
    calls = [ask(client, [[value, 1]]) for value in (1, 13, 2, 13, 3)]
    assert [call.code() for call in calls if call.code() != grpc.StatusCode.OK] == [
        grpc.StatusCode.INTERNAL] * 2
    assert "secret" not in calls[1].details() and "Traceback" not in calls[1].details()
    assert [sums(calls[i]) for i in (0, 2, 4)] == [[2], [3], [4]]


def test_row_30_another_shape_than_the_configuration(client):
    calls = [ask(client, [[value, 1]]) for value in (1, 30, 2)]
    assert calls[1].code() == grpc.StatusCode.INTERNAL
    assert "'y'" in calls[1].details()
    assert [sums(calls[i]) for i in (0, 2)] == [[2], [3]]
