"""`torchfleet up` with a repository of the test's own: a fleet that ends with it."""
import json
import os
import signal
import subprocess

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
