"""A new version comes, another is tried and taken back, and callers go on calling: who
answered whom, and whether a call failed."""
import collections
import json
import signal
import threading
import time
import urllib.request

from harness import fleet, stubs
from harness.tables import Goal, Section, count

MODEL, CALLERS = "m", 8
# A change is to be in force so soon after it was acknowledged.
IN_FORCE = 0.1
# A version on trial must be taken back within so many seconds.
PATIENCE = 60


class _Callers:
    """Closed loops that note when each call began and ended, and by which version."""

    def __init__(self, gateway):
        self.grpc, self.pb, services = stubs.inference()
        self.calls, self.over = [], threading.Event()
        self.service = services.GRPCInferenceServiceStub
        self.threads = [threading.Thread(target=self._run, args=(gateway.address,))
                        for _ in range(CALLERS)]

    def _run(self, address):
        tensor = self.pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP32",
                                                            shape=[1, 240])
        request = self.pb.ModelInferRequest(model_name=MODEL, inputs=[tensor],
                                            raw_input_contents=[bytes(960)])
        while not self.over.is_set():
            # A caller stays at its side for as long as its connection lives.
            with self.grpc.insecure_channel(address, options=[
                    ("grpc.use_local_subchannel_pool", 1)]) as channel:
                infer = self.service(channel).ModelInfer
                for _ in range(20):
                    begun = time.monotonic()
                    try:
                        by = infer(request, timeout=10).model_version
                    except self.grpc.RpcError as error:
                        by = f"{error.code().name}: {error.details()}"
                    self.calls.append((begun, time.monotonic(), by))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


class _Rollout:
    def __init__(self, bench):
        self.bench = bench
        self.registry = bench.keep(fleet.registry("2s"))
        self.gateway = bench.keep(fleet.gateway_of(self.registry))
        self.workers = collections.defaultdict(list)
        # (since when, which versions may answer), the first of old.
        self.allowed = [(0.0, {"1"})]

    def send(self, path, body=None, method=None):
        request = urllib.request.Request(
            f"http://{self.registry.report['operator_address']}{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def put_model(self, prod, method="PUT"):
        model = {"name": MODEL, "versions": [{"version": str(v)} for v in (1, 2, 3)],
                 "aliases": {"prod": str(prod)}}
        self.send("/v1/models" if method == "POST" else f"/v1/models/{MODEL}", model, method)

    def put_route(self, **rule):
        self.send(f"/v1/routes/{MODEL}", {"model": MODEL, "rules": [
            {"targets": [{"alias": "prod"}], **rule}]}, "PUT")

    def start(self, version, number, **parameters):
        folder = self.bench.repository()
        fleet.add_slow_model(folder, MODEL, 4, versions=(version,), **parameters)
        self.workers[version] += [
            self.bench.keep(fleet.slow_worker(folder, MODEL, self.registry, version))
            for _ in range(number)]
        fleet.await_ready(self.gateway, sum(map(len, self.workers.values())), model=MODEL)

    def change(self, change, during, after):
        self.allowed.append((time.monotonic(), during))
        change()
        self.allowed.append((time.monotonic() + IN_FORCE, after))

    def drain(self, version):
        for worker in self.workers.pop(version):
            worker.popen.send_signal(signal.SIGTERM)
            worker.popen.wait()

    def canary_phase(self):
        rule, = self.send(f"/v1/routes/{MODEL}")["rules"]
        return rule.get("canary", {}).get("phase", "")

    def allows(self, begun, ended, by):
        over = [since for since, _ in self.allowed[1:]] + [float("inf")]
        return any(by in versions for (since, versions), until in zip(self.allowed, over)
                   if since <= ended and begun <= until)


def _update(rollout):
    """Version 2 takes over from version 1."""
    rollout.start(2, 3, delay_ms=10)
    rollout.change(lambda: rollout.put_model(2), {"1", "2"}, {"2"})
    rollout.drain(1)


def _canary(rollout, wait):
    """Version 3 takes five times as long; seconds until it was taken back, or None."""
    rollout.start(3, 3, delay_ms=50)
    rollout.change(lambda: rollout.put_route(canary={
        "target": {"version": "3"}, "steps": [20, 50, 100], "stepSeconds": 2, "minCalls": 50}),
        {"2", "3"}, {"2", "3"})
    begun = time.monotonic()
    while rollout.canary_phase() != "PHASE_ROLLED_BACK":
        if time.monotonic() > begun + PATIENCE:
            return None
        wait.wait(0.05)
    rollout.allowed.append((time.monotonic() + IN_FORCE, {"2"}))
    return time.monotonic() - begun


def measure(bench):
    wait = threading.Event()
    with bench.servers():
        rollout = _Rollout(bench)
        rollout.start(1, 3, delay_ms=10)
        rollout.put_model(1, "POST")
        rollout.put_route()
        with _Callers(rollout.gateway) as callers:
            wait.wait(bench.seconds)
            _update(rollout)
            wait.wait(bench.seconds)
            back = _canary(rollout, wait)
            wait.wait(bench.seconds)
    versions = [by for _, _, by in callers.calls if by.isdigit()]
    failed = [by for _, _, by in callers.calls if not by.isdigit()]
    wrong = [call for call in callers.calls if call[2].isdigit() and not rollout.allows(*call)]
    notes = [f"version 3 was taken back after {back:.1f} s" if back is not None else
             f"version 3 was not taken back within {PATIENCE} s", *sorted(set(failed))]
    return Section("A rolling update, and a canary five times as slow that is taken back",
                   ["calls", "by version 1", "by 2", "by 3", "failed", "by a wrong version"],
                   [[count(len(callers.calls)), *(count(versions.count(v)) for v in "123"),
                     count(len(failed)), count(len(wrong))]],
                   [Goal("failed calls", len(failed), 0, "{:.0f}"),
                    Goal("answers by a wrong version", len(wrong), 0, "{:.0f}"),
                    Goal("canaries taken back", int(back is not None), 1, "{:.0f}",
                         at_least=True)], notes)
