"""Canaries that advance or roll back by themselves, judged by real gateways."""
import json
import os
import subprocess

import pytest

import fleet as lib
from fleet import eventually
from traffic import counted, get_route, infer, put_model, put_route, send

BINARIES = ["torchfleet-registry", "torchfleet-gateway", "torchfleet-fake-worker", "torchfleet"]
HEADER = "x-call"


def on_trial(**canary):
    """A rule that gives version 1 the calls and tries version 2, by a header that
    each call has for itself."""
    return {"targets": [{"version": "1"}], "splitByHeader": HEADER,
            "canary": {"target": {"version": "2"}, "steps": [10, 50, 100], "stepSeconds": 1,
                       "minCalls": 20, "maxLatencyPercent": 1000, **canary}}


def canary_of(registry):
    return get_route(registry, "echo")["rules"][0]["canary"]


def phase_of(registry):
    return canary_of(registry).get("phase", "PHASE_UNSPECIFIED")


def share_at(gateway):
    return counted(gateway, "torchfleet_gateway_canary_share_percent", model="echo")


class TwoGateways:
    """Version 1 echoes; `behaviour` is version 2's."""

    def __init__(self, fleet, behaviour=b"", store="memory", **parameters):
        self.fleet, self.store = fleet, store
        fleet.add_model("echo", versions=(1,), extra="version_policy { all {} }", **parameters)
        fleet.publish("echo", 2, behaviour)
        self.registry = fleet.start_registry(store=store)
        put_model(self.registry, "echo", (1, 2))
        self.gateways = [fleet.start_gateway(self.registry) for _ in range(2)]
        for version in (1, 2):
            fleet.start_worker("echo", self.registry, version=version)
            for gateway in self.gateways:
                lib.wait_model_ready(gateway, "echo", str(version))

    def begin(self, **canary):
        put_route(self.registry, "echo", on_trial(**canary))

    def wait_phase(self, phase):
        eventually(lambda: phase_of(self.registry) == f"PHASE_{phase}", bound=60)


@pytest.fixture
def loads():
    """Load at each gateway, ended with the test."""
    running = []

    def start(gateways, **options):
        for gateway in gateways:
            running.append(lib.Load(gateway, callers=4, id_header=HEADER, **options))
            running[-1].__enter__()
        return running

    yield start
    for load in running:
        load.__exit__()


def versions_of_new_calls(gateways):
    """Which versions answer calls that begin now; none of them fails."""
    versions = set()
    for gateway in gateways:
        with lib.Load(gateway, id_header=HEADER) as load:
            load.wait_answers(100)
        assert load.failures == []
        versions |= load.versions
    return versions


def history(registry):
    """Who took each step, the first one first: actor, phase, step."""
    code, answer = send(registry.operator_address, "/v1/changes?model=echo&page_size=100")
    assert code == 200
    steps = []
    for change in reversed(answer["changes"]):
        if "route" in change:
            canary = change["route"]["rules"][0]["canary"]
            steps.append((change["actor"], canary.get("phase"), canary.get("step", 0)))
    return steps


def test_a_good_canary_is_promoted_step_by_step_and_no_call_fails(fleet, loads):
    two = TwoGateways(fleet)
    two.begin()
    running = loads(two.gateways)
    two.wait_phase("PROMOTED")
    for gateway in two.gateways:
        eventually(lambda gateway=gateway: share_at(gateway) == 100)
    assert all(load.failures == [] for load in running)
    assert versions_of_new_calls(two.gateways) == {"2"}
    steps = history(two.registry)[1:]
    assert [step[1:] for step in steps] == [
        ("PHASE_RUNNING", 1), ("PHASE_RUNNING", 2), ("PHASE_PROMOTED", 2)]
    assert all(actor.startswith("gateway ") for actor, *_ in steps)
    assert canary_of(two.registry)["reason"].startswith("at 100%: 0 of ")


@pytest.mark.parametrize("behaviour, reason", [(b"throw", "calls failed"), (b"delay", " ms at the")])
def test_a_bad_canary_is_rolled_back_and_answers_no_more(fleet, loads, behaviour, reason):
    two = TwoGateways(fleet, behaviour, delay_ms=100)
    limits = {"maxLatencyPercent": 200} if behaviour == b"delay" else {}
    two.begin(stepSeconds=3600, **limits)
    running = loads(two.gateways)
    two.wait_phase("ROLLED_BACK")
    assert reason in canary_of(two.registry)["reason"]
    for gateway in two.gateways:
        eventually(lambda gateway=gateway: share_at(gateway) == 0)
    assert versions_of_new_calls(two.gateways) == {"1"}
    for load in running:
        # Only a failing version's own calls fail, and a slow one's not.
        assert all("INTERNAL" in failure for failure in load.failures)
        assert behaviour == b"throw" or load.failures == []


def test_a_trial_stands_still_without_a_registry_and_goes_on_with_it(fleet, loads, tmp_path):
    two = TwoGateways(fleet, store=f"sqlite:{tmp_path}/registry.db")
    two.begin()
    running = loads(two.gateways)
    eventually(lambda: canary_of(two.registry).get("step") == 1, bound=60)
    two.registry.kill()
    shares = [share_at(gateway) for gateway in two.gateways]
    # Both would go on.
    for gateway in two.gateways:
        eventually(lambda gateway=gateway: "the registry does not take" in gateway.output())
    assert [share_at(gateway) for gateway in two.gateways] == shares
    for load in running:
        load.versions.clear()
        load.wait_new_answers(50)
        assert load.versions == {"1", "2"}
    again = fleet.start_registry(listen=two.registry.address, store=two.store)
    eventually(lambda: phase_of(again) == "PHASE_PROMOTED", bound=60)
    assert all(load.failures == [] for load in running)


def test_gateways_that_start_anew_go_on_at_the_step(fleet, loads):
    two = TwoGateways(fleet)
    two.begin(step=1, stepSeconds=3600)
    eventually(lambda: share_at(two.gateways[0]) == 50)
    two.gateways[0].kill()
    third = fleet.start_gateway(two.registry)
    lib.wait_model_ready(third, "echo")
    assert share_at(third) == 50
    two.begin(step=1)
    loads([third])
    two.wait_phase("PROMOTED")


def test_callers_of_the_canary_stay_while_its_share_grows(fleet):
    two = TwoGateways(fleet)

    def sides(gateway):
        return {i: infer(gateway, headers=[(HEADER, f"user-{i}")]).model_version
                for i in range(60)}

    before = {}
    for step, share in enumerate((10, 50, 100)):
        two.begin(step=step, stepSeconds=3600)
        for gateway in two.gateways:
            eventually(lambda gateway=gateway, share=share: share_at(gateway) == share)
        now = sides(two.gateways[0])
        assert now == sides(two.gateways[1])
        assert all(now[user] == "2" for user, version in before.items() if version == "2")
        before = now
    assert set(before.values()) == {"2"}


def cli(registry, *words, code=0):
    done = subprocess.run([os.path.join(lib.BIN, "torchfleet"), *words, "--registry",
                           registry.address], text=True, capture_output=True,
                          timeout=60 * lib.SLOW, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_command_line_begins_shows_ends_and_promotes(fleet):
    two = TwoGateways(fleet)
    said = cli(two.registry, "route", "canary", "echo", "2", code=1)
    assert "--stable" in said
    cli(two.registry, "route", "canary", "echo", "2", "--stable", "1", "--steps", "5,50",
        "--step-time", "1h", "--min-calls", "7", "--max-more-errors", "2", "--max-latency", "300",
        "--by-header", HEADER)
    assert "canary 2 at 5%, step 1 of 2" in cli(two.registry, "route", "show", "echo")
    shown = json.loads(cli(two.registry, "route", "show", "echo", "-o", "json"))["rules"][0]
    assert shown["canary"] == {
        "target": {"version": "2"}, "steps": [5, 50], "stepSeconds": 3600, "minCalls": 7,
        "maxMoreErrorsPercent": 2, "maxLatencyPercent": 300}
    for gateway in two.gateways:
        eventually(lambda gateway=gateway: share_at(gateway) == 5)
    assert "expected another version" in cli(two.registry, "route", "canary", "echo", "1", code=1)
    cli(two.registry, "route", "canary", "echo", "--end")
    assert "canary" not in get_route(two.registry, "echo")["rules"][0]
    assert "no canary" in cli(two.registry, "route", "canary", "echo", "--end", code=1)
    cli(two.registry, "route", "canary", "echo", "2")
    cli(two.registry, "route", "promote", "echo")
    assert get_route(two.registry, "echo")["rules"] == [
        {"targets": [{"version": "2"}], "splitByHeader": HEADER}]
    for gateway in two.gateways:
        eventually(lambda gateway=gateway: infer(gateway).model_version == "2")
