"""Our own processes, and the gRPC C++ server, each with a model of given sizes.

A model f784x10 takes 784 floats and gives 10; it answers zeros at once.
"""
import os
import subprocess

from .processes import LOAD_CORE, SUBJECT_CORE, Server, ours


def model(floats_in, floats_out=10):
    return f"f{floats_in}x{floats_out}"


def add_model(repository, name):
    """A model without a file: the instant worker reads none."""
    floats_in, floats_out = name[1:].split("x")
    folder = os.path.join(repository, name)
    os.makedirs(os.path.join(folder, "1"), exist_ok=True)
    with open(os.path.join(folder, "1", "model.pt"), "wb"):
        pass
    with open(os.path.join(folder, "config.pbtxt"), "w", encoding="utf-8") as file:
        file.write(f"""
platform: "pytorch_libtorch"
max_batch_size: 32
input {{ name: "x" data_type: TYPE_FP32 dims: {floats_in} }}
output {{ name: "y" data_type: TYPE_FP32 dims: {floats_out} }}
""")


def grpc_server(core):
    return Server([ours("torchfleet-bench-grpc-server")], core, ready="line")


def worker(repository, name, core, registry=None):
    add_model(repository, name)
    return Server([ours("torchfleet-bench-instant-worker"), "--repository", repository, "--model",
                   name, "--listen", "127.0.0.1:0", "--log-level", "warning",
                   *(["--registry", registry] if registry else [])], core, ready="fd")


def gateway(backend, *flags, core=SUBJECT_CORE):
    """Before one server that answers all; one thread, as the peers."""
    return Server([ours("torchfleet-gateway"), "--listen", "127.0.0.1:0", "--worker", backend,
                   "--threads", "1", "--log-level", "warning", *flags], core, ready="fd")


def registry():
    """Leases last long enough for workers that only say that they are there."""
    return Server([ours("torchfleet-registry"), "--listen", "127.0.0.1:0", "--store", "memory",
                   "--lease", "600s", "--log-level", "warning"], LOAD_CORE, ready="fd")


class Certificate:
    """Of an authority of its own, for 127.0.0.1; what callers of today's web use."""

    def __init__(self, folder):
        self.certificate = os.path.join(folder, "certificate.pem")
        self.key = os.path.join(folder, "key.pem")
        self.both = os.path.join(folder, "both.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", self.key, "-out", self.certificate, "-days", "30", "-subj",
             "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1"], check=True,
            stderr=subprocess.DEVNULL)
        with open(self.both, "w", encoding="utf-8") as both:
            for part in (self.certificate, self.key):
                with open(part, encoding="utf-8") as file:
                    both.write(file.read())
