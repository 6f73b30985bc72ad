"""What the soak's calls carry, and whether an answer carries it back.

The text of a call holds its mark and then a piece of one long random text, so that
no two calls have the same bytes and none has to be remembered.
"""
import json
import random
import struct

from fleet import pb

_RANDOM = random.Random(1)
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
_TEXT = "".join(_RANDOM.choices(_LETTERS, k=3 << 20))


def text_of(call):
    at = call.number * 7919 % (1 << 20)
    return f"{call.mark}|{_TEXT[at:at + call.size]}"


def floats_of(call):
    """Halves, which every decimal form has exactly."""
    return [call.number % 4096 + 0.5, -1.0, float(call.size % 1024), 0.25]


def raw_of(call):
    text = text_of(call).encode()
    return [struct.pack("<4f", *floats_of(call)), struct.pack("<I", len(text)) + text]


def request(call):
    message = pb.ModelInferRequest(
        model_name=call.model, model_version=call.version, id=call.mark,
        inputs=[pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 4]),
                pb.ModelInferRequest.InferInputTensor(name="id", datatype="BYTES", shape=[1, 1])],
        raw_input_contents=raw_of(call))
    if call.priority:
        message.parameters["priority"].int64_param = call.priority
    return message


def is_own(call, response):
    names = [output.name for output in response.outputs]
    return (response.id == call.mark and names == ["x_out", "id_out"] and
            list(response.raw_output_contents) == raw_of(call))


def headers(call):
    """Of gRPC and of HTTP alike."""
    found = {"x-user": call.user} if call.user else {}
    return {**found, "x-tester": "yes"} if call.tester else found


def path(call):
    of_version = f"/versions/{call.version}" if call.version else ""
    return f"/v2/models/{call.model}{of_version}/infer"


def json_body(call):
    parameters = {"priority": call.priority} if call.priority else {}
    return json.dumps({
        "id": call.mark, "parameters": parameters,
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": floats_of(call)},
                   {"name": "id", "datatype": "BYTES", "shape": [1, 1], "data": [text_of(call)]}],
    }).encode(), {"Content-Type": "application/json"}


def is_own_json(call, document):
    data = {output["name"]: output["data"] for output in document["outputs"]}
    return (document["id"] == call.mark and
            data == {"x_out": floats_of(call), "id_out": [text_of(call)]})


def binary_body(call):
    """The JSON of /v2 with the tensors behind it, and such an answer wanted."""
    raw = raw_of(call)
    head = json.dumps({
        "id": call.mark, "parameters": {"binary_data_output": True},
        "inputs": [
            {"name": "x", "datatype": "FP32", "shape": [1, 4],
             "parameters": {"binary_data_size": len(raw[0])}},
            {"name": "id", "datatype": "BYTES", "shape": [1, 1],
             "parameters": {"binary_data_size": len(raw[1])}}]}).encode()
    return b"".join([head, *raw]), {"Content-Type": "application/octet-stream",
                                    "Inference-Header-Content-Length": str(len(head))}


def read_binary(body, head_length):
    """An answer's document and the tensors behind it, by name."""
    document = json.loads(body[:head_length])
    tensors, at = {}, head_length
    for output in document["outputs"]:
        size = output["parameters"]["binary_data_size"]
        tensors[output["name"]] = body[at:at + size]
        at += size
    return document, tensors if at == len(body) else {}


def is_own_binary(call, document, tensors):
    raw = raw_of(call)
    return document["id"] == call.mark and tensors == {"x_out": raw[0], "id_out": raw[1]}
