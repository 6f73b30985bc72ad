"""Clients of the catalogue, as a process: change and read few models at random
through several registries, and print what they asked and heard.

    python catalogue_clients.py SEED REGISTRY… < commands

Prints a line of JSON per operation, and `{"settled": …}` once every model was
read after the line `settle` on standard input; then it ends. Operations whose
answer was lost have no end.
"""
import json
import random
import sys
import threading
import time

from fleet import grpc  # noqa: F401  (fleet makes the stubs)
from torchfleet.registry.v1 import catalogue_pb2 as pb
from torchfleet.registry.v1 import catalogue_pb2_grpc as services

MODELS = [f"model-{i}" for i in range(4)]
CLIENTS = 6
TIMEOUT = 1
# What an answer with such a code says for sure.
RESULTS = {grpc.StatusCode.ALREADY_EXISTS: "exists", grpc.StatusCode.NOT_FOUND: "missing",
           grpc.StatusCode.ABORTED: "aborted"}
output = threading.Lock()


def say(**fields):
    with output:
        print(json.dumps(fields), flush=True)


def connect(address):
    return services.CatalogueServiceStub(grpc.insecure_channel(address, options=[
        ("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 300),
        ("grpc.min_reconnect_backoff_ms", 300)]))


class Client(threading.Thread):
    def __init__(self, number, seed, stubs, settle):
        super().__init__()
        self.number, self.stubs, self.settle = number, stubs, settle
        self.random = random.Random(f"{seed}/{number}")
        self.count = 0
        # The revision last heard of each model.
        self.known = {}

    def ask(self, key, action):
        """One operation; its result, `unknown` when the answer was lost."""
        stub = self.random.choice(self.stubs)
        self.count += 1
        value, expected = "", self.known.get(key, 0)
        begin = time.monotonic()
        model = None
        try:
            if action == "get":
                model = stub.GetModel(pb.GetModelRequest(name=key), timeout=TIMEOUT).model
                value = model.labels["written"]
            elif action == "delete":
                stub.DeleteModel(pb.DeleteModelRequest(name=key, revision=expected),
                                 timeout=TIMEOUT)
            else:
                value = f"{self.number}-{self.count}"
                wanted = pb.Model(name=key, labels={"written": value})
                if action == "create":
                    answer = stub.CreateModel(pb.CreateModelRequest(model=wanted),
                                              timeout=TIMEOUT)
                else:
                    answer = stub.UpdateModel(
                        pb.UpdateModelRequest(model=wanted, revision=expected), timeout=TIMEOUT)
                model = answer.model
            result = "ok"
        except grpc.RpcError as error:
            result = RESULTS.get(error.code(), "unknown")
        end = time.monotonic()
        revision = model.revision if model else 0
        self.known[key] = revision
        if result != "unknown" or action != "get":
            say(action=action, key=key, begin=begin, end=None if result == "unknown" else end,
                result=result, value=value, revision=revision,
                expected=expected if action in ("update", "delete") else 0)
        return result

    def run(self):
        while not self.settle.is_set():
            key = self.random.choice(MODELS)
            actions = ["update"] * 5 + ["delete", "get"] if self.known.get(key) else [
                "create", "get", "get"]
            if self.ask(key, self.random.choice(actions)) == "unknown":
                # A registry that is gone refuses faster than it could come back.
                self.settle.wait(0.02)


def main():
    seed, addresses = sys.argv[1], sys.argv[2:]
    settle = threading.Event()
    stubs = [connect(address) for address in addresses]
    clients = [Client(i, seed, stubs, settle) for i in range(CLIENTS)]
    for client in clients:
        client.start()
    sys.stdin.readline()
    settle.set()
    for client in clients:
        client.join()
    # Everything is whole again: each model is read by way of each registry.
    last = [Client(len(clients) + i, seed, [stub], settle) for i, stub in enumerate(stubs)]
    limit = time.monotonic() + 30
    for client in last:
        for key in MODELS:
            while client.ask(key, "get") == "unknown" and time.monotonic() < limit:
                settle.wait(0.02)
                threading.Event().wait(0.02)
    say(settled=time.monotonic() < limit)


if __name__ == "__main__":
    main()
