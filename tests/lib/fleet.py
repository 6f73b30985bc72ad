"""Real processes for tests: started on free ports, awaited by their readiness
line, ended and reaped whatever happens.

    with Fleet(tmp_path) as fleet:
        fleet.add_model("echo", inputs=[("x", "TYPE_FP32", [4])])
        registry = fleet.start_registry()
        fleet.start_worker("echo", registry)
        gateway = fleet.start_gateway(registry)
        fleet.wait_ready(registry, 1)
"""
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("TORCHFLEET_BIN", os.path.join(ROOT, "build", "bin"))
# Sanitizers make everything slower; bounds grow by this factor.
SLOW = int(os.environ.get("TORCHFLEET_SLOW", "1"))


def generate_stubs():
    """Python stubs of proto/, made once per test process, importable at once."""
    folder = tempfile.mkdtemp(prefix="torchfleet-stubs-")
    proto = os.path.join(ROOT, "proto")
    files = [os.path.relpath(os.path.join(base, name), proto)
             for base, _, names in os.walk(proto) for name in names
             if name.endswith(".proto") and "train" not in base]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I", proto,
                    f"--python_out={folder}", f"--grpc_python_out={folder}", *files], check=True)
    sys.path.insert(0, folder)
    return folder


STUBS = generate_stubs()
import grpc  # noqa: E402
if "tritonclient.grpc" in sys.modules:
    # It brings messages of the same names, and a process can hold them once.
    from tritonclient.grpc import service_pb2 as pb, service_pb2_grpc as services
else:
    from inference import grpc_service_pb2 as pb  # noqa: E402
    from inference import grpc_service_pb2_grpc as services  # noqa: E402
from torchfleet.registry.v1 import registry_pb2 as registry_pb  # noqa: E402
from torchfleet.registry.v1 import registry_pb2_grpc as registry_services  # noqa: E402


class Process:
    """One running server; `within` comes before its command line."""

    def __init__(self, binary, arguments, env=None, within=()):
        read_end, write_end = os.pipe()
        path = binary if os.path.sep in binary else os.path.join(BIN, binary)
        self.log = tempfile.TemporaryFile()
        self.popen = subprocess.Popen(
            [*within, path, *arguments, "--ready-fd", str(write_end)], pass_fds=[write_end],
            stdout=self.log, stderr=self.log, env={**os.environ, **(env or {})})
        os.close(write_end)
        with os.fdopen(read_end) as pipe:
            line = pipe.readline()
        if not line:
            self.popen.wait(timeout=30 * SLOW)
            raise RuntimeError(f"{binary} did not start:\n{self.output()}")
        self.report = json.loads(line)

    @property
    def address(self):
        return self.report["address"]

    @property
    def operator_address(self):
        return self.report["operator_address"]

    def output(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def kill(self):
        self.popen.kill()
        self.popen.wait()

    def freeze(self):
        """Returns when every thread has stopped: until then it can still answer."""
        self.popen.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.popen.pid, os.WSTOPPED)

    def thaw(self):
        self.popen.send_signal(signal.SIGCONT)

    def terminate(self):
        """SIGTERM; returns the exit code."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(timeout=30 * SLOW)

    def close(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.kill()
        self.popen.wait()
        self.log.close()


class Fleet:
    """A model repository of fakes and the processes that serve it."""

    def __init__(self, folder):
        self.repository = os.path.join(str(folder), "models")
        os.makedirs(self.repository, exist_ok=True)
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.close()

    def add_model(self, name, inputs=(("x", "TYPE_FP32", [4]), ("id", "TYPE_STRING", [1])),
                  outputs=None, versions=(1,), max_batch=8, extra="", **parameters):
        """A fake: outputs are the inputs of the same place unless `fake` says else."""
        outputs = outputs or [(f"{n}_out", t, d) for n, t, d in inputs]
        text = f'platform: "pytorch_libtorch"\nmax_batch_size: {max_batch}\n{extra}\n'
        for kind, tensors in (("input", inputs), ("output", outputs)):
            for tensor, data_type, dims in tensors:
                text += f'{kind} {{ name: "{tensor}" data_type: {data_type} dims: {list(dims)} }}\n'
        for key, value in parameters.items():
            text += f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'
        for version in versions:
            os.makedirs(os.path.join(self.repository, name, str(version)), exist_ok=True)
            with open(os.path.join(self.repository, name, str(version), "model.pt"), "wb"):
                pass
        with open(os.path.join(self.repository, name, "config.pbtxt"), "w", encoding="utf-8") as f:
            f.write(text)

    def publish(self, name, version, content=b""):
        """A further version of a model, whole at once."""
        model = os.path.join(self.repository, name)
        folder = tempfile.mkdtemp(prefix=".publish-", dir=model)
        os.chmod(folder, 0o755)
        with open(os.path.join(folder, "model.pt"), "wb") as file:
            file.write(content)
        os.rename(folder, os.path.join(model, str(version)))

    def start(self, binary, *arguments, env=None):
        process = Process(binary, arguments, env)
        self.processes.append(process)
        return process

    def start_registry(self, listen="127.0.0.1:0", lease="5s", store="memory"):
        return self.start("torchfleet-registry", "--listen", listen, "--lease", lease, "--store",
                          store)

    def start_gateway(self, registry, *arguments):
        return self.start("torchfleet-gateway", "--listen", "127.0.0.1:0", "--registry",
                          registry.address, *arguments)

    def start_worker(self, model, registry=None, *arguments, version=0):
        where = ["--registry", registry.address] if registry else []
        return self.start("torchfleet-fake-worker", "--repository", self.repository, "--model",
                          model, "--model-version", str(version), *where, *arguments)

    def start_all(self, *models, replicas=1, lease="5s"):
        """Registry, gateway, `replicas` workers a model; returns when calls can go."""
        registry = self.start_registry(lease=lease)
        workers = [self.start_worker(model, registry) for model in models for _ in range(replicas)]
        gateway = self.start_gateway(registry)
        watch_until(registry, lambda fleet: ready_count(fleet) == len(workers))
        for model in models:
            wait_model_ready(gateway, model)
        return registry, gateway, workers


def stub(process):
    channel = grpc.insecure_channel(process.address,
                                    options=[("grpc.max_receive_message_length", -1)])
    return services.GRPCInferenceServiceStub(channel)


def ready_count(fleet):
    return sum(e.state == registry_pb.WORKER_STATE_READY for e in fleet.values())


def watch_until(registry, condition, bound=20):
    """Follows the registry until `condition(endpoints by worker_id)`."""
    channel = grpc.insecure_channel(registry.address)
    fleet = {}
    stream = registry_services.RegistryServiceStub(channel).Watch(
        registry_pb.WatchRequest(), timeout=bound * SLOW)
    for response in stream:
        if response.HasField("snapshot"):
            fleet = {e.worker.worker_id: e for e in response.snapshot.endpoints}
        else:
            for gone in response.delta.removed:
                fleet.pop(gone, None)
            fleet.update({e.worker.worker_id: e for e in response.delta.updated})
            for now in response.delta.conditions:
                endpoint = fleet[now.worker_id]
                for field in ("state", "disconnected", "reason", "drain_phase"):
                    setattr(endpoint, field, getattr(now, field))
                endpoint.load.CopyFrom(now.load)
        if condition(fleet):
            stream.cancel()
            channel.close()
            return fleet
    raise AssertionError("the watch stream ended early")


def eventually(condition, bound=20):
    """For what nothing announces: asks again and again, up to a bound."""
    limit = time.monotonic() + bound * SLOW
    while True:
        if condition():
            return
        assert time.monotonic() < limit, "the condition did not come true in time"
        threading.Event().wait(0.02)


def wait_model_ready(process, model, version=""):
    client = stub(process)
    eventually(lambda: client.ModelReady(
        pb.ModelReadyRequest(name=model, version=version), wait_for_ready=True).ready)


def echo_request(model="echo", mark="m", version="", rows=1):
    """A request whose id and tensors carry `mark`."""
    import numpy as np
    values = np.full((rows, 4), float(len(mark)), dtype=np.float32)
    text = mark.encode()
    element = len(text).to_bytes(4, "little") + text
    return pb.ModelInferRequest(
        model_name=model, model_version=version, id=mark,
        inputs=[pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[rows, 4]),
                pb.ModelInferRequest.InferInputTensor(name="id", datatype="BYTES",
                                                      shape=[rows, 1])],
        raw_input_contents=[values.tobytes(), element * rows])


def is_echo_of(request, response):
    """The answer is this very request's."""
    return (response.id == request.id
            and list(response.raw_output_contents) == list(request.raw_input_contents))


class Load:
    """Callers in the background that check every answer; `with` ends them. With
    `id_header` each call says its own id in that header."""

    def __init__(self, process, callers=4, model="echo", timeout=10, id_header=None):
        self.process, self.model, self.timeout = process, model, timeout * SLOW
        self.id_header = id_header
        self.stopping = threading.Event()
        self.answers, self.failures, self.durations = 0, [], []
        # Which have answered.
        self.versions = set()
        self.progress = queue.Queue()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(callers)]

    def run(self, number):
        client = stub(self.process)
        count = 0
        while not self.stopping.is_set():
            count += 1
            request = echo_request(self.model, f"{number}-{count}")
            begun = time.monotonic()
            try:
                metadata = [(self.id_header, request.id)] if self.id_header else None
                response = client.ModelInfer(request, timeout=self.timeout, metadata=metadata)
                self.versions.add(response.model_version)
                if not is_echo_of(request, response):
                    self.failures.append(f"{request.id} got another's answer")
            except grpc.RpcError as error:
                self.failures.append(f"{error.code()}: {error.details()}")
            self.durations.append(time.monotonic() - begun)
            self.progress.put(1)

    def wait_answers(self, count):
        for _ in range(count):
            self.progress.get(timeout=30 * SLOW)
        self.answers += count

    def wait_new_answers(self, count):
        """Not counting those that have come by now."""
        self.wait_answers(self.progress.qsize() + count)

    def p99(self):
        """Seconds, of all calls that have ended."""
        ordered = sorted(self.durations)
        return ordered[len(ordered) * 99 // 100]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
