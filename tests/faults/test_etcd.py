"""Several registries before one etcd: each serves every worker and gateway, and
none is missed."""
import os
import time

import pytest

import fleet as lib
from etcd_cluster import EtcdCluster
from fleet import Load, ready_count, wait_model_ready, watch_until

SECONDS = int(os.environ.get("TORCHFLEET_FAULT_SECONDS", "15"))


@pytest.fixture(name="etcd")
def start_etcd(tmp_path):
    with EtcdCluster(tmp_path) as etcd:
        yield etcd


class Both:
    """What a process gets that knows two registries."""

    def __init__(self, *registries):
        self.address = ",".join(r.address for r in registries)


def start_two(fleet, etcd, lease="5s"):
    return [fleet.start_registry(store=etcd.store(), lease=lease) for _ in range(2)]


def ready(registry, count):
    return watch_until(registry, lambda now: ready_count(now) == count)


def test_a_worker_of_one_registry_is_called_through_a_gateway_of_another(fleet, etcd):
    fleet.add_model("echo")
    one, other = start_two(fleet, etcd)
    worker = fleet.start_worker("echo", one)
    gateway = fleet.start_gateway(other)
    wait_model_ready(gateway, "echo")
    assert ready(one, 1).keys() == ready(other, 1).keys()
    assert worker.terminate() == 0
    watch_until(other, lambda now: ready_count(now) == 0)


def test_a_worker_that_is_killed_is_gone_for_all_registries(fleet, etcd):
    fleet.add_model("echo")
    registries = start_two(fleet, etcd, lease="2s")
    worker = fleet.start_worker("echo", registries[0])
    for registry in registries:
        ready(registry, 1)
    worker.kill()
    for registry in registries:
        watch_until(registry, lambda now: not now)


def test_no_call_fails_while_registries_are_killed_in_turn(fleet, etcd):
    fleet.add_model("echo")
    registries = start_two(fleet, etcd)
    workers = [fleet.start_worker("echo", Both(*registries)) for _ in range(2)]
    gateway = fleet.start_gateway(Both(*registries))
    wait_model_ready(gateway, "echo")
    for registry in registries:
        ready(registry, len(workers))
    with Load(gateway) as load:
        for turn in range(max(2, SECONDS // 5)):
            registries[turn % 2].kill()
            load.wait_new_answers(20)
            left = registries[(turn + 1) % 2]
            ready(left, len(workers))
            registries[turn % 2] = fleet.start_registry(listen=registries[turn % 2].address,
                                                        store=etcd.store())
            ready(registries[turn % 2], len(workers))
            until = time.monotonic() + 2
            while time.monotonic() < until:
                load.wait_new_answers(5)
    assert load.failures == []


def test_no_call_fails_while_etcd_is_away(fleet, etcd):
    fleet.add_model("echo")
    registries = start_two(fleet, etcd)
    fleet.start_worker("echo", Both(*registries))
    gateway = fleet.start_gateway(Both(*registries))
    wait_model_ready(gateway, "echo")
    with Load(gateway) as load:
        etcd.members[0].kill()
        # Longer than a lease.
        until = time.monotonic() + 7
        while time.monotonic() < until:
            load.wait_new_answers(5)
        etcd.start(etcd.members[0])
        for registry in registries:
            lib.eventually(lambda registry=registry: came_back(registry), bound=30)
        load.wait_new_answers(50)
    assert load.failures == []


def came_back(registry):
    """It has a stream for a watcher, with the worker in it."""
    try:
        return ready(registry, 1)
    except lib.grpc.RpcError:
        return False
