"""A store of the registry's in a process of its own, which can be killed.

    with Store("sqlite:/tmp/registry.db") as store:
        revision = store.put("models/a", "1")
        waiting = [store.begin("put", f"k{i}", "x", "-") for i in range(32)]
        store.kill()
"""
import os
import queue
import signal
import subprocess
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("TORCHFLEET_BIN", os.path.join(ROOT, "build", "bin"))
SLOW = int(os.environ.get("TORCHFLEET_SLOW", "1"))


class Refused(Exception):
    """A call that did not succeed; `code` is absl's name of it."""

    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


class Store:
    def __init__(self, store, env=None):
        self.popen = subprocess.Popen([os.path.join(BIN, "torchfleet-store-driver"), store],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL, text=True, bufsize=1,
                                      env={**os.environ, **(env or {})})
        self.last = 0
        self.answers = {"start": queue.Queue()}
        # In the order in which they came.
        self.order = queue.Queue()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        try:
            self.end("start")
        except Refused:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _read(self):
        for line in self.popen.stdout:
            # A line that was cut off by the kill says nothing.
            if not line.endswith("\n"):
                break
            call, *rest = line.split()
            self.answers[call].put(rest)
            self.order.put((call, rest))
        for waiting in list(self.answers.values()):
            waiting.put(["GONE", "the process has ended"])
        self.order.put(None)

    def begin(self, *words):
        self.last += 1
        call = str(self.last)
        self.answers[call] = queue.Queue()
        try:
            self.popen.stdin.write(" ".join([call, *map(str, words)]) + "\n")
        except BrokenPipeError:
            pass
        return call

    def end(self, call, bound=60):
        code, *rest = self.answers[call].get(timeout=bound * SLOW)
        if code != "ok":
            raise Refused(code, " ".join(rest))
        return rest

    def call(self, *words):
        return self.end(self.begin(*words))

    def put(self, keys, value, modified="-"):
        return int(self.call("put", keys, value, modified)[0])

    def lease(self, ttl, key, value="x"):
        """The key's revision and its lease."""
        revision, lease = self.call("lease", ttl, key, value)
        return int(revision), int(lease)

    def renew(self, lease):
        self.call("renew", lease)

    def await_gone(self, key):
        self.call("gone", key)

    def catalogue(self):
        """Values and revisions by key."""
        items = {}
        for item in self.call("list")[1:]:
            key, rest = item.split("=", 1)
            value, modified = rest.rsplit("@", 1)
            items[key] = (value, int(modified))
        return items

    def position(self):
        return int(self.call("list")[0])

    def freeze(self):
        """Returns when every thread has stopped."""
        self.popen.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.popen.pid, os.WSTOPPED)

    def thaw(self):
        self.popen.send_signal(signal.SIGCONT)

    def kill(self):
        self.popen.kill()
        self.popen.wait()
        self.reader.join()

    def close(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.stdin.close()
            self.popen.wait(timeout=60 * SLOW)
        self.reader.join()
        self.popen.stdout.close()
