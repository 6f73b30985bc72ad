"""Calls by h2load, for servers that `torchfleet load` does not speak to."""
import dataclasses
import os
import random
import re
import subprocess
import tempfile

from . import peers
from .processes import LOAD_CORE, pinned


@dataclasses.dataclass(frozen=True)
class H2Load:
    """A closed loop, or with a rate an open one of arrivals as a Poisson process, on
    one connection. h2load reads no gRPC status, so every answer must have as many
    bytes as a right one."""
    path: str
    body: bytes
    headers: tuple
    answer_bytes: int
    in_flight: int = 64
    connections: int = 8
    http1: bool = False
    rate: float = 0

    def _pattern(self, folder, url, seconds):
        if not self.rate:
            # Over HTTP/1.1 each call in flight has a connection.
            connections = self.in_flight if self.http1 else self.connections
            return ["-D", f"{int(seconds * 1000)}ms", "-c", connections, "-m",
                    self.in_flight // connections, url]
        arrivals = random.Random(1)
        script, at = os.path.join(folder, "arrivals"), 0
        with open(script, "w", encoding="utf-8") as file:
            while at < seconds:
                file.write(f"{at * 1e3:.3f}\t{url}\n")
                at += arrivals.expovariate(self.rate)
        return ["-c", 1, "-m", 1000, f"--timing-script-file={script}"]

    def at_rate(self, rate):
        return dataclasses.replace(self, rate=rate)

    def run(self, subject, seconds, what):
        with tempfile.TemporaryDirectory(prefix="torchfleet-bench-") as folder:
            body, log = os.path.join(folder, "body"), os.path.join(folder, "times")
            with open(body, "wb") as file:
                file.write(self.body)
            command = [peers.h2load(), "-t", 1, "-d", body, f"--log-file={log}",
                       *(["--h1"] if self.http1 else []),
                       *(word for header in self.headers for word in ("-H", header)),
                       *self._pattern(folder, f"http://{subject.address}{self.path}", seconds)]
            run = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True,
                                 preexec_fn=pinned(LOAD_CORE), check=False)
            if run.returncode != 0:
                raise RuntimeError(f"{what}: {run.stdout[-2000:]}")
            with open(log, encoding="utf-8") as file:
                times = sorted(int(line.split("\t")[2]) for line in file)
        return self._figures(run.stdout, times, what)

    def _figures(self, out, times, what):
        done, errored, timeout = (
            int(re.search(rf"requests: .*?(\d+) {word}", out)[1])
            for word in ("done", "errored", "timeout"))
        body_bytes = int(re.search(r"\((\d+)\) data", out)[1])
        # At the end of a closed loop what is in flight is let go of.
        if not done or timeout or (self.rate and errored) or \
                abs(body_bytes / done - self.answer_bytes) > 0.02 * self.answer_bytes:
            raise RuntimeError(f"{what}: not every call was answered well: {out[-2000:]}")
        wall = re.search(r"finished in ([\d.]+)(us|ms|s|m)\b", out)
        seconds = float(wall[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[wall[2]]
        return {"calls": done, "calls_per_second": done / seconds,
                "ok_per_second": done / seconds, "p50_us": times[len(times) // 2],
                "p99_us": times[len(times) * 99 // 100], "load_us": 0, "late": 0,
                "codes": {"OK": done}}
