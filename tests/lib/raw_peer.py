"""A peer that writes HTTP/2's frames and HTTP/1.1's bytes itself, and so can
break every rule. It reads frames only as far as their kind."""
import socket
import struct

import fleet as lib

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, END_HEADERS = 1, 4
REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 7, 8, 11
INFER = "/inference.GRPCInferenceService/ModelInfer"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def length(count):
    """HPACK's integer, of seven bits and more where they do not do."""
    if count < 127:
        return bytes([count])
    coded, count = b"\x7f", count - 127
    while count >= 128:
        coded, count = coded + bytes([count % 128 + 128]), count // 128
    return coded + bytes([count])


def field(name, value):
    return b"\0" + b"".join(length(len(text)) + text for text in (name.encode(), value.encode()))


def call_headers(path=INFER):
    return b"".join(field(*one) for one in (
        (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "test"),
        ("content-type", "application/grpc"), ("te", "trailers")))


def message(request):
    """As gRPC has it on the wire."""
    body = request.SerializeToString()
    return b"\0" + struct.pack(">I", len(body)) + body


class RawPeer:
    """One connection. Reads end with the connection, or fail after a bound."""

    def __init__(self, process):
        host, port = process.address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=20 * lib.SLOW)
        self.unread = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def greet(self, settings=b""):
        self.socket.sendall(PREFACE + frame(SETTINGS, payload=settings))
        return self

    def send(self, data):
        """Whether the other side still took it."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def read(self):
        """What has come, at least a byte; nothing once the connection has ended."""
        try:
            return self.socket.recv(65536)
        except ConnectionResetError:
            return b""

    def frames(self):
        """(kind, stream, payload) one after the other, until the connection ends."""
        while True:
            while len(self.unread) < 9 or len(self.unread) < 9 + self.payload_size():
                more = self.read()
                if not more:
                    return
                self.unread += more
            size = self.payload_size()
            kind, _, stream = struct.unpack(">BBI", self.unread[3:9])
            yield kind, stream, self.unread[9:9 + size]
            self.unread = self.unread[9 + size:]

    def payload_size(self):
        return int.from_bytes(self.unread[:3], "big")

    def next_of(self, kind):
        return next((found for found in self.frames() if found[0] == kind), None)

    def ends(self):
        """Reads to the end; the code of the goodbye, if there was one."""
        code = None
        for kind, _, payload in self.frames():
            if kind == GOAWAY:
                code = struct.unpack(">I", payload[4:8])[0]
        return code

    def http1_status(self):
        text = b""
        while b"\r\n" not in text:
            more = self.read()
            assert more, "the connection ended without an answer"
            text += more
        return int(text.split(b" ", 2)[1])
