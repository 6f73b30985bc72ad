"""What a catalogue write costs: SQLite, synced, beside the disk's own rate."""
import os
import statistics
import subprocess
import tempfile

from harness.processes import BIN
from harness.tables import Goal, Section, count, us

WRITER = os.path.join(BIN, "torchfleet-bench-catalogue-writer")
SUBJECTS = {"write and fdatasync of 1 KiB": 0, "one writer": 1, "32 writers": 32}


def _window(writers, seconds):
    # Beside the binaries: /tmp may be memory.
    with tempfile.TemporaryDirectory(prefix="torchfleet-bench-", dir=os.path.dirname(BIN)) as folder:
        run = subprocess.run([WRITER, "--folder", folder, "--writers", str(writers),
                              "--seconds", str(seconds)],
                             check=True, capture_output=True, text=True)
        rate, median = map(float, run.stdout.split())
        return rate, median


def measure(bench):
    windows = {name: [] for name in SUBJECTS}
    for _ in range(bench.turns):
        for name, writers in SUBJECTS.items():
            windows[name].append(_window(writers, bench.seconds))
    plain, *ours = SUBJECTS
    ratios = {name: statistics.median(mine[0] / disk[0] for mine, disk in
                                      zip(windows[name], windows[plain])) for name in SUBJECTS}
    lines = [[name, count(statistics.median(rate for rate, _ in windows[name])),
              us(statistics.median(median for _, median in windows[name])),
              f"{ratios[name]:.2f}"] for name in SUBJECTS]
    return Section("Catalogue writes, SQLite, synced, 1 KiB each",
                   ["", "writes/s", "p50 µs", "÷ the disk's"], lines,
                   [Goal(f"{name} ÷ the disk's fsync rate", ratios[name], 0.5, at_least=True)
                    for name in ours])
