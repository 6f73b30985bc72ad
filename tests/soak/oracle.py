"""Judges how each call of the soak ended, by what was going on.

An answer must be the call's own, to the byte, and from a version that the rules in
force allow. Any other end needs a reason that is the caller's own or a row of what
the fleet may do to a caller; there are few, and each is counted:

  cancelled      the caller cancelled
  expired        a deadline of some milliseconds passed
  refused early  the same, seen by a worker before it passed (row 22)
  not there      the route that gave the name was deleted
  unkept         a request over 1 MiB, which no gateway keeps, was on a worker that
                 was killed or frozen (row 25, 27)

A caller that is told when to come back comes back, and the call goes on:

  full           every worker has as many calls as it can answer in time (row 22)
  gateway        of a gateway that has just started and does not know the fleet yet
                 (row 2), or, by HTTP/1.1, of one that has just ended
"""
import collections
import dataclasses
import threading
import time

# Larger requests are not kept for another attempt.
KEPT = 1 << 20
FULL = "as many calls as it can answer in time"
_OF_HTTP = {404: "NOT_FOUND", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}
_OF_TEXT = {"UNAVAILABLE": (FULL, "has not heard yet which models there are",
                            "has no worker that is ready"),
            "NOT_FOUND": ("there is no model",)}


@dataclasses.dataclass
class Call:
    """One call, as its caller made it."""
    kind: str
    model: str
    number: int
    gateway: int
    size: int
    version: str = ""
    tester: bool = False
    user: str = ""
    priority: int = 0
    # Seconds.
    deadline: float = 20.0
    hasty: bool = False
    cancelled: bool = False
    begun: float = 0.0
    ended: float = 0.0

    @property
    def mark(self):
        return f"{self.kind}-{self.number}"


@dataclasses.dataclass
class End:
    """How a call ended: gRPC's code by name, or GONE for an HTTP connection that broke."""
    code: str
    text: str = ""
    # The caller was told when to come back.
    told: bool = False
    # Of an answer: whether it is the request's own; who gave it.
    own: bool = False
    model: str = ""
    version: str = ""

    @classmethod
    def of_http(cls, status, text, told):
        return cls(_OF_HTTP.get(status, f"HTTP {status}"), text, told)

    @classmethod
    def of_stream(cls, text):
        """Of a request of a stream: its texts have no code beside them."""
        for code, words in _OF_TEXT.items():
            if any(word in text for word in words):
                return cls(code, text, told=code == "UNAVAILABLE")
        return cls("UNKNOWN", text)


class Troubles:
    """What is done to whom, and since and until when. Thread-safe."""

    # A connection's end may be felt a little later.
    FELT = 1.0

    def __init__(self):
        self._mu = threading.Lock()
        self._open = {}
        self._past = collections.deque(maxlen=1000)
        self.counts = collections.Counter()

    def begin(self, what, whom):
        with self._mu:
            self.counts[what] += 1
            self._open[what, whom] = time.monotonic()

    def end(self, what, whom):
        with self._mu:
            self._past.append((what, whom, self._open.pop((what, whom)),
                               time.monotonic() + self.FELT))

    def now(self):
        """What is going on, with whom."""
        with self._mu:
            return list(self._open)

    def met(self, whats, whom, begun, ended):
        """Whether one of these was going on with them in that time."""
        with self._mu:
            return (any((what, whom) in self._open and self._open[what, whom] <= ended
                        for what in whats) or
                    any(what in whats and whom == who and since <= ended and begun <= until
                        for what, who, since, until in self._past))


class Oracle:
    """Thread-safe."""

    def __init__(self, timeline, troubles, served_by):
        """`served_by`: the model behind a name."""
        self.timeline, self.troubles, self.served_by = timeline, troubles, served_by
        self.mu = threading.Lock()
        # Guarded by mu.
        self.ends = collections.Counter()
        self.returns = collections.Counter()
        self.wrong = []

    def found(self, what):
        """Something is wrong, of a call or of anything else."""
        with self.mu:
            self.wrong.append(f"{what}; going on: {self.troubles.now()}")

    def judge(self, call, end):
        """True when the caller is to come back; else the call is over and counted."""
        if reason := self._reason_to_return(call, end):
            with self.mu:
                self.returns[reason] += 1
            return True
        name = self._answer(call, end) if end.code == "OK" else self._failure(call, end)
        if not name:
            self.found(f"{call} ended {end.code} from gateway {call.gateway}: {end}; expected "
                       f"{self.timeline.expected(call)}")
        with self.mu:
            self.ends[name or "WRONG"] += 1
        return False

    def _reason_to_return(self, call, end):
        starts = self.troubles.met(("gateway restarted",), call.gateway, call.begun, call.ended)
        if end.code == "GONE" and starts:
            return "gateway"
        if end.code != "UNAVAILABLE" or not end.told:
            return None
        if FULL in end.text:
            return "full"
        return "gateway" if starts else None

    def _answer(self, call, end):
        right = (end.own and end.model == self.served_by(call.model) and
                 self.timeline.allows(call, end.version, call.begun, call.ended))
        return "answered" if right else None

    def _failure(self, call, end):
        if end.code == "CANCELLED" and call.cancelled:
            return "cancelled"
        if end.code == "DEADLINE_EXCEEDED" and call.hasty:
            return "expired"
        if end.code == "UNAVAILABLE" and call.hasty and end.told:
            return "refused early"
        if end.code == "NOT_FOUND" and self.timeline.allows(call, "", call.begun, call.ended):
            return "not there"
        if (call.size >= KEPT and end.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED") and
                self.troubles.met(("killed", "frozen"), self.served_by(call.model), call.begun,
                                  call.ended)):
            return "unkept"
        return None
