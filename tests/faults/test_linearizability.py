"""The checker of histories itself: right ones pass, wrong ones do not."""
import dataclasses
import random

import pytest

from linearizability import NEVER, UNKNOWN, Operation, check


def op(action, begin, end, result="ok", value="", expected=0, revision=0, key="k"):
    if end == NEVER:
        result = UNKNOWN
    return Operation(action, key, begin, end, result, value, expected, revision)


CREATE = op("create", 0, 1, value="a", revision=5)
RIGHT = {
    "nothing": [],
    "one after another": [
        CREATE, op("get", 2, 3, value="a", revision=5),
        op("update", 4, 5, value="b", expected=5, revision=6),
        op("get", 6, 7, value="b", revision=6), op("delete", 8, 9, expected=6),
        op("get", 10, 11, "missing"), op("create", 12, 13, value="c", revision=9)],
    "a read beside a write may see either": [
        CREATE, op("update", 2, 10, value="b", expected=5, revision=6),
        op("get", 3, 4, value="a", revision=5), op("get", 5, 6, value="b", revision=6)],
    "of two that race one is aborted": [
        CREATE, op("update", 2, 10, value="b", expected=5, revision=6),
        op("update", 2, 10, "aborted", value="c", expected=5)],
    "of two that make it one does": [
        CREATE, op("create", 0, 1, "exists", value="b")],
    "a lost answer of what happened": [
        CREATE, op("update", 2, NEVER, value="b", expected=5),
        op("get", 50, 51, value="b", revision=7)],
    "a lost answer of what happened late": [
        CREATE, op("update", 2, NEVER, value="b", expected=5),
        op("get", 50, 51, value="a", revision=5), op("get", 52, 53, value="b", revision=7)],
    "a lost answer of what never happened": [
        CREATE, op("update", 2, NEVER, value="b", expected=5),
        op("get", 50, 51, value="a", revision=5)],
    "a change that follows a lost one": [
        CREATE, op("update", 2, NEVER, value="b", expected=5),
        op("update", 4, 5, "aborted", value="c", expected=5),
        op("get", 6, 7, value="b", revision=6),
        op("update", 8, 9, value="c", expected=6, revision=8)],
    "a lost delete": [
        CREATE, op("delete", 2, NEVER, expected=5), op("get", 4, 5, "missing"),
        op("create", 6, 7, value="b", revision=8)],
    "keys are apart": [
        CREATE, op("get", 2, 3, "missing", key="other")],
}
WRONG = {
    "a stale read": [
        CREATE, op("update", 2, 3, value="b", expected=5, revision=6),
        op("get", 4, 5, value="a", revision=5)],
    "two reads that go back": [
        CREATE, op("update", 2, 10, value="b", expected=5, revision=6),
        op("get", 3, 4, value="b", revision=6), op("get", 5, 6, value="a", revision=5)],
    "an acknowledged write that is lost": [CREATE, op("get", 2, 3, "missing")],
    "a lost update": [
        CREATE, op("update", 2, 10, value="b", expected=5, revision=6),
        op("update", 2, 10, value="c", expected=5, revision=7)],
    "two that made it": [CREATE, op("create", 0, 1, value="b", revision=6)],
    "a value from nowhere": [CREATE, op("get", 2, 3, value="x", revision=6)],
    "another revision than was made": [CREATE, op("get", 2, 3, value="a", revision=6)],
    "a revision that goes back": [
        CREATE, op("delete", 2, 3, expected=5), op("create", 4, 5, value="b", revision=4)],
    "aborted though nothing stood in the way": [
        CREATE, op("update", 2, 3, "aborted", value="b", expected=5)],
    "an effect before its beginning": [
        CREATE, op("get", 2, 3, value="b", revision=6),
        op("update", 4, NEVER, value="b", expected=5)],
    "a lost answer that happened twice": [
        CREATE, op("update", 2, NEVER, value="b", expected=5),
        op("get", 4, 5, value="b", revision=6),
        op("update", 6, 7, value="c", expected=6, revision=7),
        op("get", 8, 9, value="b", revision=8)],
    "missing while it is there": [CREATE, op("update", 2, 3, "missing", value="b", expected=5)],
    "it exists and nobody made it": [op("create", 0, 1, "exists", value="a")],
    "revisions of two keys in the wrong order": [
        CREATE, op("create", 2, 3, value="a", revision=4, key="other")],
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_histories_pass(name):
    assert check(RIGHT[name]) is None


@pytest.mark.parametrize("name", WRONG)
def test_wrong_histories_do_not(name):
    assert check(WRONG[name]) is not None


def simulate(random_, operations, clients=6, keys=3):
    """A history of a real register: each operation happens at one moment between
    its beginning and its end; some answers are lost."""
    history, store, revision = [], {}, 10
    free = [0.0] * clients
    moments = []
    for number in range(operations):
        client = min(range(clients), key=lambda c: free[c])
        begin = free[client] + random_.random()
        at = begin + random_.random()
        free[client] = at + random_.random()
        moments.append((at, begin, free[client], number))
    for at, begin, end, number in sorted(moments):
        key = f"k{random_.randrange(keys)}"
        held = store.get(key)
        action = random_.choice(["create", "update", "update", "delete", "get"])
        expected = held[1] if held and random_.random() < 0.8 else random_.randrange(1, revision)
        result, value, made = "ok", f"v{number}", 0
        if action == "create" and held:
            result = "exists"
        elif action != "create" and not held:
            result = "missing"
        elif action in ("update", "delete") and held[1] != expected:
            result = "aborted"
        elif action == "get":
            value, made = held
        else:
            revision += 1
            made = 0 if action == "delete" else revision
            store[key] = (value, revision)
            if action == "delete":
                del store[key]
        lost = random_.random() < 0.1
        if lost and action == "get":
            continue
        history.append(Operation(action, key, begin, NEVER if lost else end,
                                 UNKNOWN if lost else result, value,
                                 expected if action in ("update", "delete") else 0,
                                 0 if lost else made))
    return history


def bend(history):
    """The same, but a read finds what an earlier one had found and another, that
    had ended, no more."""
    reads = sorted((o for o in history if o.action == "get" and o.result == "ok"),
                   key=lambda o: o.begin)
    old, _, bent = next(
        (a, b, c) for a in reads for b in reads for c in reads
        if a.key == b.key == c.key and a.revision < b.revision and b.end < c.begin)
    return [dataclasses.replace(o, value=old.value, revision=old.revision) if o is bent else o
            for o in history]


@pytest.mark.parametrize("seed", range(10))
def test_histories_of_a_real_register_pass_and_bent_ones_do_not(seed):
    history = simulate(random.Random(seed), 400)
    assert check(history) is None
    assert check(bend(history)) is not None
