"""`make bench` measures what it says, told by figures that cannot be otherwise."""
import json
import os
import subprocess
import sys

import pytest

from fleet import ROOT

ROWS = ["fleet", "many", "rest", "generator", "idle"]


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "figures.json"
    run = subprocess.run(
        [sys.executable, os.path.join(ROOT, "bench", "run.py"), "--alone", "--rows", ",".join(ROWS),
         "--turns", "1", "--seconds", "0.1", "--json", str(path)],
        capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    return dict(zip(ROWS, json.loads(path.read_text())["sections"]))


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


def test_an_unknown_row_is_refused():
    run = subprocess.run([sys.executable, os.path.join(ROOT, "bench", "run.py"), "--rows", "nope"],
                         capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 2
    assert "no row is called nope; expected some of fleet" in run.stderr
