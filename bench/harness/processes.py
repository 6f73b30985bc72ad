"""Processes of a benchmark: started on a core of their own, awaited, timed, ended.

CPU is user and system time, read from a process's CPU clock in nanoseconds; the
kernel charges loopback's work to the process that sends.
"""
import json
import os
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(ROOT, "build", "bin")

# What is measured has a core, whoever drives it the other.
CORES = sorted(os.sched_getaffinity(0))
SUBJECT_CORE, LOAD_CORE = CORES[0], CORES[-1]

_TICK = os.sysconf("SC_CLK_TCK")


def pinned(core):
    """A preexec_fn: the process and its children run on that core alone."""
    return lambda: os.sched_setaffinity(0, {core})


def _stat(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _runs(pid):
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z"


def family(pid):
    """A process and its descendants."""
    children = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        if fields := _stat(entry):
            children.setdefault(int(fields[1]), []).append(int(entry))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def cpu_seconds(pids):
    """Of those of them that live."""
    total = 0.0
    for pid in pids:
        try:
            total += time.clock_gettime_ns((~pid << 3) | 2) / 1e9
        except OSError:
            pass
    return total


class Others:
    """CPU seconds that everything but `own` processes takes, from its making on:
    other processes, the kernel's threads, and what the host takes for itself."""

    def __init__(self, own):
        self._own = set(own)
        self._before = self._sample()

    def _sample(self):
        used = {}
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            if pid not in self._own and _stat(pid):
                used[pid] = cpu_seconds([pid])
        with open("/proc/stat", encoding="utf-8") as file:
            used["host"] = int(file.readline().split()[8]) / _TICK
        return used

    def seconds(self, own):
        """`own` names those that came meanwhile."""
        self._own |= set(own)
        now = self._sample()
        return sum(value - self._before.get(pid, 0) for pid, value in now.items())


class Server:
    """A running server: its address, what it reported of itself, its processes, its
    end."""

    def __init__(self, command, core, address=None, ready=None, env=None):
        """Ready when `ready` ("fd", "line") has told its address, or it takes
        connections at `address`."""
        self.name = os.path.basename(str(command[0]))
        self.log = tempfile.TemporaryFile()
        read_end, write_end = os.pipe()
        command = [*map(str, command), *(["--ready-fd", str(write_end)] if ready == "fd" else [])]
        self.popen = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=self.log,
            stdout=subprocess.PIPE if ready == "line" else self.log,
            pass_fds=[write_end] if ready == "fd" else [], preexec_fn=pinned(core), text=True,
            env={**os.environ, **(env or {})})
        os.close(write_end)
        with os.fdopen(read_end) as pipe:
            self.report = {"address": address} if address else self._told(pipe, ready)
            self.address = self.report["address"]
        if address:
            self._await_connection()

    def _told(self, pipe, ready):
        line = (self.popen.stdout if ready == "line" else pipe).readline()
        if not line:
            self._fail("ended before it was ready")
        return {"address": line.strip()} if ready == "line" else json.loads(line)

    def _await_connection(self):
        host, _, port = self.address.rpartition(":")
        # A JVM on a busy core takes its time.
        for _ in range(1200):
            if self.popen.poll() is not None:
                self._fail("ended before it was ready")
            with socket.socket() as attempt:
                if attempt.connect_ex((host, int(port))) == 0:
                    return
            time.sleep(0.05)
        self._fail("takes no connections")

    def _fail(self, what):
        self.log.seek(0)
        raise RuntimeError(f"{self.name} {what}:\n{self.log.read().decode(errors='replace')}")

    def pids(self):
        return family(self.popen.pid)

    def stop(self):
        """Ends it, and its children, which may outlive it for a while."""
        all_pids = self.pids()
        for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
            for pid in all_pids:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
            end = time.monotonic() + patience
            while any(map(_runs, all_pids)) and time.monotonic() < end:
                self.popen.poll()
                time.sleep(0.01)
        self.popen.wait(timeout=5)
        self.log.close()
        if self.popen.stdout:
            self.popen.stdout.close()


def free_address():
    """For servers that do not tell which port they took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def ours(name):
    return os.path.join(BIN, name)
