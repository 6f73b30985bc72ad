"""What a caller can get wrong: each test is a row of the fault table. The same
answer comes from the worker and through the gateway, and the worker serves on."""
import grpc
import numpy as np
import pytest

import fleet as lib
from fleet import echo_request, is_echo_of, pb, stub

Input = pb.ModelInferRequest.InferInputTensor
Output = pb.ModelInferRequest.InferRequestedOutputTensor


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with lib.Fleet(tmp_path_factory.mktemp("faults")) as fleet:
        fleet.add_model("echo")
        fleet.add_model("two", inputs=(("a", "TYPE_INT32", [2]), ("b", "TYPE_INT8", [-1])))
        fleet.add_model("loose", inputs=(("x", "TYPE_FP32", [-1, -1]),), max_batch=0)
        for fake in ("throw", "bad_alloc", "wrong_shape"):
            fleet.add_model(fake, fake=fake)
        _, gateway, workers = fleet.start_all("echo", "two", "loose", "throw", "bad_alloc",
                                              "wrong_shape")
        yield {"gateway": gateway, "workers": workers}
        assert all(worker.popen.poll() is None for worker in workers)


@pytest.fixture
def client(servers):
    return stub(servers["gateway"])


def refused(client, request, code):
    with pytest.raises(grpc.RpcError) as error:
        client.ModelInfer(request, timeout=20 * lib.SLOW)
    assert error.value.code() == code, error.value.details()
    text = error.value.details()
    assert 0 < len(text.encode()) <= 512
    for secret in ("/models", "/tmp", "127.0.0.1", ".cc", "stack"):
        assert secret not in text, text
    return error.value


def invalid(client, request, *words):
    """INVALID_ARGUMENT whose text has all of `words`, and BadRequest details."""
    error = refused(client, request, grpc.StatusCode.INVALID_ARGUMENT)
    for word in words:
        assert word in error.details(), error.details()
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    assert b"google.rpc.BadRequest" in details
    good = echo_request()
    assert is_echo_of(good, client.ModelInfer(good))


def two(a_type="INT32", a_shape=(1, 2), b_shape=(1, 3), raw=None):
    raw = raw or [np.zeros(2, np.int32).tobytes(), np.zeros(3, np.int8).tobytes()]
    return pb.ModelInferRequest(
        model_name="two", raw_input_contents=raw,
        inputs=[Input(name="a", datatype=a_type, shape=a_shape),
                Input(name="b", datatype="INT8", shape=b_shape)])


def test_row_01_unknown_model_or_version(client):
    refused(client, echo_request(model="nobody"), grpc.StatusCode.NOT_FOUND)
    refused(client, echo_request(version="7"), grpc.StatusCode.NOT_FOUND)


def test_row_03_unknown_method(servers):
    call = grpc.insecure_channel(servers["gateway"].address).unary_unary("/inference.Nothing/At")
    with pytest.raises(grpc.RpcError) as error:
        call(b"")
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_row_04_malformed_protobuf(servers):
    for process in (servers["gateway"], servers["workers"][0]):
        call = grpc.insecure_channel(process.address).unary_unary(
            "/inference.GRPCInferenceService/ModelInfer")
        for garbage in (b"\xff\xff\xff\xff\xff\xff", b"\x0a\x7fecho", b"\x2a\x05\x0a\x7f"):
            with pytest.raises(grpc.RpcError) as error:
                call(garbage, timeout=20 * lib.SLOW)
            assert error.value.code() in (grpc.StatusCode.INTERNAL,
                                          grpc.StatusCode.INVALID_ARGUMENT,
                                          grpc.StatusCode.NOT_FOUND)


def test_row_05_wrong_datatype_rank_or_fixed_dimension(client):
    invalid(client, two(a_type="INT64"), "'a'", "INT64", "INT32")
    invalid(client, two(a_type="NONSENSE"), "'a'", "NONSENSE", "INT32")
    invalid(client, two(a_shape=(1, 2, 1)), "'a'", "[1,2,1]", "[-1,2]")
    invalid(client, two(a_shape=(1, 3)), "'a'", "[1,3]", "[-1,2]")


def test_row_06_negative_or_overflowing_dimensions(client):
    invalid(client, two(b_shape=(1, -3)), "'b'", "-3")
    request = pb.ModelInferRequest(
        model_name="loose", raw_input_contents=[b""],
        inputs=[Input(name="x", datatype="FP32", shape=(2**40, 2**40))])
    invalid(client, request, "'x'", "int64")


def test_row_07_bytes_are_not_shape_times_datatype(client):
    invalid(client, two(raw=[b"1234567", b"123"]), "'a'", "7 bytes", "8")
    invalid(client, two(b_shape=(1, 2**40)), "'b'", "3 bytes", str(2**40))
    request = pb.ModelInferRequest(
        model_name="loose", raw_input_contents=[b"abcd"],
        inputs=[Input(name="x", datatype="FP32", shape=(1, 2**40))])
    invalid(client, request, "'x'", "4 bytes")


def test_row_08_mixed_contents_or_other_counts(client):
    mixed = two()
    mixed.inputs[0].contents.int_contents.extend([1, 2])
    invalid(client, mixed, "'a'", "raw_input_contents")
    invalid(client, two(raw=[b"12345678"]), "1 raw_input_contents", "2 inputs")


def test_row_09_bytes_element_past_the_end(client):
    request = echo_request()
    request.raw_input_contents[1] = b"\xff\xff\xff\x7fab"
    invalid(client, request, "'id'", "2147483647")
    request.raw_input_contents[1] = b"\x01\x00"
    invalid(client, request, "'id'")
    request.raw_input_contents[1] = b"\x01\x00\x00\x00abc"
    invalid(client, request, "'id'", "left")


def test_row_10_names_missing_twice_or_unknown(client):
    missing = echo_request()
    del missing.inputs[1], missing.raw_input_contents[1]
    invalid(client, missing, "'id'", "missing")
    twice = echo_request()
    twice.inputs[1].CopyFrom(twice.inputs[0])
    twice.raw_input_contents[1] = twice.raw_input_contents[0]
    invalid(client, twice, "'x'", "twice")
    unknown = echo_request()
    unknown.inputs[0].name = "who"
    invalid(client, unknown, "'who'", "'x'")
    output = echo_request()
    output.outputs.add(name="who")
    invalid(client, output, "'who'", "'x_out'")
    both = echo_request()
    both.outputs.extend([Output(name="x_out"), Output(name="x_out")])
    invalid(client, both, "'x_out'", "twice")


def test_row_11_a_million_requested_outputs(client):
    request = echo_request()
    request.outputs.extend(Output(name="x_out") for _ in range(10**6))
    invalid(client, request, "1000000", "1024")


def test_row_12_no_elements(client):
    empty = pb.ModelInferRequest(
        model_name="loose", raw_input_contents=[b""],
        inputs=[Input(name="x", datatype="FP32", shape=(0, 5))])
    assert list(client.ModelInfer(empty).outputs[0].shape) == [0, 5]
    batch_of_none = echo_request(rows=0)
    assert list(client.ModelInfer(batch_of_none).outputs[0].shape) == [0, 4]


def test_row_13_batch_over_the_limit(client):
    invalid(client, echo_request(rows=9), "9", "8")


def test_row_14_message_over_the_limit(client):
    request = echo_request()
    request.raw_input_contents[0] = bytes(65 << 20)
    refused(client, request, grpc.StatusCode.RESOURCE_EXHAUSTED)


def test_row_28_the_model_throws(client):
    error = refused(client, echo_request(model="throw"), grpc.StatusCode.INTERNAL)
    assert "secret" not in error.details()


def test_row_29_allocation_fails(client):
    refused(client, echo_request(model="bad_alloc"), grpc.StatusCode.RESOURCE_EXHAUSTED)


def test_row_30_another_shape_than_the_configuration(client):
    error = refused(client, echo_request(model="wrong_shape"), grpc.StatusCode.INTERNAL)
    assert "'x_out'" in error.details() and "[1,4,1]" in error.details()


@pytest.mark.parametrize("name", ["../x", "a\0b", "m" * 10240, "", "a/b", "."])
def test_row_33_names_that_cannot_be_one(client, name):
    request = echo_request(model=name)
    refused(client, request, grpc.StatusCode.INVALID_ARGUMENT)
