"""Memory and open files of the soak's processes, each second, and whether they stay
as they are."""
import dataclasses
import os
import statistics
import threading
import time

MIB = 1 << 20


def memory(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        line = next(line for line in status if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024


def files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@dataclasses.dataclass
class Life:
    """A process's samples: when, memory, files."""
    name: str
    samples: list

    @property
    def length(self):
        return self.samples[-1][0] - self.samples[0][0]

    def between(self, begin, end, figure):
        """The median in a part of its life."""
        first = self.samples[0][0]
        part = [sample[figure] for sample in self.samples
                if begin * self.length <= sample[0] - first <= end * self.length]
        return statistics.median(part or [self.samples[-1][figure]])

    def growth(self):
        """(memory after a fifth of its life, at its end, files then and then)"""
        return (self.between(0.2, 0.35, 1), self.between(0.85, 1, 1),
                self.between(0.2, 0.35, 2), self.between(0.85, 1, 2))


class Vitals:
    """Lives by process id. Those that are too short tell nothing."""

    def __init__(self, watched):
        """`watched()`: (name, process) of those to look at now."""
        self.watched = watched
        self.lives = {}
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def start(self):
        self.thread.start()

    def stop(self):
        self.stopping.set()
        self.thread.join()

    def _run(self):
        while not self.stopping.wait(1):
            for name, process in self.watched():
                pid = process.popen.pid
                try:
                    sample = (time.monotonic(), memory(pid), files(pid))
                except (OSError, StopIteration):  # it is gone, or is just going
                    continue
                self.lives.setdefault(pid, Life(name, [])).samples.append(sample)

    def long(self, least):
        """Lives of so many seconds, the longest of each process."""
        longest = {}
        for life in self.lives.values():
            if life.length >= max(least, longest[life.name].length if life.name in longest else 0):
                longest[life.name] = life
        return list(longest.values())


def too_much(life, slack):
    """What is wrong with a life; None for nothing. Memory may grow by a twentieth
    and `slack` bytes, files by 16."""
    before, after, files_before, files_after = life.growth()
    if after > before * 1.05 + slack:
        return (f"{life.name}'s memory grew from {before / MIB:.1f} to {after / MIB:.1f} MiB in "
                f"{life.length:.0f} s")
    if files_after > files_before + 16:
        return f"{life.name} had {files_before:.0f} files open, and then {files_after:.0f}"
    return None
