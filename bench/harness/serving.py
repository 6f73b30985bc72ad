"""Model servers: our worker and its peers, each with one TorchScript model that
takes 784 floats, one thread in the model, and batching as it is told.

A server that is there becomes one Subject for each protocol; its `load` makes the
calls, its `batches` tells the batches that it formed.
"""
import dataclasses
import json
import os
import shutil
import struct
import subprocess
import sys
import time
import urllib.request

from . import http2, peers, stubs
from .h2load import H2Load
from .peers import PEERS, NotThere
from .processes import BIN, ROOT, SUBJECT_CORE, Server, free_address, ours
from .windows import Load, Subject

WIDTH = 784
NAME = "m"
# Libraries' own thread pools are of one thread in every server.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
TORCHSERVE_PREDICTIONS = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions"


@dataclasses.dataclass
class Model:
    """model.pt in a folder, and what it makes of some floats."""
    folder: str
    floats: list
    expected: list

    @property
    def file(self):
        return os.path.join(self.folder, "model.pt")

    def row(self):
        return struct.pack(f"<{WIDTH}f", *self.floats)

    def check(self, answer, who):
        got = struct.unpack(f"<{len(answer) // 4}f", answer)
        if len(got) != len(self.expected) or any(
                abs(a - b) > 1e-4 * max(1, abs(b)) for a, b in zip(got, self.expected)):
            raise RuntimeError(f"{who} answers {got}, expected {self.expected}")


@dataclasses.dataclass(frozen=True)
class Batching:
    """At most so many rows, after at most so long; without a delay the server's own
    default, and 1 for none at all."""
    most: int = 1
    delay_us: int = None

    def text(self):
        return "" if self.delay_us is None else \
            f"dynamic_batching {{ max_queue_delay_microseconds: {self.delay_us} }}"


def make_models(folder, kind, *more):
    """Runs models.py, as run.py itself has no need of torch."""
    run = subprocess.run([sys.executable, os.path.join(ROOT, "bench/subjects/models.py"), kind,
                          folder, *more], stderr=subprocess.PIPE, text=True, check=False)
    if run.returncode != 0:
        raise NotThere(f"torch in {sys.executable} ({run.stderr.strip()[-200:]})")


def make_model(folder, kind):
    make_models(folder, kind)
    with open(os.path.join(folder, "check.json"), encoding="utf-8") as file:
        return Model(folder, **json.load(file))


def repository(folder, model_file, config):
    """A model repository, laid out as Triton and we have it."""
    version = os.path.join(folder, NAME, "1")
    os.makedirs(version)
    shutil.copy(model_file, os.path.join(version, "model.pt"))
    with open(os.path.join(folder, NAME, "config.pbtxt"), "w", encoding="utf-8") as file:
        file.write(config)
    return folder


def _config(platform, model, batching):
    return f"""
name: "{NAME}"
{platform}
max_batch_size: {batching.most}
input {{ name: "x" data_type: TYPE_FP32 dims: {WIDTH} }}
output {{ name: "y" data_type: TYPE_FP32 dims: {len(model.expected)} }}
instance_group {{ count: 1 kind: KIND_CPU }}
{batching.text()}
"""


def counted(address):
    """A function that asks an Open Inference server for its batches by size; where
    it tells no sizes, all have the mean one."""
    def batches():
        grpc, pb, services = stubs.inference()
        with grpc.insecure_channel(address) as channel:
            answer = services.GRPCInferenceServiceStub(channel).ModelStatistics(
                pb.ModelStatisticsRequest(name=NAME), timeout=10)
        stats = answer.model_stats[0]
        if stats.batch_stats:
            return {batch.batch_size: batch.compute_infer.count for batch in stats.batch_stats}
        return {"rows": stats.inference_count, "executions": stats.execution_count}
    return batches


def infer(address, model, timeout=10):
    """One answer's bytes, by gRPC."""
    grpc, pb, services = stubs.inference()
    request = pb.ModelInferRequest(
        model_name=NAME, raw_input_contents=[model.row()],
        inputs=[pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP32",
                                                      shape=[1, WIDTH])])
    with grpc.insecure_channel(address) as channel:
        answer = services.GRPCInferenceServiceStub(channel).ModelInfer(
            request, timeout=timeout, wait_for_ready=True)
    return answer.raw_output_contents[0]


def torch_worker(folder, model_file, config):
    return Server([ours("torchfleet-worker"), "--repository",
                   repository(folder, model_file, config), "--model", NAME, "--listen",
                   "127.0.0.1:0", "--log-level", "warning"], SUBJECT_CORE, ready="fd",
                  env=ONE_THREAD)


def _open_inference(name, server, model, in_flight, connections):
    model.check(infer(server.address, model), name)
    subject = Subject(name, server.address, {"server": server}, batches=counted(server.address))
    subject.load = Load(NAME, in_flight, connections)
    return [subject]


def worker(bench, model, batching, in_flight, connections, name="worker"):
    server = bench.keep(torch_worker(
        os.path.join(bench.folder(), "models"), model.file,
        _config('platform: "pytorch_libtorch"', model, batching)))
    return _open_inference(name, server, model, in_flight, connections)


def triton(bench, model, batching, in_flight, connections):
    home = os.path.join(PEERS, "triton")
    binary = os.path.join(home, "pytriton/tritonserver/bin/tritonserver")
    backends = os.path.join(BIN, "triton_backends")
    if not os.path.exists(binary) or not os.path.exists(backends):
        raise NotThere("Triton (deploy/setup.sh bench, and a build with LibTorch)")
    os.chmod(binary, 0o755)
    address = free_address()
    models = repository(os.path.join(bench.folder(), "models"), model.file,
                        _config('backend: "torch_bench"', model, batching))
    host, port = address.split(":")
    server = bench.keep(Server(
        [binary, f"--model-repository={models}", f"--backend-directory={backends}",
         f"--grpc-address={host}", f"--grpc-port={port}", "--allow-http=false",
         "--allow-metrics=false", "--log-info=false"], SUBJECT_CORE, address,
        env={**ONE_THREAD, "LD_LIBRARY_PATH": os.path.join(home, "nvidia_pytriton.libs")}))
    return _open_inference("Triton", server, model, in_flight, connections)


_LOG = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="error">
  <Appenders><Console name="out" target="SYSTEM_OUT"><PatternLayout pattern="%m%n"/></Console></Appenders>
  <Loggers><Root level="error"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""


def _torchserve_store(folder, python, model, batching):
    """The model's archive, in a folder of its own."""
    settings = os.path.join(folder, "model.yaml")
    with open(settings, "w", encoding="utf-8") as file:
        file.write(f"minWorkers: 1\nmaxWorkers: 1\nbatchSize: {batching.most}\n"
                   f"maxBatchDelay: {(batching.delay_us or 0) // 1000}\n")
    store = os.path.join(folder, "store")
    os.mkdir(store)
    subprocess.run([python, "-W", "ignore", "-m", "model_archiver.model_packaging", "--model-name", NAME,
                    "--version", "1", "--serialized-file", model.file, "--handler",
                    os.path.join(ROOT, "bench/subjects/torchserve_handler.py"), "--config-file",
                    settings, "--export-path", store], check=True, stdout=subprocess.DEVNULL)
    return store


def _torchserve_server(folder, model, batching, rest, grpc_address):
    venv = os.path.join(PEERS, "torchserve")
    python = os.path.join(venv, "bin/python")
    if not os.path.exists(python) or not shutil.which("java"):
        raise NotThere("TorchServe (deploy/setup.sh bench)")
    site = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
                          stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    batches = os.path.join(folder, "batches")
    with open(batches, "wb") as file:
        file.write(bytes(65 * 8))
    store = _torchserve_store(folder, python, model, batching)
    log = os.path.join(folder, "log4j2.xml")
    with open(log, "w", encoding="utf-8") as file:
        file.write(_LOG)
    properties = os.path.join(folder, "config.properties")
    with open(properties, "w", encoding="utf-8") as file:
        file.write(f"inference_address=http://{rest}\n"
                   f"management_address=http://{free_address()}\n"
                   f"metrics_address=http://{free_address()}\n"
                   "grpc_inference_address=127.0.0.1\ngrpc_management_address=127.0.0.1\n"
                   f"grpc_inference_port={grpc_address.rpartition(':')[2]}\n"
                   f"grpc_management_port={free_address().rpartition(':')[2]}\n"
                   "disable_token_authorization=true\ndisable_system_metrics=true\n"
                   "install_py_dep_per_model=false\njob_queue_size=1000\n")
    return Server(
        ["java", f"-Dmodel_server_home={site}", f"-Dlog4j.configurationFile=file://{log}", "-cp",
         os.path.join(site, "ts/frontend/*"), "org.pytorch.serve.ModelServer", "--python", python,
         "-f", properties, "-s", store, "-ncs", "--disable-token-auth", "-m", f"{NAME}={NAME}.mar"],
        SUBJECT_CORE, rest,
        env={**ONE_THREAD, "PATH": os.path.join(venv, "bin") + ":" + os.environ["PATH"],
             "LOG_LOCATION": folder, "METRICS_LOCATION": folder, "TEMP": folder,
             "TORCHFLEET_BENCH_BATCHES": batches})


def _await_rest(url, row):
    """An answer's bytes, when the server's own workers have started too."""
    for _ in range(600):
        try:
            request = urllib.request.Request(
                url, row, {"content-type": "application/octet-stream"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.read()
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"nothing answers at {url}")


def torchserve(bench, model, batching, in_flight, connections):
    folder, rest, grpc_address = bench.folder(), free_address(), free_address()
    server = bench.keep(_torchserve_server(folder, model, batching, rest, grpc_address))
    path = f"/predictions/{NAME}"
    answer = _await_rest(f"http://{rest}{path}", model.row())
    model.check(answer, "TorchServe")

    def batches():
        with open(os.path.join(folder, "batches"), "rb") as file:
            counts = struct.unpack("<65q", file.read())
        return {size: count for size, count in enumerate(counts) if count}
    by_rest = Subject("TorchServe, REST", rest, {"server": server}, batches=batches)
    by_rest.load = H2Load(path, model.row(), ("content-type: application/octet-stream",),
                          len(answer), in_flight, http1=True)
    by_grpc = Subject("TorchServe, gRPC", grpc_address, {"server": server}, batches=batches)
    # PredictionResponse has the answer's bytes in one field, of under 128 of them.
    by_grpc.load = H2Load(TORCHSERVE_PREDICTIONS, http2.predictions_request(NAME, model.row()),
                          ("content-type: application/grpc", "te: trailers"), 5 + 2 + len(answer),
                          in_flight, connections)
    peers.h2load()
    return [by_rest, by_grpc]


PEER_SERVERS = {"Triton": triton, "TorchServe": torchserve}


def with_peers(bench, model, batching, in_flight, connections):
    """Our worker, and those of the peers that are there."""
    subjects = worker(bench, model, batching, in_flight, connections)
    for start in () if bench.alone else PEER_SERVERS.values():
        try:
            subjects += start(bench, model, batching, in_flight, connections)
        except NotThere as what:
            bench.leave_out(what)
    return subjects
