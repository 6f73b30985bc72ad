"""Random lives of a registry: writes, leases, kills, stops and wrong dates, held
against lib/registry_model.py. A failure prints its seed."""
import random

import pytest

import fleet as lib
from registry_model import DRAINING, READY, Follower, Operator, Registry, Worker

STEPS = 250
DAY = 24 * 3600


class Story:
    """One seeded run."""

    def __init__(self, fleet, folder, seed):
        self.random = random.Random(seed)
        self.registry = Registry(fleet, f"sqlite:{folder}/registry.db")
        self.registry.start()
        self.operator = Operator(self.registry, seed)
        self.workers = [Worker(self.registry, n) for n in range(5)]
        self.zombies = []
        self.followers = [Follower(self.registry), Follower(self.registry, models=["m"])]
        self.kills = 0

    def step(self):
        choices = [(self.write, 40), (self.register, 12), (self.renew, 25), (self.leave, 5),
                   (self.haunt, 8), (self.kill, 4), (self.stop, 3), (self.check, 3)]
        actions, weights = zip(*choices)
        self.random.choices(actions, weights)[0]()

    def write(self):
        self.operator.settle(self.operator.begin_write())

    def register(self):
        worker = self.random.choice(self.workers)
        if worker.session:
            self.zombies.append(worker.session)
        worker.register()

    def renew(self):
        self.random.choice(self.workers).renew(self.random.choice([READY, READY, DRAINING]))

    def leave(self):
        self.random.choice(self.workers).leave()

    def haunt(self):
        """A session that has been replaced speaks up: it must be refused."""
        if self.zombies:
            zombie = self.zombies.pop()
            assert not zombie.renew(READY), f"the zombie of {zombie.worker.worker_id} was heard"

    def kill(self):
        """While a write is under way, and perhaps at another date afterwards."""
        self.kills += 1
        write = self.operator.begin_write()
        if self.random.random() < 0.5:
            self.random.choice(self.workers).renew()
        self.registry.kill()
        self.operator.settle(write)
        self.registry.start(shift=self.random.choice([0, -3 * DAY, 3 * DAY]))
        self.operator.connect()

    def stop(self):
        """For a part of a lease: nothing may be lost, whoever waits gets an answer."""
        self.registry.process.freeze()
        write = self.operator.begin_write()
        self.registry.process.thaw()
        self.operator.settle(write)

    def check(self):
        models, routes = self.operator.check()
        held = {w.name: w.epochs[-1] for w in self.workers if w.renew()}
        for follower in self.followers:
            filtered = follower.models
            follower.await_state(held, {n: m for n, m in models.items()
                                        if not filtered or n in filtered},
                                 {n: r for n, r in routes.items()
                                  if not filtered or n in filtered})
            assert follower.wrong == []

    def close(self):
        for follower in self.followers:
            follower.close()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_happens_the_registry_is_what_was_acknowledged(fleet, tmp_path, seed):
    story = Story(fleet, tmp_path, seed)
    try:
        for _ in range(STEPS):
            story.step()
        story.kill()
        for worker in story.workers:
            if not worker.renew():
                assert worker.register()
        story.check()
        assert story.kills > 0 and story.operator.written > 10
        assert all(f.snapshots > 1 for f in story.followers)
        assert sum(f.deltas for f in story.followers) > 0
    finally:
        story.close()
