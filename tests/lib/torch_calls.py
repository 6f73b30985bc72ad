"""Calls to workers that run PyTorch for real: tensors and lists of strings to raw
contents and back, many calls at once, and what a worker counts."""
import re
import struct
import urllib.request

import torch

import fleet as lib
from fleet import pb
from torch_models import TYPES

BY_NAME = {name: kind for kind, name in TYPES.items()}


def start_worker(fleet, model, binary="torchfleet-worker"):
    """A worker for a model of the fleet's repository."""
    return fleet.start(binary, "--repository", fleet.repository, "--model", model)


def refusal(fleet, model, binary="torchfleet-worker"):
    """What a worker says that does not start. torchfleet-fake-worker reads a
    configuration as the other does, and is there sooner."""
    try:
        process = start_worker(fleet, model, binary)
    except RuntimeError as error:
        return str(error)
    raise AssertionError(f"it started:\n{process.output()}")


def raw(value):
    if isinstance(value, list):
        encoded = [text.encode() for row in value for text in row]
        return b"".join(struct.pack("<I", len(text)) + text for text in encoded)
    return value.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def request(model, inputs, mark="", **parameters):
    """Of inputs by name; parameters are whole numbers."""
    made = pb.ModelInferRequest(model_name=model, id=mark)
    for name, value in inputs.items():
        strings = isinstance(value, list)
        made.inputs.add(name=name, datatype=TYPES[list if strings else value.dtype],
                        shape=[len(value), 1] if strings else list(value.shape))
        made.raw_input_contents.append(raw(value))
    for key, value in parameters.items():
        made.parameters[key].int64_param = value
    return made


def strings(data):
    while data:
        length, = struct.unpack_from("<I", data)
        yield data[4:4 + length].decode()
        data = data[4 + length:]


def outputs(response):
    """By name, as torch_models has them."""
    result = {}
    for tensor, data in zip(response.outputs, response.raw_output_contents, strict=True):
        kind, shape = BY_NAME[tensor.datatype], list(tensor.shape)
        if kind is list:
            assert shape[1:] == [1]
            result[tensor.name] = [[text] for text in strings(data)]
            assert len(result[tensor.name]) == shape[0]
        elif data:
            result[tensor.name] = torch.frombuffer(bytearray(data), dtype=kind).reshape(shape)
        else:
            result[tensor.name] = torch.empty(shape, dtype=kind)
    return result


def ask(process, asked, timeout=60):
    return lib.stub(process).ModelInfer(asked, timeout=timeout * lib.SLOW)


def ask_all(process, requests, timeout=60):
    """All at once; each one's answer or error, in their order."""
    client = lib.stub(process)
    futures = [client.ModelInfer.future(one, timeout=timeout * lib.SLOW) for one in requests]
    return [future.exception() or future.result() for future in futures]


def failure(process, asked):
    """(code, text) of a call that fails."""
    error, = ask_all(process, [asked])
    assert isinstance(error, lib.grpc.RpcError), error
    return error.code(), error.details()


def statistics(process, model):
    answer, = lib.stub(process).ModelStatistics(
        pb.ModelStatisticsRequest(name=model), timeout=20 * lib.SLOW).model_stats
    return answer


def batch_sizes(process, model):
    """How many batches ran, by their rows."""
    return {size.batch_size: size.compute_infer.count
            for size in statistics(process, model).batch_stats}


def metric(worker, name):
    """The value of a worker's metric without labels beside model and version."""
    url = f"http://{worker.operator_address}/metrics"
    with urllib.request.urlopen(url, timeout=20 * lib.SLOW) as page:
        found = re.search(rf"^{name}{{[^}}]*}} (\S+)$", page.read().decode(), re.MULTILINE)
    return float(found.group(1))
