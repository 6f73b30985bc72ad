"""What happens to the soak's processes, each on a thread of its own: to workers, one
after the other; to the second gateway; to the rules and the registry.

What a thread does to a group of workers is undone before the next is done, so that
each version always has one that nothing is done to.
"""
import dataclasses
import random
import threading
import time

from fleet import SLOW
from rules import ROUTES, State

# From a change's acknowledgement on, an older rule may decide for so long. A change
# is to be in force within 0.1 s; callers and machines that stand still have the rest.
GRACE = 0.5 * SLOW


class Events:
    def __init__(self, world, timeline, oracle, seed, state):
        self.world, self.timeline, self.oracle = world, timeline, oracle
        self.troubles = oracle.troubles
        self.state = state
        self.stopping = threading.Event()
        # Set when those processes are to live on, so that their memory tells.
        self.calm = threading.Event()
        self.threads = [
            threading.Thread(target=self._run, args=(what, random.Random(f"{seed}-{n}")))
            for n, what in enumerate((self._workers, self._gateways, self._control))]

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        """Returns when everything is undone."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _run(self, what, chance):
        try:
            what(chance)
        except Exception as error:  # pylint: disable=broad-except
            self.oracle.found(f"{what.__name__}: {error!r}")

    def _pause(self, least, most, chance):
        """True when it is over."""
        return self.stopping.wait(chance.uniform(least, most) * SLOW)

    # --- workers ---

    def _workers(self, chance):
        while not self._pause(0.2, 1.5, chance):
            slot = chance.choice(self.world.slots)
            actions = [self.kill, self.freeze, self.drain, self.end]
            # The old ones are only frozen.
            chance.choice([self.freeze] if slot.old else actions)(slot, chance)

    def kill(self, slot, chance):
        self.troubles.begin("killed", slot.model)
        slot.process.kill()
        self._pause(0, 1, chance)
        self.world.start_worker(slot)
        self.world.await_worker(slot)
        self.troubles.end("killed", slot.model)

    def freeze(self, slot, chance):
        """Mostly for less than a lease, sometimes for longer than its connections."""
        self.troubles.begin("frozen", slot.model)
        slot.process.freeze()
        self._pause(*chance.choice([(0.05, 0.5), (0.5, 2), (4, 8)]), chance)
        slot.process.thaw()
        self.world.await_worker(slot)
        self.troubles.end("frozen", slot.model)

    def drain(self, slot, chance):
        """By the registry; by a signal when that is away."""
        if not self.world.drain(slot):
            return self.end(slot, chance)
        return self._goes("drained", slot, chance)

    def end(self, slot, chance):
        slot.process.popen.terminate()
        self._goes("ended", slot, chance)

    def _goes(self, what, slot, chance):
        self.troubles.begin(what, slot.model)
        code = slot.process.popen.wait(timeout=30 * SLOW)
        if code != 0:
            self.oracle.found(f"{slot.name} was {what} and exited with {code}: "
                              f"{slot.process.output()[-1000:]}")
        self._pause(0, 1, chance)
        self.world.start_worker(slot)
        self.world.await_worker(slot)
        self.troubles.end(what, slot.model)

    # --- the second gateway ---

    def _gateways(self, chance):
        while not self._pause(5, 15, chance):
            if self.calm.is_set():
                return
            self.troubles.begin("gateway restarted", 1)
            gateway = self.world.gateways[1]
            code = gateway.terminate()
            if code != 0:
                self.oracle.found(f"the gateway exited with {code}: {gateway.output()[-1000:]}")
            self._pause(0, 0.5, chance)
            self.world.start_gateway(1)
            self.troubles.end("gateway restarted", 1)

    # --- rules and the registry ---

    def _control(self, chance):
        while not self._pause(0.3, 1.5, chance):
            if chance.random() < 0.06 and not self.calm.is_set():
                self.registry_away(chance)
            else:
                self.change(chance)

    def registry_away(self, chance):
        """Killed or ended; it has its store."""
        self.troubles.begin("registry away", 0)
        if chance.random() < 0.7:
            self.world.registry.kill()
        elif (code := self.world.registry.terminate()) != 0:
            self.oracle.found(f"the registry exited with {code}")
        old = self.world.registry
        self._pause(0, 5, chance)
        self.world.start_registry()
        self.world.forget(old)
        self.world.await_connected()
        self.troubles.end("registry away", 0)

    def change(self, chance):
        """One of: the route, where the alias points, the name that a route gives."""
        what = chance.choices(["route", "alias", "front"], [5, 3, 1])[0]
        if what == "route":
            route = chance.choice([name for name in ROUTES if name != self.state.route])
            state = dataclasses.replace(self.state, route=route)
        elif what == "alias":
            state = dataclasses.replace(self.state, prod=3 - self.state.prod)
        else:
            state = dataclasses.replace(self.state, front=not self.state.front)
        # A gateway that restarts is no reason for an older rule.
        self.world.await_connected()
        self.troubles.begin("rules changed", 0)
        self.timeline.begin(state, time.monotonic())
        getattr(self.world, f"set_{what}")(state)
        self.timeline.acknowledged(time.monotonic(), GRACE)
        self.state = state
        self.stopping.wait(GRACE)
        self.troubles.end("rules changed", 0)


BEGINNING = State()
