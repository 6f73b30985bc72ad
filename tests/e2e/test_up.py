"""`torchfleet up` with fake workers: it comes up, mends itself, and ends clean."""
import json
import signal
import subprocess

import pytest

import fleet as lib
from up import Up


@pytest.fixture
def up(tmp_path, fleet):
    fleet.add_model("echo")
    fleet.add_model("broken", inputs=(("x", "TYPE_INVALID", [4]),))
    running = Up(tmp_path, fleet.repository, "--replicas", "echo=2")
    yield running
    running.close()


class Address:
    """What lib.stub needs of a process."""

    def __init__(self, address):
        self.address = address


def test_comes_up_and_ends(up):
    rows = up.processes()
    assert [(p["role"], p["model"], p["version"], p["state"]) for p in rows] == [
        ("registry", "", "", "READY"), ("gateway", "", "", "READY"),
        ("worker", "echo", "1", "READY"), ("worker", "echo", "1", "READY")]
    assert all(p["pid"] > 0 and ":" in p["address"] for p in rows)
    assert "echo-1-0" in up.run("status").stdout
    answer = up.run("infer", "echo", "--input", "x=[1,2,3,4]", "--input", 'id=["me"]', "-o", "json")
    assert json.loads(answer.stdout)["outputs"][0]["data"] == [[1.0, 2.0, 3.0, 4.0]]
    assert up.end() == 0
    assert up.run("status").returncode == 3


@pytest.mark.parametrize("role", ["worker", "registry", "gateway"])
def test_what_is_killed_comes_back(up, role):
    address = up.of("gateway")["address"]
    up.kill_and_await(role)
    assert up.of("gateway")["address"] == address
    request = lib.echo_request()
    assert lib.is_echo_of(request, lib.stub(Address(address)).ModelInfer(
        request, wait_for_ready=True, timeout=20 * lib.SLOW))
    assert up.end(signal.SIGTERM) == 0


def test_a_worker_that_drained_by_wish_stays_away(up):
    gateway = Address(up.of("gateway")["address"])
    # What is put into the catalogue later is another wish.
    lib.eventually(lambda: up.run("model", "show", "echo").returncode == 0)
    lib.wait_model_ready(gateway, "echo")
    with lib.Load(gateway, callers=2) as load:
        load.wait_answers(20)
        done = up.run("drain", "echo-1-0", "--wait")
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "echo-1-0 is gone")
        load.wait_answers(100)
    assert load.failures == []

    def said():
        with open(up.log.name, encoding="utf-8") as log:
            return "worker echo/1.0 has drained, as it was told to" in log.read()
    lib.eventually(said)
    assert [p["name"] for p in up.processes() if p["role"] == "worker"] == ["echo-1-1"]
    assert up.all_ready()
    assert up.run("drain", "echo-1-0").returncode == 1
    assert up.end() == 0


def test_no_call_fails_while_a_replica_is_idle(up):
    gateway = Address(up.of("gateway")["address"])
    lib.wait_model_ready(gateway, "echo")
    with lib.Load(gateway, callers=2) as load:
        load.wait_answers(20)
        up.kill_and_await("worker")
        load.wait_answers(100)
        up.kill_and_await("registry")
        load.wait_answers(100)
    assert load.failures == []


def test_a_missing_repository_says_what_to_do(tmp_path):
    done = subprocess.run([f"{lib.BIN}/torchfleet", "up", "--repository", str(tmp_path / "none")],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "none" in done.stderr
    done = subprocess.run([f"{lib.BIN}/torchfleet", "up", "--repository", str(tmp_path)],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "torchfleet train" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell):
    done = subprocess.run([f"{lib.BIN}/torchfleet", "completion", shell], capture_output=True,
                          text=True, check=True)
    assert "infer" in done.stdout and "replicas" in done.stdout
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True)
