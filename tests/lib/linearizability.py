"""Whether a history of operations could have happened one at a time.

The search of Wing and Gong with the memory of Lowe: operations are put in an
order that respects which had ended before which began; each must be what the
model allows in the state that those before it left. Reached pairs of (operations
done, state) are never looked at twice.

An operation whose answer was lost may have happened at any time after its
beginning, or never.
"""
import dataclasses
import math

NEVER = math.inf
UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True)
class Operation:
    action: str               # create, update, delete or get
    key: str
    begin: float
    end: float                # NEVER when the answer was lost
    result: str               # ok, exists, missing, aborted or UNKNOWN
    value: str = ""           # written; of a get: found
    expected: int = 0         # the revision demanded
    revision: int = 0         # made; of a get: found


@dataclasses.dataclass(frozen=True)
class Record:
    """What a key holds; `value` is None when it is not there. A revision that no
    answer told is 0. No revision comes after `floor` that is not greater."""
    value: str | None = None
    revision: int = 0
    floor: int = 0


def written(record, operation):
    if operation.revision and operation.revision <= max(record.floor, record.revision):
        return []
    floor = max(record.floor, record.revision, operation.revision)
    return [Record(operation.value, operation.revision, floor)]


def step_create(record, operation):
    if operation.result == "exists":
        return [record] if record.value is not None else []
    return written(record, operation) if record.value is None else []


def matches(record, revision):
    """The record is at that revision, or may be."""
    return record.value is not None and (
        record.revision == revision or not record.revision and revision > record.floor)


def step_change(record, operation):
    """An update or a delete, at an expected revision."""
    if operation.result == "missing":
        return [record] if record.value is None else []
    if operation.result == "aborted":
        return [record] if record.value is not None and record.revision != operation.expected else []
    if not matches(record, operation.expected):
        return []
    at = dataclasses.replace(record, revision=operation.expected)
    if operation.action == "delete":
        return [Record(None, 0, max(at.floor, at.revision))]
    return written(at, operation)


def step_get(record, operation):
    if operation.result == "missing":
        return [record] if record.value is None else []
    if record.value != operation.value or not matches(record, operation.revision):
        return []
    return [Record(record.value, operation.revision, max(record.floor, operation.revision))]


STEPS = {"create": step_create, "update": step_change, "delete": step_change, "get": step_get}


def candidates(operations, done, first):
    """Those that may come next: none that is left has ended before they began."""
    limit, found = NEVER, []
    for i in range(first, len(operations)):
        if done >> i & 1:
            continue
        if operations[i].begin > limit:
            break
        found.append(i)
        limit = min(limit, operations[i].end)
    return [i for i in found if operations[i].begin <= limit]


def check_key(operations):
    """None, or the fewest operations of one key that were left without a place."""
    operations = sorted(operations, key=lambda o: o.begin)
    answered = sum(1 << i for i, o in enumerate(operations) if o.end != NEVER)
    start = (0, Record())
    seen, todo, best = {start}, [(0, Record(), 0)], 0
    while todo:
        done, record, first = todo.pop()
        if done & answered == answered:
            return None
        if (done & answered).bit_count() > (best & answered).bit_count():
            best = done
        while done >> first & 1:
            first += 1
        # The last pushed is tried first: answered ones in their order, lost ones at last.
        order = sorted(candidates(operations, done, first),
                       key=lambda i: (operations[i].end == NEVER, i), reverse=True)
        for i in order:
            for following in STEPS[operations[i].action](record, operations[i]):
                reached = (done | 1 << i, following)
                if reached not in seen:
                    seen.add(reached)
                    todo.append((*reached, first))
    return [o for i, o in enumerate(operations) if not best >> i & 1]


def check_revisions(operations):
    """Over all keys: what began after another write had ended has a later revision."""
    writes = sorted((o for o in operations if o.revision and o.action in ("create", "update")
                     and o.result == "ok"), key=lambda o: o.begin)
    ended = sorted(writes, key=lambda o: o.end)
    latest, place = None, 0
    for operation in writes:
        while ended[place].end < operation.begin:
            if latest is None or ended[place].revision > latest.revision:
                latest = ended[place]
            place += 1
        if latest is not None and latest.revision >= operation.revision:
            return [latest, operation]
    return None


def check(operations):
    """None, or what is wrong. Keys are apart: each is checked by itself."""
    for key in sorted({o.key for o in operations}):
        stuck = check_key([o for o in operations if o.key == key])
        if stuck is not None:
            return f"no order explains these of {key}: " + "\n".join(map(str, stuck[:20]))
    disorder = check_revisions(operations)
    return disorder and "revisions went back: " + "\n".join(map(str, disorder))
