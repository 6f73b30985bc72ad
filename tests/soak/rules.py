"""The rules of traffic that the soak sets in turn, and which versions each allows."""
import dataclasses
import threading

from traffic import all_to, split

# The model with two versions, and the name that only a route gives it.
MODEL, FRONT = "echo", "front"
BOTH = frozenset({"1", "2"})


@dataclasses.dataclass(frozen=True)
class State:
    """What the catalogue says: a route of ROUTES, whose version is `prod`, and
    whether there is a route of the name FRONT."""
    route: str = "none"
    prod: int = 1
    front: bool = False


# By name: the route but for its model's name, none for no route; and the versions that
# may answer a call that names none. What a route can say besides goes into a further one.
ROUTES = {
    "none": (None, lambda call, state: {"2"}),
    "first": ({"rules": [all_to(version="1")]}, lambda call, state: {"1"}),
    "prod": ({"rules": [all_to(alias="prod")]}, lambda call, state: {str(state.prod)}),
    "split": ({"rules": [split({1: 70, 2: 30})]}, lambda call, state: BOTH),
    "users": ({"rules": [split({1: 50, 2: 50}, split_by_header="x-user")]},
              lambda call, state: BOTH),
    "testers": ({"rules": [{"matches": [{"header": "x-tester", "exact": "yes"}],
                            "targets": [{"version": "2"}]}, all_to(version="1")]},
                lambda call, state: {"2"} if call.tester else {"1"}),
    "shadow": ({"rules": [{**all_to(version="1"),
                           "shadow": {"target": {"version": "2"}, "percent": 50}}]},
               lambda call, state: {"1"}),
    "by key": ({"rules": [split({1: 50, 2: 50})],
                "calls": {"consistentHash": {"header": "x-user"}}}, lambda call, state: BOTH),
    "canary": ({"rules": [{**all_to(version="1"),
                           "canary": {"target": {"version": "2"}, "steps": [20, 100],
                                      "stepSeconds": 1, "minCalls": 20}}]},
               lambda call, state: BOTH),
    "unhedged": ({"rules": [all_to(version="1")], "calls": {"hedging": {"disabled": True}}},
                 lambda call, state: {"1"}),
}


def versions(call, state):
    """Those that may answer a call; none: the model is not there."""
    if call.model == FRONT:
        return {str(state.prod)} if state.front else set()
    if call.model != MODEL:
        return {"1"}
    if call.version == "prod":
        return {str(state.prod)}
    return {call.version} if call.version else ROUTES[state.route][1](call, state)


@dataclasses.dataclass
class _Entry:
    state: State
    since: float
    # When the one after it was acknowledged, and until when this one may answer still.
    over: float = None
    until: float = None


class Timeline:
    """What was in force when. Thread-safe."""

    def __init__(self, state, now):
        self._mu = threading.Lock()
        self._entries = [_Entry(state, now)]
        # The most seconds after its successor was acknowledged at which a call
        # began that an older state decided.
        self.latest = 0.0

    def begin(self, state, now):
        """It may be in force from now on."""
        with self._mu:
            self._entries.append(_Entry(state, now))

    def acknowledged(self, now, grace):
        """What was before the newest may answer for so long still."""
        with self._mu:
            for entry in self._entries[:-1]:
                if entry.until is None:
                    entry.over, entry.until = now, now + grace
            # No call is older than a minute.
            self._entries = [e for e in self._entries if e.until is None or e.until > now - 60]

    def allows(self, call, version, begun, ended):
        """Whether a call of that time may have been answered by a version; '' for
        none."""
        with self._mu:
            entries = [e for e in self._entries
                       if e.since <= ended and (e.until is None or e.until >= begun)]
            fitting = [e for e in entries
                       if version in (versions(call, e.state) or {""})]
            if fitting and all(e.over is not None for e in fitting):
                self.latest = max(self.latest, begun - max(e.over for e in fitting))
            return bool(fitting)

    def expected(self, call):
        """Words for a message: what the newest says."""
        with self._mu:
            return f"{sorted(versions(call, self._entries[-1].state))} by {self._entries[-1].state}"
