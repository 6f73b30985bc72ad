"""Two minutes of the soak; and what is wrong is found by it."""
import os
import subprocess
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import fleet as lib  # noqa: E402
from oracle import FULL, KEPT, Call, End, Oracle, Troubles  # noqa: E402
from rules import State, Timeline  # noqa: E402
from soak import Options, Soak  # noqa: E402
from vitals import MIB, Life, too_much  # noqa: E402
from world import served_by  # noqa: E402

MINUTES = 2 if lib.SLOW == 1 else 1


def test_two_minutes():
    run = subprocess.run(
        [sys.executable, os.path.join(HERE, "soak.py"), "--minutes", str(MINUTES), "--seed", "1"],
        capture_output=True, text=True, check=False)
    print(run.stdout)
    assert run.returncode == 0, run.stdout + run.stderr


def test_models_that_answer_wrong_are_found(tmp_path):
    soak = Soak(Options(seconds=60, seed=1, fake="wrong"), tmp_path)
    assert "own=False" in soak.run()[0]


@pytest.fixture
def oracle():
    return Oracle(Timeline(State("first", prod=2), 0.0), Troubles(), served_by)


def call(begun=10.0, ended=10.1, model="echo", size=1024, **more):
    return Call("unary", model, 1, 0, size, begun=begun, ended=ended, **more)


def answer(version="1", model="echo", own=True):
    return End("OK", own=own, model=model, version=version)


REFUSED = End("UNAVAILABLE", FULL, told=True)


@pytest.mark.parametrize("made, end, name", [
    (call(), answer(), "answered"),
    (call(), answer(own=False), "WRONG"),
    (call(), answer("2"), "WRONG"),
    (call(), answer(model="blob"), "WRONG"),
    (call(version="2"), answer("2"), "answered"),
    (call(version="prod"), answer("2"), "answered"),
    (call(version="prod"), answer("1"), "WRONG"),
    (call(model="front"), End("NOT_FOUND"), "not there"),
    (call(), End("NOT_FOUND"), "WRONG"),
    (call(), End("CANCELLED"), "WRONG"),
    (call(cancelled=True), End("CANCELLED"), "cancelled"),
    (call(), End("DEADLINE_EXCEEDED"), "WRONG"),
    (call(hasty=True), End("DEADLINE_EXCEEDED"), "expired"),
    (call(hasty=True), End("UNAVAILABLE"), "WRONG"),
    (call(hasty=True), End("UNAVAILABLE", told=True), "refused early"),
    (call(), End("UNAVAILABLE", told=True), "WRONG"),
    (call(), End("UNAVAILABLE", FULL), "WRONG"),
    (call(size=KEPT), End("UNAVAILABLE"), "WRONG"),
    (call(), End("GONE"), "WRONG"),
    (call(), End("LOST"), "WRONG"),
])
def test_how_a_call_may_end(oracle, made, end, name):
    assert oracle.judge(made, end) is False
    assert oracle.ends == {name: 1}
    assert bool(oracle.wrong) == (name == "WRONG")


def test_who_is_told_comes_back(oracle):
    assert oracle.judge(call(), REFUSED)
    now = time.monotonic()
    oracle.troubles.begin("gateway restarted", 0)
    assert oracle.judge(call(now, now + 9), End("GONE"))
    assert oracle.judge(call(now, now + 9), End("UNAVAILABLE", told=True))
    assert not oracle.judge(call(now - 9, now - 8), End("GONE"))
    assert oracle.returns == {"full": 1, "gateway": 2}


def test_a_large_request_may_be_lost_with_its_worker_only(oracle):
    now = time.monotonic()
    for what, whom in (("killed", "blob"), ("frozen", "echo")):
        oracle.troubles.begin(what, whom)
        oracle.troubles.end(what, whom)
    lost = End("UNAVAILABLE")
    for model, size, when, name in (("echo", KEPT, now, "unkept"), ("echo", KEPT - 1, now, "WRONG"),
                                    ("echo", KEPT, now - 9, "WRONG"),
                                    ("echo", KEPT, now + 9, "WRONG")):
        oracle.ends.clear()
        oracle.judge(call(when, when + 0.01, model=model, size=size), lost)
        assert oracle.ends == {name: 1}


def test_an_older_rule_may_answer_for_a_while_only(oracle):
    oracle.timeline.begin(State("none"), 20.0)
    # Until it is acknowledged either may be in force.
    assert oracle.timeline.allows(call(), "1", 20.0, 50.0)
    assert oracle.timeline.allows(call(), "2", 20.0, 50.0)
    assert not oracle.timeline.allows(call(), "2", 19.0, 19.9)
    oracle.timeline.acknowledged(30.0, grace=0.5)
    assert oracle.timeline.allows(call(), "1", 30.4, 31.0)
    assert oracle.timeline.latest == pytest.approx(0.4)
    assert not oracle.timeline.allows(call(), "1", 30.6, 31.0)
    assert oracle.timeline.allows(call(), "2", 30.6, 31.0)


def life(memory, files=lambda second: 20):
    return Life("it", [(second, memory(second) * MIB, files(second)) for second in range(100)])


def test_memory_and_files_that_grow_are_found():
    assert too_much(life(lambda second: 100), 8 * MIB) is None
    assert too_much(life(lambda second: min(second, 15)), 8 * MIB) is None
    assert too_much(life(lambda second: 50 + second % 7), 8 * MIB) is None
    assert "memory grew" in too_much(life(lambda second: 50 + second / 3), 8 * MIB)
    assert "files" in too_much(life(lambda second: 50, files=lambda second: second), 8 * MIB)
