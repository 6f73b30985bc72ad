"""The soak's processes: a registry that keeps its store, two gateways, six workers,
and what is done to them."""
import os
import urllib.error
import urllib.request

import grpc

import fleet as lib
from rules import FRONT, MODEL, ROUTES
from traffic import all_to, counted, put_model, send

# The other model: one version, the larger requests.
OTHER = "blob"
LEASE = "3s"
BOUND = 60
# Of a call, in seconds. A gateway that ends lets its calls go on for longer.
DEADLINE = 20.0 * lib.SLOW
DRAIN = f"{25 * lib.SLOW}s"


def served_by(model):
    return MODEL if model == FRONT else model


class Slot:
    """A worker's place in the fleet, whoever is in it. The first of each version is
    never killed: its memory is watched."""

    def __init__(self, model, version, number):
        self.model, self.version = model, version
        self.name = f"{model}-{version}-{number}"
        self.old = number == 0
        self.process = None


class World:
    def __init__(self, folder, fake="delay"):
        self.fleet = lib.Fleet(folder)
        self.folder = str(folder)
        for model, versions in ((MODEL, (1, 2)), (OTHER, (1,))):
            self.fleet.add_model(model, versions=versions, extra="version_policy { all {} }",
                                 fake=fake, delay_ms=2)
        self.slots = [Slot(model, version, number) for model, version in
                      ((MODEL, 1), (MODEL, 2), (OTHER, 1)) for number in range(2)]
        self.registry = None
        self.gateways = [None, None]

    def start(self, state):
        self.start_registry()
        put_model(self.registry, MODEL, (1, 2), prod=state.prod)
        put_model(self.registry, OTHER, (1,))
        self.set_route(state)
        self.set_front(state)
        for slot in self.slots:
            self.start_worker(slot)
        for number in range(2):
            self.start_gateway(number)
        for slot in self.slots:
            self.await_worker(slot)

    def close(self):
        self.fleet.__exit__()

    # --- the registry ---

    def start_registry(self):
        at = self.registry.report if self.registry else {}
        self.registry = self.fleet.start(
            "torchfleet-registry", "--lease", LEASE, "--store",
            f"sqlite:{os.path.join(self.folder, 'registry.db')}",
            "--listen", at.get("address", "127.0.0.1:0"),
            "--operator-listen", at.get("operator_address", "127.0.0.1:0"))

    def await_connected(self):
        """Until both gateways hear the registry."""
        def connected(gateway):
            with urllib.request.urlopen(f"http://{gateway.operator_address}/metrics",
                                        timeout=10 * lib.SLOW) as page:
                return b"torchfleet_gateway_registry_connected 1" in page.read()
        lib.eventually(lambda: all(self.asked(connected, g) for g in self.gateways), BOUND)

    def set_route(self, state):
        self.put_or_delete(MODEL, ROUTES[state.route][0])

    def set_alias(self, state):
        put_model(self.registry, MODEL, (1, 2), prod=state.prod)

    def set_front(self, state):
        self.put_or_delete(FRONT, {"rules": [all_to(model=MODEL, alias="prod")]} if state.front
                           else None)

    def put_or_delete(self, model, route):
        code, answer = send(
            self.registry.operator_address, f"/v1/routes/{model}",
            {"model": model, **route} if route else None, "PUT" if route else "DELETE")
        assert code == 200 or (code == 404 and not route), answer

    # --- gateways ---

    def start_gateway(self, number):
        """Of both, the first stays; the second comes back at its address."""
        old = self.gateways[number]
        self.gateways[number] = self.fleet.start(
            "torchfleet-gateway", "--registry", self.registry.address, "--threads", "2",
            "--drain-timeout", DRAIN,
            "--fleet-file", os.path.join(self.folder, f"fleet-{number}"), "--listen",
            old.address if old else "127.0.0.1:0", "--operator-listen",
            old.operator_address if old else "127.0.0.1:0")
        if old:
            self.forget(old)
        with grpc.insecure_channel(self.gateways[number].address) as channel:
            client = lib.services.GRPCInferenceServiceStub(channel)
            lib.eventually(lambda: client.ServerReady(
                lib.pb.ServerReadyRequest(), wait_for_ready=True, timeout=BOUND).ready, BOUND)

    @staticmethod
    def asked(question, gateway):
        """What a gateway says; False of one that is restarted now."""
        try:
            return question(gateway)
        except (OSError, urllib.error.URLError):
            return False

    # --- workers ---

    def start_worker(self, slot):
        if slot.process:
            self.forget(slot.process)
        slot.process = self.fleet.start_worker(
            slot.model, self.registry, "--worker-id", slot.name, version=slot.version)

    def await_worker(self, slot):
        """Until the registry and both gateways know that it is READY where it is."""
        def there(fleet):
            found = fleet.get(slot.name)
            return (found and found.worker.address == slot.process.address and
                    found.state == lib.registry_pb.WORKER_STATE_READY and not found.disconnected)

        def known():
            try:
                lib.watch_until(self.registry, there, BOUND)
                return True
            except grpc.RpcError:  # the registry is killed now
                return False
        lib.eventually(known, 2 * BOUND)
        replicas = sum(other.model == slot.model for other in self.slots)
        lib.eventually(lambda: all(self.asked(
            lambda g: counted(g, "torchfleet_gateway_fleet_endpoints", model=slot.model,
                              state="ready") == replicas, gateway)
            for gateway in self.gateways), BOUND)

    def drain(self, slot):
        """By the registry; False when that is away."""
        try:
            code, _ = send(self.registry.operator_address, "/v1/drain", {"workerId": slot.name})
            return code == 200
        except OSError:
            return False

    def forget(self, process):
        """One that has ended: there will be thousands."""
        process.close()
        self.fleet.processes.remove(process)

    def processes(self):
        return [*self.gateways, self.registry, *(slot.process for slot in self.slots)]
