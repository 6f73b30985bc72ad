"""`torchfleet up` follows its repository, the load and the catalogue while it runs."""
import os
import shutil
import signal
import subprocess

import grpc
import pytest

import fleet as lib
from fleet import pb, stub
from torchfleet.registry.v1 import catalogue_pb2, catalogue_pb2_grpc
from up import Up

BOUND = 60


class Address:
    """What lib.stub needs of a process."""

    def __init__(self, address):
        self.address = address


@pytest.fixture
def up(tmp_path, fleet):
    fleet.add_model("echo")
    running = Up(tmp_path, fleet.repository, "--replicas", "echo=2", "--scale-in-after", "1s")
    running.gateway = Address(running.of("gateway")["address"])
    lib.wait_model_ready(running.gateway, "echo")
    yield running
    running.close()


def workers(running, model="echo", state="READY"):
    return [p["name"] for p in running.processes()
            if p["role"] == "worker" and p["model"] == model and p["state"] == state]


def await_workers(running, names, model="echo"):
    """Until these run, all READY, and no others of that model."""
    def there():
        rows = [p for p in running.processes() if p["role"] == "worker" and p["model"] == model]
        return [p["name"] for p in rows if p["state"] == "READY"] == names == \
            [p["name"] for p in rows]
    lib.eventually(there, bound=BOUND)


def catalogue(running):
    return catalogue_pb2_grpc.CatalogueServiceStub(
        grpc.insecure_channel(running.of("registry")["address"]))


def versions(running, model="echo"):
    request = catalogue_pb2.GetModelRequest(name=model)
    found = catalogue(running).GetModel(request, timeout=10 * lib.SLOW).model
    return [version.version for version in found.versions]


def said(running, text):
    with open(running.log.name, encoding="utf-8") as log:
        return text in log.read()


def test_a_new_version_takes_over_under_load(up, fleet):
    with lib.Load(up.gateway) as load:
        load.wait_new_answers(20)
        fleet.publish("echo", 2)
        await_workers(up, ["echo-2-0", "echo-2-1"])
        load.wait_new_answers(100)
    assert load.failures == []
    assert load.versions == {"1", "2"}
    lib.eventually(lambda: versions(up) == ["2"])
    assert said(up, "model echo: version 2 starts")
    assert said(up, "model echo: version 1 goes; 2 serves")
    assert up.all_ready()
    assert up.end() == 0


def test_a_broken_version_leaves_the_old_one_serving(up, fleet):
    with lib.Load(up.gateway) as load:
        load.wait_new_answers(20)
        fleet.publish("echo", 2, b"corrupt")
        lib.eventually(lambda: workers(up, state="FAILED"), bound=BOUND)
        assert workers(up) == ["echo-1-0", "echo-1-1"]
        lib.eventually(lambda: versions(up) == ["1", "2"])
        # What still serves comes back as well, though its policy names it no more.
        old = next(p for p in up.processes() if p["name"] == "echo-1-0")
        os.kill(old["pid"], signal.SIGKILL)
        lib.eventually(lambda: any(
            p["name"] == "echo-1-0" and p["pid"] not in (0, old["pid"]) and p["state"] == "READY"
            for p in up.processes()), bound=BOUND)
        load.wait_new_answers(100)
        fleet.publish("echo", 3)
        lib.eventually(lambda: workers(up) == ["echo-3-0", "echo-3-1"], bound=BOUND)
        load.wait_new_answers(100)
    assert load.failures == []
    assert load.versions == {"1", "3"}
    lib.eventually(lambda: versions(up) == ["3"])


def test_models_come_and_go(up, fleet):
    fleet.add_model("other")
    lib.wait_model_ready(up.gateway, "other")
    lib.eventually(lambda: versions(up, "other") == ["1"])
    with lib.Load(up.gateway) as load:
        load.wait_new_answers(20)
        shutil.rmtree(os.path.join(fleet.repository, "other"))
        await_workers(up, [], model="other")
        load.wait_new_answers(20)
    assert load.failures == []
    assert not stub(up.gateway).ModelReady(pb.ModelReadyRequest(name="other")).ready
    assert workers(up) == ["echo-1-0", "echo-1-1"]


def test_a_repository_that_is_away_changes_nothing(up, fleet):
    away = fleet.repository + ".away"
    os.rename(fleet.repository, away)
    lib.eventually(lambda: said(up, "the fleet stays as it is"), bound=BOUND)
    os.rename(away, fleet.repository)
    fleet.publish("echo", 2)
    await_workers(up, ["echo-2-0", "echo-2-1"])


def test_the_load_decides_between_the_bounds(up, fleet):
    fleet.add_model("slow", max_batch=1, fake="delay", delay_ms=20)
    lib.wait_model_ready(up.gateway, "slow")
    lib.eventually(lambda: versions(up, "slow") == ["1"])
    request = catalogue_pb2.GetModelRequest(name="slow")
    model = catalogue(up).GetModel(request, timeout=10 * lib.SLOW).model
    model.placement.max_replicas = 3
    catalogue(up).UpdateModel(catalogue_pb2.UpdateModelRequest(
        model=model, revision=model.revision, actor="test"), timeout=10 * lib.SLOW)
    with lib.Load(up.gateway, callers=4, model="slow") as load:
        await_workers(up, ["slow-1-0", "slow-1-1", "slow-1-2"], model="slow")
        load.wait_new_answers(50)
    await_workers(up, ["slow-1-0"], model="slow")
    assert load.failures == []
    assert said(up, "model slow version 1: from 1 to 3 workers, with ")
    assert said(up, "model slow version 1: from 3 to 1 workers, with 0 calls in flight")


def test_status_watch_shows_what_changes(up):
    command = [f"{lib.BIN}/torchfleet", "status", "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=up.env, text=True) as watch:
        def await_block(condition):
            block = []
            for line in watch.stdout:
                if line != "\n":
                    block.append(line)
                elif condition("".join(block)):
                    return
                else:
                    block = []
            raise AssertionError("status --watch ended")
        await_block(lambda text: "echo-1-0" in text and "echo-1-1" in text)
        assert up.run("drain", "echo-1-0").returncode == 0
        await_block(lambda text: "DRAINING announced" in text)
        await_block(lambda text: "echo-1-0" not in text and "echo-1-1" in text)
        watch.send_signal(signal.SIGINT)
        watch.stdout.read()
        assert watch.wait(timeout=30 * lib.SLOW) == 0


def test_status_watch_without_a_fleet(tmp_path):
    env = {**os.environ, "TORCHFLEET_STATE_DIR": str(tmp_path)}
    done = subprocess.run([f"{lib.BIN}/torchfleet", "status", "--watch"], env=env, text=True,
                          capture_output=True, timeout=60 * lib.SLOW, check=False)
    assert done.returncode == 3 and "no fleet runs here" in done.stderr


def test_a_version_that_an_alias_names_is_served_on(up, fleet):
    lib.eventually(lambda: up.run("model", "alias", "echo", "prod=1").returncode == 0)
    fleet.add_model("echo", versions=(1, 2))
    await_workers(up, ["echo-1-0", "echo-1-1", "echo-2-0", "echo-2-1"])
    lib.eventually(lambda: versions(up) == ["1", "2"])
    client = stub(up.gateway)
    for asked, served in (("prod", "1"), ("", "2")):
        answer = client.ModelInfer(lib.echo_request(version=asked), timeout=20 * lib.SLOW)
        assert answer.model_version == served
    assert up.run("model", "alias", "echo", "prod=2").returncode == 0
    await_workers(up, ["echo-2-0", "echo-2-1"])
    answer = client.ModelInfer(lib.echo_request(version="prod"), timeout=20 * lib.SLOW)
    assert answer.model_version == "2"
