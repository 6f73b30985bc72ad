"""Calls that arrive at a rate whatever becomes of those before, of which some may fail:
what rows about faults are told by."""
import json
import subprocess

from .processes import LOAD_CORE, ours, pinned

# What a caller may be told; how many were told so is the row's to judge.
CODES = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "INTERNAL", "RESOURCE_EXHAUSTED",
         "UNKNOWN")


class OpenLoad:
    """Begins at once; `report()` waits for its end."""

    def __init__(self, address, model, rate, seconds, *flags):
        expected = (word for code in CODES for word in ("--expect", code))
        self._popen = subprocess.Popen(
            [ours("torchfleet"), "load", model, "--gateway", address, "--rate", f"{rate:.1f}",
             "--max-in-flight", "100000", "--connections", "4", "--warm-up", "0s", "--duration",
             f"{int(seconds * 1000)}ms", "-o", "json", *expected, *flags],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=pinned(LOAD_CORE))

    def runs(self):
        return self._popen.poll() is None

    def report(self):
        out, err = self._popen.communicate()
        try:
            report = json.loads(out)
        except ValueError as error:
            raise RuntimeError(f"torchfleet load: {out}{err}") from error
        return {**report, "bad": sum(report["codes"].values()) - report["codes"]["OK"],
                "p99_ms": report["latency_ms"]["p99"],
                "ok_per_second": report["codes"]["OK"] / report["seconds"]}
