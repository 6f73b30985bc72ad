"""Every datatype through gateway and worker, typed and raw: answers are raw and
have the very bits that were sent."""
import struct

import numpy as np
import pytest

import fleet as lib
from fleet import pb

# datatype: (config's type, typed field, values, raw bytes of one value)
INTEGERS = {"UINT8": ("uint_contents", "<B", 0, 255), "UINT16": ("uint_contents", "<H", 0, 65535),
            "UINT32": ("uint_contents", "<I", 0, 2**32 - 1),
            "UINT64": ("uint64_contents", "<Q", 0, 2**64 - 1),
            "INT8": ("int_contents", "<b", -128, 127),
            "INT16": ("int_contents", "<h", -2**15, 2**15 - 1),
            "INT32": ("int_contents", "<i", -2**31, 2**31 - 1),
            "INT64": ("int64_contents", "<q", -2**63, 2**63 - 1)}
FLOATS = {"FP32": ("fp32_contents", "<f", [0.1, -0.0, 3.4028234663852886e38, float("inf")]),
          "FP64": ("fp64_contents", "<d", [0.1, -0.0, 1.7976931348623157e308, 5e-324])}
TYPED = {
    "BOOL": ("bool_contents", [True, False, False, True], b"\1\0\0\1"),
    "BYTES": ("bytes_contents", [b"", b"\xff\0", b"text", b"x" * 300],
              b"".join(struct.pack("<I", len(v)) + v for v in (b"", b"\xff\0", b"text", b"x" * 300))),
    **{name: (field, [low, high, 1, 0], b"".join(struct.pack(form, v) for v in (low, high, 1, 0)))
       for name, (field, form, low, high) in INTEGERS.items()},
    **{name: (field, values, b"".join(struct.pack(form, v) for v in values))
       for name, (field, form, values) in FLOATS.items()},
}
RAW_ONLY = {"FP16": np.array([0.1, -2, 65504, np.inf], np.float16).tobytes(),
            "BF16": b"\x80\x3f\x00\xc0\x7f\x7f\x01\x00"}
RAW = {**{name: raw for name, (_, _, raw) in TYPED.items()}, **RAW_ONLY}


def config_type(datatype):
    return "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with lib.Fleet(tmp_path_factory.mktemp("datatypes")) as running:
        models = []
        for datatype in RAW:
            models.append(datatype.lower())
            running.add_model(models[-1], inputs=(("x", config_type(datatype), [4]),))
        models.append("all")
        running.add_model("all", inputs=[(f"x_{d.lower()}", config_type(d), [4]) for d in RAW],
                          max_batch=4096)
        yield running.start_all(*models)[1]


def ask(gateway, datatype, **contents):
    request = pb.ModelInferRequest(model_name=datatype.lower(), id="mine", inputs=[
        pb.ModelInferRequest.InferInputTensor(name="x", datatype=datatype, shape=[1, 4])])
    if "raw" in contents:
        request.raw_input_contents.append(contents.pop("raw"))
    for field, values in contents.items():
        getattr(request.inputs[0].contents, field).extend(values)
    return lib.stub(gateway).ModelInfer(request, timeout=20 * lib.SLOW)


def check(response, datatype):
    assert response.id == "mine"
    assert (response.outputs[0].datatype, list(response.outputs[0].shape)) == (datatype, [1, 4])
    assert not response.outputs[0].HasField("contents")
    assert list(response.raw_output_contents) == [RAW[datatype]]


@pytest.mark.parametrize("datatype", RAW)
def test_raw(gateway, datatype):
    check(ask(gateway, datatype, raw=RAW[datatype]), datatype)


@pytest.mark.parametrize("datatype", TYPED)
def test_typed(gateway, datatype):
    field, values, _ = TYPED[datatype]
    check(ask(gateway, datatype, **{field: values}), datatype)


# Quiet and signalling not-a-numbers with a payload, the smallest number, minus zero.
ODD = {"FP16": ("<4H", 0x7E01, 0xFD02, 0x0001, 0x8000), "BF16": ("<4H", 0x7FC1, 0xFFA2, 1, 0x8000),
       "FP32": ("<4I", 0x7FC00001, 0xFFA00002, 1, 0x80000000),
       "FP64": ("<4Q", 0x7FF8000000000001, 0xFFF4000000000002, 1, 0x8000000000000000)}


@pytest.mark.parametrize("datatype", ODD)
def test_odd_floats_keep_every_bit(gateway, datatype):
    raw = struct.pack(*ODD[datatype])
    assert list(ask(gateway, datatype, raw=raw).raw_output_contents) == [raw]


def ask_all(datatypes, rows, **contents):
    request = pb.ModelInferRequest(model_name="all", id="mine", **contents)
    for datatype in datatypes:
        request.inputs.add(name=f"x_{datatype.lower()}", datatype=datatype, shape=[rows, 4])
    return request


def outputs_of(response):
    """By name: answers need not be in the order of the question."""
    assert len(response.outputs) == len(response.raw_output_contents)
    return {output.name: (output.datatype, list(output.shape), raw)
            for output, raw in zip(response.outputs, response.raw_output_contents)}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("rows", [1, 3, 4096])
def test_every_datatype_in_one_call_raw(gateway, rows, turned):
    datatypes = list(reversed(RAW)) if turned else list(RAW)
    request = ask_all(datatypes, rows,
                      raw_input_contents=[RAW[datatype] * rows for datatype in datatypes])
    answers = outputs_of(lib.stub(gateway).ModelInfer(request, timeout=20 * lib.SLOW))
    assert answers == {f"x_{d.lower()}_out": (d, [rows, 4], RAW[d] * rows) for d in RAW}


@pytest.mark.parametrize("datatype", RAW)
def test_bytes_that_are_not_the_shape_says(gateway, datatype):
    for raw in (RAW[datatype][:-1], RAW[datatype] + b"\0", b""):
        with pytest.raises(lib.grpc.RpcError) as error:
            ask(gateway, datatype, raw=raw)
        assert error.value.code() == lib.grpc.StatusCode.INVALID_ARGUMENT
        assert "'x'" in error.value.details()


@pytest.mark.parametrize("datatype", TYPED)
def test_values_that_are_not_as_many_as_the_shape_says(gateway, datatype):
    field, values, _ = TYPED[datatype]
    for wrong in (values[:-1], [*values, values[0]]):
        with pytest.raises(lib.grpc.RpcError) as error:
            ask(gateway, datatype, **{field: wrong})
        assert error.value.code() == lib.grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("datatype", TYPED)
def test_values_in_the_field_of_another_datatype(gateway, datatype):
    fields = {"bool_contents": [True] * 4, "int_contents": [1] * 4, "int64_contents": [1] * 4,
              "uint_contents": [1] * 4, "uint64_contents": [1] * 4, "fp32_contents": [1] * 4,
              "fp64_contents": [1] * 4, "bytes_contents": [b"1"] * 4}
    for field, values in fields.items():
        if field == TYPED[datatype][0]:
            continue
        with pytest.raises(lib.grpc.RpcError) as error:
            ask(gateway, datatype, **{field: values})
        assert error.value.code() == lib.grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("datatype", RAW_ONLY)
def test_halves_travel_raw_only(gateway, datatype):
    with pytest.raises(lib.grpc.RpcError) as error:
        ask(gateway, datatype, fp32_contents=[1, 2, 3, 4])
    assert error.value.code() == lib.grpc.StatusCode.INVALID_ARGUMENT
    assert datatype in error.value.details() and "raw" in error.value.details()


@pytest.mark.parametrize("datatype, field, value", [
    ("UINT8", "uint_contents", 256), ("INT8", "int_contents", 128), ("INT8", "int_contents", -129),
    ("UINT16", "uint_contents", 65536), ("INT16", "int_contents", 32768)])
def test_a_value_that_its_datatype_cannot_hold(gateway, datatype, field, value):
    with pytest.raises(lib.grpc.RpcError) as error:
        ask(gateway, datatype, **{field: [0, 0, 0, value]})
    assert error.value.code() == lib.grpc.StatusCode.INVALID_ARGUMENT
    assert str(value) in error.value.details()
