"""`make bench` measures what it says, told by figures that cannot be otherwise."""
import json
import os
import subprocess
import sys

import pytest

from fleet import ROOT

sys.path.insert(0, os.path.join(ROOT, "bench"))
from harness.forward import Costs, mean_size  # noqa: E402
from harness.peers import MINILM, PEERS  # noqa: E402
from harness.tables import Goal  # noqa: E402
from harness.windows import formed  # noqa: E402

ROWS = ["fleet", "many", "rest", "generator", "idle", "news", "swap", "catalogue"]
WORKER_ROWS = ["overhead", "batching", "adaptive", "tail", "storm"]
RESCUE_ROWS = ["slow", "killed", "frozen", "stragglers", "down", "overload"]


def measured(rows, path, seconds="0.1"):
    run = subprocess.run(
        [sys.executable, os.path.join(ROOT, "bench", "run.py"), "--alone", "--rows", ",".join(rows),
         "--turns", "1", "--seconds", seconds, "--json", str(path)],
        capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    return dict(zip(rows, json.loads(path.read_text())["sections"]))


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    return measured(ROWS, tmp_path_factory.mktemp("bench") / "figures.json")


@pytest.fixture(scope="module")
def worker_sections(tmp_path_factory):
    return measured(WORKER_ROWS, tmp_path_factory.mktemp("bench") / "figures.json", "0.3")


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_goals_and_figures(sections, row):
    section = sections[row]
    # The generator's goal is against a peer.
    assert bool(section["goals"]) == (row != "generator")
    assert all(goal["value"] > 0 for goal in section["goals"])
    assert all(len(line) == len(section["head"]) for line in section["lines"])
    figures = [cell for line in section["lines"] for cell in line[1:]]
    assert all(float(cell.replace(",", "")) > 0 for cell in figures)


def test_a_worker_costs_less_than_with_a_gateway_before_it(sections):
    costs = {line[0]: float(line[1]) for line in sections["fleet"]["lines"]}
    assert costs["worker"] < costs["gateway + worker"]


@pytest.mark.parametrize("row", WORKER_ROWS)
def test_a_row_of_the_worker_has_goals_and_figures(worker_sections, row):
    section = worker_sections[row]
    # Of these two all goals are against peers.
    assert bool(section["goals"]) == (row not in ("overhead", "tail"))
    assert section["lines"]
    assert all(len(line) == len(section["head"]) for line in section["lines"])


def figures_of(section, name):
    line = next(line for line in section["lines"] if line[0] == name)
    return {head: float(cell.replace(",", "")) for head, cell in zip(section["head"][1:], line[1:])
            if cell}


def test_a_request_costs_more_than_the_model_alone(worker_sections):
    alone = figures_of(worker_sections["overhead"], "forward alone")
    worker = figures_of(worker_sections["overhead"], "worker")
    assert 0 < alone["M0"] < alone["M1"]
    for model in ("M0", "M1"):
        assert worker[model] > alone[model]
        # Figures are rounded to three digits.
        assert worker[f"{model}, overhead"] == pytest.approx(worker[model] - alone[model], abs=1)


def test_what_batching_brings_is_held_against_the_model_alone(worker_sections):
    worker = figures_of(worker_sections["batching"], "worker")
    assert 1 <= worker["mean batch"] <= 64
    assert 0 < worker["forward() at 64 ÷ as formed"] <= 1.2
    assert 0 < worker["÷ offline"] < 1
    goals = worker_sections["batching"]["goals"]
    assert [(goal["limit"], goal["at_least"]) for goal in goals] == [
        (15, False), (0.95, True), (0.4, True)]


def test_a_peer_that_is_ourselves_has_our_tail(worker_sections):
    worker = figures_of(worker_sections["tail"], "worker")
    assert worker["p99, worker's ÷ its"] == 1
    assert worker["worker's p99 µs"] == worker["its p99 µs"] >= worker["its p50 µs"] > 0


def test_a_storm_is_three_times_the_capacity(worker_sections):
    for line in worker_sections["storm"]["lines"]:
        storm = figures_of(worker_sections["storm"], line[0])
        assert storm["arrivals/s"] == pytest.approx(3 * storm["capacity, requests/s"], rel=0.01)
        assert 0 <= storm["answers in time/s"] <= storm["arrivals/s"]
        assert 0 <= storm["run for nobody, %"] <= 100


def test_rows_of_rescue(tmp_path):
    sections = measured(RESCUE_ROWS, tmp_path / "figures.json")
    for section in sections.values():
        assert section["goals"] and section["lines"]
        assert all(len(line) == len(section["head"]) for line in section["lines"])
        # What is not to fail did not; what is compared was measured.
        assert all(goal["value"] == 0 if goal["limit"] == 0 else goal["value"] > 0
                   for goal in section["goals"])
    assert float(sections["killed"]["lines"][0][1]) > 0


@pytest.mark.skipif(not os.path.isdir(os.path.join(PEERS, MINILM.replace("==", "-"))),
                    reason="MiniLM is not in build/peers; `make bench` brings it")
def test_sentences_of_many_lengths(tmp_path):
    section = measured(["encoder"], tmp_path / "figures.json")["encoder"]
    worker = figures_of(section, "worker")
    assert worker["CPU"] > 0 < worker["sentences/s"]
    assert 0 <= worker["padding, %"] < 100
    assert [goal["limit"] for goal in section["goals"]] == [0.85, 0.1]


def test_costs_between_those_measured_lie_on_a_line():
    costs = Costs({1: 100, 8: 240, 64: 800})
    assert [costs.batch(rows) for rows in (1, 4.5, 8, 36, 64)] == [100, 170, 240, 520, 800]
    assert costs.row(64) == 12.5
    assert costs.row_of({1: 10, 64: 1}) == pytest.approx((10 * 100 + 800) / (10 + 64))
    assert mean_size({1: 10, 64: 1}) == pytest.approx(74 / 11)


def test_batches_are_what_came_between_two_readings():
    assert formed({1: 5, 8: 2}, {1: 5, 8: 3, 64: 4}) == {8: 1, 64: 4}
    assert formed({"rows": 10, "executions": 5}, {"rows": 90, "executions": 15}) == {8: 10}
    assert formed({"rows": 10, "executions": 5}, {"rows": 10, "executions": 5}) == {}


def test_a_goal_is_at_most_or_at_least():
    assert Goal("x", 0.5, 0.4).line() == "- x: **0.50**, goal ≤ 0.40: MISSED"
    assert Goal("x", 0.5, 0.4, at_least=True).line() == "- x: **0.50**, goal ≥ 0.40: reached"
    assert Goal("x", 0.3, 0.4, at_least=True).line().endswith("MISSED")


def test_an_unknown_row_is_refused():
    run = subprocess.run([sys.executable, os.path.join(ROOT, "bench", "run.py"), "--rows", "nope"],
                         capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 2
    assert "no row is called nope; expected some of fleet" in run.stderr
