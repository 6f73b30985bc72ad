"""The registry held against a plain model of itself: what an operator, workers
and watchers may see while it is killed, stopped, restarted and its date is set.

`Registry` is the process, `Operator` writes the catalogue and remembers what may
be there, `Worker` holds a lease as a real one does, `Follower` watches and checks
every step. None of them sleeps; each knows what it is waiting for.
"""
import copy
import os
import queue
import random
import threading

import grpc

import fleet as lib
from fleet import registry_pb, registry_services
from torchfleet.registry.v1 import catalogue_pb2 as catalogue_pb
from torchfleet.registry.v1 import catalogue_pb2_grpc as catalogue_services

READY, DRAINING = registry_pb.WORKER_STATE_READY, registry_pb.WORKER_STATE_DRAINING
GONE = None


class Registry:
    """One registry process after another, at the same address with the same store."""

    def __init__(self, fleet, store, lease="2s"):
        self.fleet, self.store, self.lease = fleet, store, lease
        self.process = None
        self.address = "127.0.0.1:0"

    def start(self, shift=0):
        """`shift`: by how many seconds this life's date is wrong."""
        env = {}
        # A sanitizer must be the first library.
        if shift and lib.SLOW == 1:
            env = {"LD_PRELOAD": faketime_library(), "FAKETIME": f"{shift:+d}s",
                   "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        self.process = self.fleet.start(
            "torchfleet-registry", "--listen", self.address, "--lease", self.lease, "--store",
            self.store, env=env)
        self.address = self.process.address

    def kill(self):
        self.process.kill()

    def channel(self):
        # Its own connection: a broken one of an earlier life is not waited for.
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 20),
                   ("grpc.min_reconnect_backoff_ms", 20), ("grpc.max_reconnect_backoff_ms", 100)]
        return grpc.insecure_channel(self.address, options=options)


def faketime_library():
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"):
        path = os.path.join(folder, "faketime", "libfaketimeMT.so.1")
        if os.path.exists(path):
            return path
    raise RuntimeError("libfaketime is not installed; deploy/setup.sh test brings it")


class Operator:
    """Writes models and routes, one at a time, and knows what may be there.

    `models[name]` and `routes[name]` are lists of what the registry may hold: one
    entry once a write was acknowledged or refused, two while nobody can know.
    """

    def __init__(self, registry, seed):
        self.registry, self.random = registry, random.Random(seed)
        self.models, self.routes = {}, {}
        self.highest = 0
        self.written = self.unknown = 0
        self.connect()

    def connect(self):
        self.channel = self.registry.channel()
        self.stub = catalogue_services.CatalogueServiceStub(self.channel)

    def begin_write(self):
        """Starts a write; `settle` must follow."""
        name = f"m{self.random.randrange(6)}"
        self.held = self.models if self.random.random() < 0.7 else self.routes
        if self.held is self.routes:
            return self.begin_route(name)
        possible = self.models.get(name, [GONE])
        model = catalogue_pb.Model(name=name, labels={"n": str(self.random.randrange(1 << 30))})
        model.versions.add(version=str(self.random.randrange(1, 9)))
        kind = self.random.choice(["create", "update", "update", "delete"])
        if kind == "create":
            call = self.stub.CreateModel.future(
                catalogue_pb.CreateModelRequest(model=model, actor="test"), timeout=5 * lib.SLOW)
        elif kind == "update":
            call = self.stub.UpdateModel.future(
                catalogue_pb.UpdateModelRequest(model=model, force=True, actor="test"),
                timeout=5 * lib.SLOW)
        else:
            model = GONE
            call = self.stub.DeleteModel.future(
                catalogue_pb.DeleteModelRequest(name=name, force=True, actor="test"),
                timeout=5 * lib.SLOW)
        return name, kind, possible, model, call

    def begin_route(self, name):
        possible = self.routes.get(name, [GONE])
        if self.random.random() < 0.3:
            call = self.stub.DeleteRoute.future(
                catalogue_pb.DeleteRouteRequest(model=name, actor="test"), timeout=5 * lib.SLOW)
            return name, "delete", possible, GONE, call
        route = catalogue_pb.Route(model=name)
        target = route.rules.add().targets.add()
        target.version, target.weight = "1", self.random.randrange(1, 1000000)
        call = self.stub.SetRoute.future(
            catalogue_pb.SetRouteRequest(route=route, force=True, actor="test"),
            timeout=5 * lib.SLOW)
        return name, "set", possible, route, call

    def settle(self, write):
        """Waits for the answer and draws the only conclusions it allows."""
        name, kind, possible, wanted, call = write
        code = call.code()
        if code == grpc.StatusCode.OK:
            answer = call.result()
            if wanted is not GONE:
                revision = getattr(answer, "model" if self.held is self.models else "route").revision
                assert revision > self.highest, f"revision {revision} after {self.highest}"
                self.highest = revision
            self.held[name] = [wanted]
            self.written += 1
        elif code == grpc.StatusCode.ALREADY_EXISTS:
            assert kind == "create"
            assert self.known(possible), f"{name} is said to be there; model: {possible}"
            self.held[name] = self.known(possible)
        elif code == grpc.StatusCode.NOT_FOUND:
            assert kind in ("update", "delete")
            assert GONE in possible, f"{name} is said to be gone; model: {possible}"
            self.held[name] = [GONE]
        else:
            assert code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED,
                            grpc.StatusCode.CANCELLED), f"{kind}: {code} {call.details()}"
            self.held[name] = possible + [wanted]
            self.unknown += 1

    @staticmethod
    def known(possible):
        return [state for state in possible if state is not GONE]

    def check(self):
        """What the registry lists is what may be there, and from now on all of it
        that can be."""
        models = {m.name: m for m in self.stub.ListModels(
            catalogue_pb.ListModelsRequest(), timeout=20 * lib.SLOW, wait_for_ready=True).models}
        routes = {r.model: r for r in self.stub.ListRoutes(
            catalogue_pb.ListRoutesRequest(), timeout=20 * lib.SLOW).routes}
        for held, found in ((self.models, models), (self.routes, routes)):
            for name in set(held) | set(found):
                now = plain(found[name]) if name in found else GONE
                assert now in held.get(name, [GONE]), \
                    f"{name} is {now}; acknowledged: {held.get(name)}"
                held[name] = [now]
        revisions = [entry.revision for entry in [*models.values(), *routes.values()]]
        self.highest = max([self.highest, *revisions])
        return models, routes


def plain(entry):
    """A model or route without what the registry adds."""
    entry = copy.deepcopy(entry)
    for field in ("revision", "created_at", "updated_at", "updated_by"):
        entry.ClearField(field)
    return entry


class Worker:
    """Holds a lease in a thread of its own, and registers anew whenever it must."""

    def __init__(self, registry, number):
        self.registry, self.name = registry, f"w{number}"
        self.lives = 0
        self.session = None
        # Epochs that were given to it, the latest last.
        self.epochs = []

    def register(self):
        """A new life: another address, and whatever was before is a zombie. Whether
        the registry took it."""
        self.lives += 1
        session = Session(self.registry, registry_pb.Worker(
            worker_id=self.name, address=f"127.0.0.1:{self.lives}", model="m", version="1"))
        if not session.register():
            return False
        assert not self.epochs or session.epoch > self.epochs[-1], \
            f"{self.name}: epoch {session.epoch} after {self.epochs[-1]}"
        self.epochs.append(session.epoch)
        self.session = session
        return True

    def renew(self, state=READY):
        """Whether it still holds its lease."""
        if self.session and self.session.renew(state):
            return True
        self.session = None
        return False

    def leave(self):
        if self.session:
            self.session.leave()
        self.session = None


class Session:
    """One announce stream."""

    def __init__(self, registry, worker):
        self.channel = registry.channel()
        self.worker, self.epoch = worker, 0
        self.outgoing = queue.Queue()
        self.stream = registry_services.RegistryServiceStub(self.channel).Announce(
            iter(self.outgoing.get, None), timeout=120 * lib.SLOW)

    def ask(self, **message):
        self.outgoing.put(registry_pb.AnnounceRequest(**message))
        try:
            return next(self.stream)
        except (grpc.RpcError, StopIteration):
            self.close()
            return None

    def register(self):
        answer = self.ask(register=registry_pb.AnnounceRequest.Register(
            worker=self.worker, state=READY))
        if answer is None:
            return False
        self.epoch = answer.registered.epoch
        return True

    def renew(self, state):
        return self.ask(renew=registry_pb.AnnounceRequest.Renew(
            epoch=self.epoch, state=state,
            load=registry_pb.Load(capacity=1, running=self.epoch % 7))) is not None

    def leave(self):
        self.ask(leave=registry_pb.AnnounceRequest.Leave(epoch=self.epoch))
        self.close()

    def close(self):
        self.outgoing.put(None)
        self.stream.cancel()
        self.channel.close()


class Follower:
    """A watcher that comes back where it was. Everything it sees must be possible."""

    def __init__(self, registry, models=()):
        self.registry, self.models = registry, list(models)
        self.position = ("", 0)
        self.endpoints, self.catalogue, self.routes = {}, {}, {}
        self.epochs = {}
        self.wrong = []
        self.snapshots = self.deltas = 0
        self.changed = threading.Condition()
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping:
            channel = self.registry.channel()
            self.stream = registry_services.RegistryServiceStub(channel).Watch(
                registry_pb.WatchRequest(incarnation=self.position[0],
                                         after_revision=self.position[1], models=self.models),
                wait_for_ready=True, timeout=60 * lib.SLOW)
            try:
                for response in self.stream:
                    with self.changed:
                        self.apply(response)
                        self.changed.notify_all()
            except grpc.RpcError:
                pass
            channel.close()

    def apply(self, response):
        if response.incarnation == self.position[0] and response.revision < self.position[1]:
            self.wrong.append(f"revision {response.revision} after {self.position[1]}")
        self.position = (response.incarnation, response.revision)
        if response.HasField("snapshot"):
            self.snapshots += 1
            self.endpoints, self.catalogue, self.routes = {}, {}, {}
            self.take(response.snapshot.endpoints, response.snapshot.models,
                      response.snapshot.routes)
            return
        self.deltas += 1
        delta = response.delta
        for held, gone in ((self.endpoints, delta.removed), (self.catalogue, delta.removed_models),
                           (self.routes, delta.removed_routes)):
            for name in gone:
                held.pop(name, None)
        self.take(delta.updated, delta.models, delta.routes)
        for condition in delta.conditions:
            if condition.worker_id not in self.endpoints:
                self.wrong.append(f"a condition of {condition.worker_id}, which is not there")
                continue
            endpoint = self.endpoints[condition.worker_id]
            endpoint.state, endpoint.disconnected = condition.state, condition.disconnected

    def take(self, endpoints, models, routes):
        for endpoint in endpoints:
            name = endpoint.worker.worker_id
            if endpoint.epoch < self.epochs.get(name, 0):
                self.wrong.append(f"{name}: the zombie of epoch {endpoint.epoch} is back after "
                                  f"{self.epochs[name]}")
            self.epochs[name] = endpoint.epoch
            self.endpoints[name] = copy.deepcopy(endpoint)
        self.catalogue.update({m.name: copy.deepcopy(m) for m in models})
        self.routes.update({r.model: copy.deepcopy(r) for r in routes})

    def await_state(self, workers, models, routes):
        """Until it has exactly these."""
        def there():
            return ({n: e.epoch for n, e in self.endpoints.items() if not e.disconnected} == workers
                    and self.catalogue == models and self.routes == routes)
        with self.changed:
            came = self.changed.wait_for(there, timeout=20 * lib.SLOW)
            assert came, (f"has {({n: e.epoch for n, e in self.endpoints.items()})}, "
                          f"{sorted(self.catalogue)}, {sorted(self.routes)}; expected {workers}, "
                          f"{sorted(models)}, {sorted(routes)}")

    def close(self):
        self.stopping = True
        self.stream.cancel()
        self.thread.join(timeout=10 * lib.SLOW)
