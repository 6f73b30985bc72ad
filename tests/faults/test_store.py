"""The registry's embedded store: nothing acknowledged is lost, whatever happens
to the process, its disk and its clock."""
import glob
import http.client
import json
import os
import random
import subprocess

import grpc
import pytest

import fleet as lib
from small_disk import mount, small_disk  # noqa: F401 (a fixture)
from store import BIN, SLOW, Refused, Store


def put_until_killed(store, rng, sent, acknowledged):
    """Keeps writes under way and kills the process after some of the answers."""
    for _ in range(16):
        put_next(store, rng, sent)
    for _ in range(rng.randrange(1, 60)):
        call, answer = store.order.get(timeout=60 * SLOW)
        if call in sent and answer[0] == "ok":
            acknowledged[call] = int(answer[1])
        put_next(store, rng, sent)
    store.kill()
    # What was answered before the end counts too.
    while (last := store.order.get(timeout=60 * SLOW)) is not None:
        if last[0] in sent and last[1][0] == "ok":
            acknowledged[last[0]] = int(last[1][1])


def put_next(store, rng, sent):
    key = f"k{rng.randrange(8)}"
    value = f"{store.round}.{store.last}." + "x" * rng.choice((1, 10, 3000))
    call = store.begin("put", f"{key}/a,{key}/b", value, "-")
    sent[call] = (key, value)


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_point(tmp_path, seed):
    rng = random.Random(seed)
    latest, highest, position = {}, 0, -1
    for round_ in range(6):
        with Store(f"sqlite:{tmp_path}/registry.db") as store:
            store.round = f"{seed}.{round_}"
            assert store.position() > position
            position = store.position()
            found = store.catalogue()
            check_survivors(found, latest)
            highest = max([highest, *(modified for _, modified in found.values())])
            latest = {key.split("/")[0]: [value] for key, value in found.items()}
            while not store.order.empty():
                store.order.get()
            sent, acknowledged = {}, {}
            put_until_killed(store, rng, sent, acknowledged)
            assert all(revision > highest for revision in acknowledged.values())
            assert len(set(acknowledged.values())) == len(acknowledged)
            highest = max([highest, *acknowledged.values()])
            # Of each key: the last that was acknowledged, or one sent after it.
            for call, (key, value) in sent.items():
                if call in acknowledged:
                    latest[key] = [(value, acknowledged[call])]
                else:
                    latest.setdefault(key, [None]).append((value, None))
    with Store(f"sqlite:{tmp_path}/registry.db") as store:
        check_survivors(store.catalogue(), latest)


def check_survivors(found, latest):
    for key, candidates in latest.items():
        first, second = found.get(f"{key}/a"), found.get(f"{key}/b")
        # A transaction is there whole or not at all.
        assert first == second
        if first is None:
            assert candidates[0] is None
            continue
        value, modified = first
        assert any(candidate is not None and candidate[0] == value and
                   candidate[1] in (None, modified) for candidate in candidates)
    assert {key.split("/")[0] for key in found} <= set(latest)


def fill(store, name, limit=3000):
    """Writes until the disk is full; the keys that were acknowledged."""
    written = []
    for i in range(limit):
        try:
            store.put(f"{name}{i}", "x" * 2000)
        except Refused as refused:
            assert refused.code == "RESOURCE_EXHAUSTED"
            return written
        written.append(f"{name}{i}")
    raise AssertionError("the disk was never full")


def test_full_disk(small_disk):
    path = f"sqlite:{small_disk}/registry.db"
    with Store(path) as store:
        written = fill(store, "a")
        position = store.position()
        assert len(written) > 20
        assert set(store.catalogue()) == set(written)
        _, lease = store.lease("60s", "workers/w")
        store.renew(lease)
        store.lease("50ms", "workers/v")
        store.await_gone("workers/v")
        store.kill()
    for _ in range(2):
        # It starts on the full disk too, and knows everything.
        with Store(path) as store:
            assert set(store.catalogue()) == set(written)
            assert store.position() > position
            position = store.lease("60s", "workers/w")[0]
            written += fill(store, f"b{position}.")
    assert mount("-o", "remount,size=8m", str(small_disk))
    with Store(path) as store:
        store.put("late", "x")
        assert store.position() > position
        assert set(store.catalogue()) == {*written, "late"}


def rest(registry, method, path, body=None):
    """The code of the answer."""
    connection = http.client.HTTPConnection(registry.operator_address, timeout=30 * SLOW)
    connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
    code = connection.getresponse().status
    connection.close()
    return code


def create(registry, name):
    labels = {f"label{i}": "x" * 200 for i in range(10)}
    return rest(registry, "POST", "/v1/models", {"name": name, "labels": labels})


def test_registry_on_a_full_disk(small_disk, fleet):
    from torchfleet.registry.v1 import catalogue_pb2, catalogue_pb2_grpc
    fleet.add_model("echo")
    store = f"sqlite:{small_disk}/registry.db"
    registry = fleet.start_registry(store=store)
    fleet.start_worker("echo", registry)
    gateway = fleet.start_gateway(registry)
    lib.wait_model_ready(gateway, "echo")
    codes = []
    while len(codes) < 1000 and codes[-1:] != [507]:
        codes.append(create(registry, f"m{len(codes)}"))
    assert codes == [201] * (len(codes) - 1) + [507]
    for _ in range(2):
        assert rest(registry, "GET", f"/v1/models/m{len(codes) - 2}") == 200
        assert rest(registry, "GET", f"/v1/models/m{len(codes) - 1}") == 404
        with grpc.insecure_channel(registry.address) as channel:
            service = catalogue_pb2_grpc.CatalogueServiceStub(channel)
            request = catalogue_pb2.CreateModelRequest(
                model=catalogue_pb2.Model(name="large", labels={"x": "x" * 256}))
            with pytest.raises(grpc.RpcError) as refused:
                for _ in range(100):
                    service.CreateModel(request, timeout=30 * SLOW)
                    request.model.name += "e"
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert str(small_disk) not in refused.value.details()
        lib.watch_until(registry, lambda now: lib.ready_count(now) == 1)
        request = lib.echo_request()
        assert lib.is_echo_of(request, lib.stub(gateway).ModelInfer(request, timeout=30 * SLOW))
        # Started anew it is the same: what is there is served, and the worker comes back.
        registry.kill()
        registry = fleet.start_registry(listen=registry.address, store=store)
    assert mount("-o", "remount,size=8m", str(small_disk))
    assert create(registry, "late") == 201


def test_full_disk_gets_room(small_disk):
    with Store(f"sqlite:{small_disk}/registry.db") as store:
        written = fill(store, "a")
        assert mount("-o", "remount,size=8m", str(small_disk))
        store.put("late", "x")
        assert set(store.catalogue()) == {*written, "late"}


def test_no_room_for_a_new_catalogue(small_disk):
    with open(small_disk / "ballast", "wb", buffering=0) as file:
        with pytest.raises(OSError):
            for _ in range(300):
                file.write(b"x" * 4096)
    with pytest.raises(Refused) as refused:
        Store(f"sqlite:{small_disk}/registry.db")
    assert refused.value.code == "RESOURCE_EXHAUSTED"
    assert "make room" in refused.value.text
    assert os.listdir(small_disk) == ["ballast"]


def test_disk_that_may_only_be_read(small_disk):
    path = f"sqlite:{small_disk}/registry.db"
    with Store(path) as store:
        store.put("a", "1")
    assert mount("-o", "remount,ro", str(small_disk))
    with pytest.raises(Refused) as refused:
        Store(path)
    assert refused.value.code == "PERMISSION_DENIED"
    assert "registry.db" in refused.value.text and "right to write" in refused.value.text
    assert mount("-o", "remount,rw", str(small_disk))
    with Store(path) as store:
        assert store.catalogue()["a"][0] == "1"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(Refused) as refused:
        Store(f"sqlite:{tmp_path}/registry.db")
    tmp_path.chmod(0o700)
    assert refused.value.code == "PERMISSION_DENIED"


def test_frozen_process_ends_no_lease(tmp_path):
    with Store("memory") as watch, Store(f"sqlite:{tmp_path}/registry.db") as store:
        _, lease = store.lease("3s", "workers/w")
        store.freeze()
        # As long as the lease, and longer than it had left.
        watch.lease("3s", "workers/w")
        watch.await_gone("workers/w")
        store.thaw()
        store.renew(lease)
        # Leases still end, later.
        store.await_gone("workers/w")
        with pytest.raises(Refused) as refused:
            store.renew(lease)
        assert refused.value.code == "NOT_FOUND"


def fake_time_library():
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    return found[0] if found else None


@pytest.mark.skipif(fake_time_library() is None, reason="libfaketime is not installed")
@pytest.mark.skipif(SLOW > 1, reason="a sanitizer must be the first library")
def test_clock_that_is_set(tmp_path):
    """Leases run on the monotonic clock, and positions do not go back."""
    offset = tmp_path / "offset"
    env = {"LD_PRELOAD": fake_time_library(), "FAKETIME_TIMESTAMP_FILE": str(offset),
           "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    offset.write_text("+0")
    position = -1
    for step in ("+10d", "-5d", "+1h"):
        with Store(f"sqlite:{tmp_path}/registry.db", env) as store:
            assert store.position() > position
            _, lease = store.lease("30s", "workers/long")
            store.lease("300ms", "workers/short")
            offset.write_text(step)
            store.await_gone("workers/short")
            store.renew(lease)
            store.put("a", step)
            position = store.position()
    # The clock did jump: the second life was ten days after the file was made.
    assert position > 10 * 86400 << 32


def test_backup_and_restore(tmp_path):
    registry = os.path.join(BIN, "torchfleet-registry")
    path, backup = f"sqlite:{tmp_path}/registry.db", str(tmp_path / "backup")

    def run(*words):
        return subprocess.run([registry, *words], check=False, capture_output=True, text=True,
                              timeout=60 * SLOW)

    with Store(path) as store:
        store.put("a", "1")
        assert run("backup", "--store", path, backup).returncode == 0
        store.put("a", "2")
        held = run("restore", "--force", "--store", path, backup)
        assert held.returncode == 1 and "held by a registry" in held.stderr
    there = run("restore", "--store", path, backup)
    assert there.returncode == 1 and "--force" in there.stderr
    assert run("restore", "--store", path, "--force", backup).returncode == 0
    with Store(path) as store:
        assert store.catalogue()["a"][0] == "1"
    assert run("backup", "--store", "memory", backup).returncode == 2
