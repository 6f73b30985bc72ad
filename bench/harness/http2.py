"""HTTP/2 and gRPC by hand, as far as the benchmark speaks them itself."""
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + \
        struct.pack(">I", stream) + payload


def headers(*fields):
    """HPACK, each field a literal without an index or Huffman's code."""
    return b"".join(b"\x10" + bytes([len(name)]) + name + bytes([len(value)]) + value
                    for name, value in ((n.encode(), v.encode()) for n, v in fields))


def _varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def _field(number, content):
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def infer_request(model, floats):
    """A ModelInferRequest of a row of zeros, framed as gRPC does."""
    shape = b"".join(map(_varint, (1, floats)))
    tensor = _field(1, b"x") + _field(2, b"FP32") + _field(3, shape)
    message = _field(1, model.encode()) + _field(5, tensor) + _field(7, bytes(4 * floats))
    return struct.pack(">BI", 0, len(message)) + message


def predictions_request(model, data):
    """TorchServe's PredictionsRequest, framed as gRPC does."""
    entry = _field(1, b"data") + _field(2, data)
    message = _field(1, model.encode()) + _field(3, entry)
    return struct.pack(">BI", 0, len(message)) + message


def infer_call(stream, model, floats):
    """The frames of a call; of up to 16 KiB."""
    fields = headers((":method", "POST"), (":scheme", "http"),
                     (":path", "/inference.GRPCInferenceService/ModelInfer"),
                     (":authority", "bench"), ("content-type", "application/grpc"),
                     ("te", "trailers"))
    return frame(HEADERS, END_HEADERS, stream, fields) + \
        frame(DATA, END_STREAM, stream, infer_request(model, floats))


def read_frame(receive):
    """`receive(n)` gives n bytes. Kind, flags, stream, payload."""
    head = receive(9)
    length = int.from_bytes(head[:3], "big")
    return head[3], head[4], int.from_bytes(head[5:], "big"), receive(length)
