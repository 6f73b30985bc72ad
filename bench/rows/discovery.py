"""How soon the fleet's news reach calls, and what they cost a gateway."""
import json
import os
import queue
import signal
import socket
import subprocess
import threading
import time

from harness import fleet, stubs
from harness.processes import LOAD_CORE, ours
from harness.tables import Goal, Section, count, us

MODEL = fleet.model(240)
LEASE = 2
# Calls go on for so long after a worker was killed.
LOOKED_AT = 0.5


def _quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class _Caller:
    def __init__(self, gateway):
        self.grpc, pb, services = stubs.inference()
        self.infer = services.GRPCInferenceServiceStub(
            self.grpc.insecure_channel(gateway.address)).ModelInfer
        tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 240])
        self.request = pb.ModelInferRequest(model_name=MODEL, inputs=[tensor],
                                            raw_input_contents=[bytes(960)])

    def answered(self):
        try:
            self.infer(self.request, timeout=10)
            return True
        except self.grpc.RpcError:
            return False

    def until(self, answered, limit=30):
        end = time.monotonic() + limit
        while self.answered() != answered:
            if time.monotonic() > end:
                raise RuntimeError(f"the model's calls did not come to {answered} in {limit} s")


def _ready_ms(bench, rounds):
    """A worker that listens already says READY: until a call reaches it."""
    grpc, pb, services = stubs.registry()
    with bench.servers():
        registry = bench.keep(fleet.registry(f"{LEASE}s"))
        worker = bench.keep(fleet.worker(bench.repository(), MODEL, LOAD_CORE))
        caller = _Caller(bench.keep(fleet.gateway_of(registry)))
        announce = services.RegistryServiceStub(grpc.insecure_channel(registry.address)).Announce
        times = []
        for n in range(rounds):
            said = queue.Queue()
            answers = announce(iter(said.get, None))
            announced = pb.Worker(worker_id=f"w-{n}", address=worker.address, model=MODEL,
                                  version="1", platform="pytorch_libtorch")
            began = time.perf_counter()
            said.put(pb.AnnounceRequest(register=pb.AnnounceRequest.Register(
                worker=announced, state=pb.WORKER_STATE_READY)))
            caller.until(True)
            times.append((time.perf_counter() - began) * 1e3)
            epoch = next(answers).registered.epoch
            said.put(pb.AnnounceRequest(leave=pb.AnnounceRequest.Leave(epoch=epoch)))
            next(answers)
            said.put(None)
            caller.until(False)
        return times


class _Grave:
    """Where a worker was: notes who still comes, and lets nobody in."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        while True:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self.listener.bind((host, int(port)))
                break
            except OSError:
                self.listener.close()
        self.listener.listen(128)
        # Who came before could not be seen.
        self.last = time.perf_counter()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.last = time.perf_counter()
            connection.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()


def _killed_ms(bench, rounds):
    """Until no call tries a worker that was killed, at a gateway that had none on
    it; and how many calls failed."""
    times, failed = [], 0
    with bench.servers():
        registry = bench.keep(fleet.registry(f"{LEASE}s"))
        repository = bench.repository()
        bench.keep(fleet.worker(repository, MODEL, LOAD_CORE, registry.address))
        gateway = bench.keep(fleet.gateway_of(registry))
        caller = _Caller(gateway)
        for _ in range(rounds):
            victim = fleet.worker(repository, MODEL, LOAD_CORE, registry.address)
            fleet.await_ready(gateway, 2)
            for _ in range(20):
                caller.answered()
            began = time.perf_counter()
            victim.popen.send_signal(signal.SIGKILL)
            victim.popen.wait()
            grave = _Grave(victim.address)
            while time.perf_counter() < began + LOOKED_AT:
                failed += not caller.answered()
            grave.close()
            times.append((grave.last - began) * 1e3)
            victim.stop()
            fleet.await_ready(gateway, 1)
    return times, failed


def _frozen_s(bench, rounds):
    """Until a gateway lets go of a worker that is frozen."""
    times = []
    with bench.servers():
        registry = bench.keep(fleet.registry(f"{LEASE}s"))
        repository = bench.repository()
        workers = [bench.keep(fleet.worker(repository, MODEL, LOAD_CORE, registry.address))
                   for _ in range(2)]
        gateway = bench.keep(fleet.gateway_of(registry))
        for _ in range(rounds):
            fleet.await_ready(gateway, 2)
            workers[0].popen.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, workers[0].popen.pid, os.WSTOPPED)
            began = time.perf_counter()
            fleet.await_ready(gateway, 1)
            times.append(time.perf_counter() - began)
            workers[0].popen.send_signal(signal.SIGCONT)
    return times


def measure_news(bench):
    ready = _ready_ms(bench, 40 * bench.turns)
    killed, failed = _killed_ms(bench, 6 * bench.turns)
    frozen = _frozen_s(bench, min(bench.turns, 3))
    lines = [[what, count(len(times)), f"{_quantile(times, 0.5):.1f}",
              f"{_quantile(times, 0.99):.1f}"]
             for what, times in (("READY said → a call answered", ready),
                                 ("killed -9 → no call tries it", killed),
                                 ("frozen → let go of", [s * 1e3 for s in frozen]))]
    return Section("How soon calls feel what happens to a worker, ms", ["", "times", "p50", "p99"],
                   lines,
                   [Goal("READY → a call answered, p99 ms", _quantile(ready, 0.99), 50, "{:.1f}"),
                    Goal("killed -9 → not tried, p99 ms", _quantile(killed, 0.99), 100, "{:.1f}"),
                    Goal("frozen → let go of, s; the lease and 1 s", max(frozen), LEASE + 1)],
                   [f"{failed} calls failed while workers were killed"])


def measure_swap(bench):
    """A gateway with 10,000 workers, without the calls."""
    run = subprocess.run([ours("torchfleet-bench-fleet"), str(400 * bench.turns)],
                         stdout=subprocess.PIPE, text=True, check=True)
    figures = [json.loads(line) for line in run.stdout.splitlines()]
    keys = ("published_us", "delta_p50_us", "delta_p99_us", "pause_p50_us", "pause_p99_us")
    lines = [[count(each["models"]), *(us(each[key]) for key in keys)] for each in figures]
    return Section("10,000 workers at a gateway, µs",
                   ["models", "the first snapshot", "a change, p50", "p99", "a call that meets it, "
                    "p50", "p99"], lines,
                   [Goal("ms that a call waits for a new fleet, p99",
                         max(each["pause_p99_us"] for each in figures) / 1e3, 1, "{:.3f}")])
