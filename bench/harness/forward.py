"""What a model costs without a server: the part of a request that is not overhead."""
import dataclasses
import subprocess

from .processes import SUBJECT_CORE, ours, pinned

ROWS = (1, 2, 4, 8, 16, 24, 32, 40, 48, 56, 64)


class Costs:
    """CPU of a forward() in µs by its rows, and between those measured."""

    def __init__(self, by_rows):
        self._points = sorted(by_rows.items())

    def batch(self, rows):
        below, above = self._points[0], self._points[-1]
        for point in self._points:
            if point[0] <= rows:
                below = point
        for point in reversed(self._points):
            if point[0] >= rows:
                above = point
        if below[0] == above[0]:
            return below[1]
        share = (rows - below[0]) / (above[0] - below[0])
        return below[1] + (above[1] - below[1]) * share

    def row(self, rows):
        """Of a row in batches of so many."""
        return self.batch(rows) / rows

    def row_of(self, batches):
        """Of a row in batches as a server formed them: how many of each size."""
        return (sum(count * self.batch(size) for size, count in batches.items()) /
                sum(count * size for size, count in batches.items()))


def mean_size(batches):
    return sum(size * count for size, count in batches.items()) / sum(batches.values())


@dataclasses.dataclass(frozen=True)
class Forward:
    """A window of nothing but forward(), on the core of what is measured."""
    model: str
    rows: tuple = ROWS

    def run(self, subject, seconds, what):
        del subject
        command = [ours("torchfleet-bench-forward"), self.model, "--rows",
                   ",".join(map(str, self.rows)), "--seconds", f"{seconds / len(self.rows):.3f}"]
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             preexec_fn=pinned(SUBJECT_CORE), check=False)
        if run.returncode != 0:
            raise RuntimeError(f"{what}: {run.stderr[-2000:]}")
        costs = {int(rows): float(us) for rows, us in map(str.split, run.stdout.splitlines())}
        last = max(costs)
        return {"calls": 1, "cpu_us": costs[min(costs)], "costs": Costs(costs),
                "calls_per_second": last / costs[last] * 1e6, "p50_us": 0}


@dataclasses.dataclass(frozen=True)
class SortedSentences:
    """A window of sentences sorted by length, so many at a time; `calls` are
    sentences."""
    model: str
    tokens: str
    rows: int

    def run(self, subject, seconds, what):
        del subject
        command = [ours("torchfleet-bench-forward"), self.model, "--sentences", self.tokens,
                   "--rows", str(self.rows), "--seconds", str(seconds)]
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             preexec_fn=pinned(SUBJECT_CORE), check=False)
        if run.returncode != 0:
            raise RuntimeError(f"{what}: {run.stderr[-2000:]}")
        _, us, padding = run.stdout.split()
        return {"calls": 1, "cpu_us": float(us), "calls_per_second": 1e6 / float(us), "p50_us": 0,
                "padding": float(padding)}
