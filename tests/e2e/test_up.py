"""`torchfleet up` with fake workers: it comes up, mends itself, and ends clean."""
import json
import os
import signal
import subprocess

import pytest

import fleet as lib


class Up:
    """A fleet under `torchfleet up`."""

    def __init__(self, folder, repository, *arguments, worker="torchfleet-fake-worker"):
        self.env = {**os.environ, "TORCHFLEET_STATE_DIR": str(folder / "state")}
        self.log = open(folder / "up.log", "w+", encoding="utf-8")
        self.popen = subprocess.Popen(
            [f"{lib.BIN}/torchfleet", "up", "--repository", repository, "--listen", "127.0.0.1:0",
             "--worker-binary", worker, *arguments],
            stdout=subprocess.PIPE, stderr=self.log, env=self.env, text=True)
        self.welcome = ""
        for line in self.popen.stdout:
            self.welcome += line
            if line.startswith("Ctrl-C"):
                return
        self.log.seek(0)
        raise RuntimeError(f"torchfleet up ended:\n{self.log.read()}")

    def run(self, *arguments):
        return subprocess.run([f"{lib.BIN}/torchfleet", *arguments], env=self.env, text=True,
                              capture_output=True, timeout=60 * lib.SLOW, check=False)

    def processes(self):
        done = self.run("status", "-o", "json")
        return json.loads(done.stdout)["processes"] if done.returncode in (0, 1) else []

    def of(self, role):
        return next(p for p in self.processes() if p["role"] == role)

    def all_ready(self):
        return self.run("status").returncode == 0

    def kill_and_await(self, role):
        """kill -9; returns when another process has taken its place and all is ready."""
        old = self.of(role)
        before = len(self.processes())
        os.kill(old["pid"], signal.SIGKILL)

        def replaced():
            now = self.processes()
            pids = [p["pid"] for p in now if p["role"] == role]
            return (len(now) == before and old["pid"] not in pids and 0 not in pids
                    and self.all_ready())
        lib.eventually(replaced, bound=40)

    def end(self, number=signal.SIGINT):
        children = [p["pid"] for p in self.processes()]
        self.popen.send_signal(number)
        code = self.popen.wait(timeout=60 * lib.SLOW)
        assert all(not os.path.exists(f"/proc/{pid}") for pid in children)
        return code

    def close(self):
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()
        self.popen.stdout.close()
        self.log.close()


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
