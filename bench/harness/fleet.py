"""Our own processes, and the gRPC C++ server, each with a model of given sizes.

A model f784x10 takes 784 floats and gives 10; it answers zeros at once. A slow model
gives back the 240 floats that it takes, after a while in which it does nothing, so that
many of its workers share a core.
"""
import os
import subprocess
import time
import urllib.request

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


def add_slow_model(repository, name, instances, delay_ms, versions=(1,), **parameters):
    """`parameters`: of the fake, as in tests/fakes/fake_model.h."""
    for version in versions:
        folder = os.path.join(repository, name, str(version))
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "model.pt"), "wb"):
            pass
    text = f"""
platform: "pytorch_libtorch"
max_batch_size: 1
version_policy {{ all {{}} }}
instance_group {{ count: {instances} kind: KIND_CPU }}
input {{ name: "x" data_type: TYPE_FP32 dims: 240 }}
output {{ name: "y" data_type: TYPE_FP32 dims: 240 }}
"""
    for key, value in {"fake": "delay", "delay_ms": delay_ms, **parameters}.items():
        text += f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'
    with open(os.path.join(repository, name, "config.pbtxt"), "w", encoding="utf-8") as file:
        file.write(text)


def slow_worker(repository, name, registry, version=1):
    return Server([ours("torchfleet-fake-worker"), "--repository", repository, "--model", name,
                   "--model-version", str(version), "--registry", registry.address, "--listen",
                   "127.0.0.1:0", "--log-level", "error"], LOAD_CORE, ready="fd")


def metrics(server):
    """The lines of its operators' page: (name and labels, value)."""
    url = f"http://{server.report['operator_address']}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return [(line.rpartition(" ")[0], float(line.rpartition(" ")[2])) for line in lines
            if not line.startswith("#")]


def counted(server, name, **labels):
    """The sum of a counter's or a gauge's series with those labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(value for series, value in metrics(server)
               if series.partition("{")[0] == name and all(text in series for text in wanted))


def await_ready(server, number, limit=60, **labels):
    """Until a gateway knows so many workers READY."""
    end = time.monotonic() + limit
    while (ready := counted(server, "torchfleet_gateway_fleet_endpoints", state="ready",
                            **labels)) != number:
        if time.monotonic() > end:
            raise RuntimeError(f"{ready:.0f} workers are ready, expected {number}")


def gateway(backend, *flags, core=SUBJECT_CORE):
    """Before one server that answers all; one thread, as the peers."""
    return Server([ours("torchfleet-gateway"), "--listen", "127.0.0.1:0", "--worker", backend,
                   "--threads", "1", "--log-level", "warning", *flags], core, ready="fd")


def gateway_of(registry):
    """Before the workers that a registry knows."""
    return Server([ours("torchfleet-gateway"), "--listen", "127.0.0.1:0", "--registry",
                   registry.address, "--threads", "1", "--log-level", "error"], SUBJECT_CORE,
                  ready="fd")


def registry(lease="600s"):
    """Leases last long enough for workers that only say that they are there."""
    return Server([ours("torchfleet-registry"), "--listen", "127.0.0.1:0", "--store", "memory",
                   "--lease", lease, "--log-level", "error"], LOAD_CORE, ready="fd")


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
