"""Calls by the thousand beside the callers: `torchfleet load`, window after window,
at the gateway that stays. It checks that each answer is its own call's."""
import json
import os
import subprocess
import threading

from fleet import BIN
from oracle import FULL
from rules import MODEL

WINDOW = 10


class Volume:
    def __init__(self, gateway, oracle, rate):
        self.oracle = oracle
        self.command = [os.path.join(BIN, "torchfleet"), "load", MODEL, "--gateway", gateway,
                        "--rate", str(rate), "--check", "--warm-up", "0s", "--duration",
                        f"{WINDOW}s", "--timeout", "30s", "--expect", "UNAVAILABLE", "-o", "json"]
        self.stopping = threading.Event()
        self.calls = 0
        self.thread = threading.Thread(target=self._run)

    def start(self):
        self.thread.start()

    def stop(self):
        self.stopping.set()
        self.thread.join()

    def _run(self):
        while not self.stopping.is_set():
            run = subprocess.run(self.command, capture_output=True, text=True, check=False)
            if not run.stdout:
                self.oracle.found(f"torchfleet load said nothing: {run.stderr}")
                return
            self._read(json.loads(run.stdout), run)

    def _read(self, report, run):
        self.calls += report["all_calls"]
        refused = report["codes"].get("UNAVAILABLE", 0)
        # It does not come back where it is told to; what it was told must be that.
        if run.returncode != 0 or (refused and FULL not in report["messages"]["UNAVAILABLE"]):
            self.oracle.found(f"torchfleet load: {run.stdout}{run.stderr}")
        with self.oracle.mu:
            self.oracle.ends["answered"] += report["codes"]["OK"]
            self.oracle.ends["full"] += refused
