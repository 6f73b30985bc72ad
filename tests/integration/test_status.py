"""`torchfleet status` and `torchfleet quarantine`: what real gateways counted."""
import json
import os
import subprocess

import grpc
import pytest

import fleet as lib
from fleet import echo_request, is_echo_of, stub
from up import Up


def torchfleet(*words, code=0):
    done = subprocess.run([f"{lib.BIN}/torchfleet", *words], text=True, capture_output=True,
                          timeout=60 * lib.SLOW, check=False,
                          env={**os.environ, "TORCHFLEET_STATE_DIR": "/nonexistent"})
    assert done.returncode == code, done.stdout + done.stderr
    return done


def operators(*gateways):
    return ",".join(gateway.operator_address for gateway in gateways)


def status(registry, *gateways):
    """Workers by address with what gateways counted, and models by name."""
    done = subprocess.run(
        [f"{lib.BIN}/torchfleet", "status", "--registry", registry.address, "--operators",
         operators(*gateways), "-o", "json"],
        text=True, capture_output=True, timeout=60 * lib.SLOW, check=False)
    fleet = json.loads(done.stdout)
    return ({p["address"]: p for p in fleet["processes"] if p["role"] == "worker"},
            {m["model"]: m for m in fleet["models"]})


def test_calls_and_latency_of_two_gateways_are_added_up(fleet):
    fleet.add_model("echo", fake="delay", delay_ms=5)
    registry, first, workers = fleet.start_all("echo", replicas=2)
    second = fleet.start_gateway(registry)
    lib.wait_model_ready(second, "echo")
    with lib.Load(first) as of_first, lib.Load(second, callers=2) as of_second:
        of_first.wait_answers(60)
        of_second.wait_answers(20)
    loads = (of_first, of_second)
    assert [load.failures for load in loads] == [[], []]
    calls = sum(len(load.durations) for load in loads)

    def figures():
        by_address, models = status(registry, first, second)
        return [by_address[w.address]["figures"] for w in workers], models["echo"]
    # Latencies are remembered each second.
    lib.eventually(lambda: all("p50_ms" in f for f in figures()[0]))
    of_workers, echo = figures()
    assert echo["calls"] == calls
    # A hedge whose answer was not waited for is no answer.
    assert sum(f["outcomes"]["answered"] for f in of_workers) == calls
    for f in of_workers:
        assert f["gateways"] == 2
        assert 3.5 < f["p50_ms"] <= f["p90_ms"] <= f["p99_ms"]
    assert echo["waiting"] == 0 and echo["capacity"] > 0
    alone, _ = status(registry, first)
    assert 0 < sum(alone[w.address]["figures"]["calls"] for w in workers) < calls

    table = torchfleet("status", "--registry", registry.address, "--operators",
                       operators(first, second)).stdout
    head, *lines = table.splitlines()
    assert head.split() == ["NAME", "MODEL", "VERSION", "STATE", "LOAD", "CALLS", "P50", "MS",
                            "P99", "MS", "RETRIES", "HEDGES", "EJECTED", "ADDRESS"]
    assert all(len(line) <= 120 for line in table.splitlines())
    assert any(line.startswith("echo") and f" {calls} " in line for line in lines[-1:])


def test_a_frozen_worker_is_shown_as_ejected_and_others_hedge_for_it(fleet):
    fleet.add_model("echo", fake="delay", delay_ms=50)
    # Several calls are on the worker when it freezes, enough to tell by.
    # The registry knows the frozen one for longer than the test takes.
    registry = fleet.start_registry(lease="120s")
    frozen, *others = [fleet.start_worker("echo", registry) for _ in range(3)]
    gateway = fleet.start_gateway(registry)
    lib.watch_until(registry, lambda now: lib.ready_count(now) == 3)
    lib.wait_model_ready(gateway, "echo")
    with lib.Load(gateway, callers=24, timeout=10) as load:
        load.wait_answers(600)
        frozen.freeze()
        load.wait_new_answers(300)

        def ejected():
            by_address, _ = status(registry, gateway)
            return by_address[frozen.address]["figures"]["ejected_by"] == 1
        lib.eventually(ejected)
        by_address, models = status(registry, gateway)
        frozen.thaw()
    assert load.failures == []
    figures = by_address[frozen.address]["figures"]
    assert figures["ejections"] >= 1
    assert figures["ejected_reason"] == "silent"
    assert figures["outcomes"]["silent"] >= 5
    assert sum(by_address[w.address]["figures"]["hedges"] for w in others) >= 5
    assert models["echo"]["hedges"] >= 5


def test_calls_of_a_killed_worker_are_retries_elsewhere(fleet):
    fleet.add_model("echo", fake="delay", delay_ms=20)
    registry, gateway, workers = fleet.start_all("echo", replicas=2)
    with lib.Load(gateway) as load:
        load.wait_answers(50)
        workers[0].kill()
        load.wait_new_answers(50)
    assert load.failures == []
    by_address, models = status(registry, gateway)
    assert by_address[workers[1].address]["figures"]["retries"] >= 1
    assert models["echo"]["retries"] >= 1


def test_a_gateway_that_is_away_is_told_and_the_rest_is_shown(fleet):
    fleet.add_model("echo")
    registry, gateway, _ = fleet.start_all("echo")
    where = ["status", "--registry", registry.address, "--operators"]
    # Nobody listens there, and somebody who is no gateway.
    wrong = f"127.0.0.1:1,{registry.operator_address}"
    done = torchfleet(*where, f"{gateway.operator_address},{wrong}", code=1)
    told = [line for line in done.stdout.splitlines() if line.startswith("gateway not heard: ")]
    assert "127.0.0.1:1 cannot be reached" in told[0]
    assert f"{registry.operator_address} answered 404" in told[1]
    assert "P99 MS" in done.stdout
    done = torchfleet(*where, wrong, code=1)
    assert "P99 MS" not in done.stdout and "echo" in done.stdout
    # Of another fleet's registry, no gateway is guessed.
    assert "P99 MS" not in torchfleet("status", "--registry", registry.address).stdout


def test_watch_tells_calls_a_second(fleet):
    fleet.add_model("echo", fake="delay", delay_ms=2)
    registry, gateway, _ = fleet.start_all("echo")
    with lib.Load(gateway, callers=2) as load:
        load.wait_answers(10)
        watch = subprocess.Popen(
            [f"{lib.BIN}/torchfleet", "status", "--watch", "-o", "json", "--registry",
             registry.address, "--operators", gateway.operator_address],
            stdout=subprocess.PIPE, text=True)
        try:
            assert rate_of(watch.stdout) > 1
        finally:
            watch.terminate()
            watch.stdout.read()
            assert watch.wait(timeout=30 * lib.SLOW) == 0
    assert load.failures == []


def rate_of(lines):
    """Calls a second of `echo`, from the first look that tells them."""
    block = ""
    for line in lines:
        block += line
        if line != "}\n":
            continue
        (echo,) = [m for m in json.loads(block)["models"] if m["model"] == "echo"]
        if "calls_per_second" in echo:
            return echo["calls_per_second"]
        block = ""
    raise AssertionError("the watch ended before it told a rate")


def test_the_fleet_of_up_needs_no_flags(tmp_path, fleet):
    fleet.add_model("echo")
    up = Up(tmp_path, fleet.repository)
    try:
        assert up.run("infer", "echo", "--input", "x=[1,2,3,4]", "--input",
                      'id=["me"]').returncode == 0
        table = up.run("status").stdout
        assert "P99 MS" in table and "REFUSED" in table
        assert up.run("quarantine").stdout == "nothing is in quarantine\n"
        assert up.end() == 0
    finally:
        up.close()


def crash_request(mark):
    request = echo_request(mark=mark)
    request.raw_input_contents[0] = b"crash___________"
    return request


def test_row_26_quarantine_is_listed_and_let_out(fleet):
    fleet.add_model("echo", fake="crash")
    registry, gateway, workers = fleet.start_all("echo", replicas=2)
    other = fleet.start_gateway(registry)
    ports = ["--operators", operators(gateway, other)]
    assert torchfleet("quarantine", *ports).stdout == "nothing is in quarantine\n"
    client = stub(gateway)
    for mark in ("first", "second"):
        with pytest.raises(grpc.RpcError) as error:
            client.ModelInfer(crash_request("poison"), timeout=20 * lib.SLOW)
        assert error.value.code() == grpc.StatusCode.INTERNAL, mark
    (entry,) = json.loads(torchfleet("quarantine", *ports, "-o", "json").stdout)["quarantine"]
    assert entry["model"] == "echo" and entry["refused"] == 1 and entry["gateways"] == 1
    assert sorted(entry["workers"]) == sorted(w.address for w in workers)
    table = torchfleet("quarantine", *ports).stdout
    assert table.splitlines()[0].split() == ["FINGERPRINT", "MODEL", "AGE", "REFUSED", "DIED"]
    assert entry["fingerprint"] in table

    # The model is mended; its request is still refused, until it is let out.
    fleet.add_model("echo")
    fleet.start_worker("echo", registry)
    lib.wait_model_ready(gateway, "echo")
    with pytest.raises(grpc.RpcError) as error:
        client.ModelInfer(crash_request("poison"), timeout=20 * lib.SLOW)
    assert error.value.code() == grpc.StatusCode.INTERNAL
    release = ["quarantine", "release", entry["fingerprint"], *ports]
    assert torchfleet(*release).stdout == (
        f"{entry['fingerprint']} is let out at {gateway.operator_address}\n")
    request = crash_request("poison")
    assert is_echo_of(request, client.ModelInfer(request, timeout=20 * lib.SLOW))
    assert torchfleet("quarantine", *ports).stdout == "nothing is in quarantine\n"
    assert "is not in quarantine" in torchfleet(*release, code=1).stderr
    assert "no fingerprint" in torchfleet("quarantine", "release", "x", *ports, code=2).stderr


def test_quarantine_says_when_nobody_answers(fleet):
    assert "cannot be reached" in torchfleet("quarantine", "--operators", "127.0.0.1:1",
                                             code=3).stderr
    assert "--operators" in torchfleet("quarantine", code=3).stderr
    registry = fleet.start_registry()
    gateway = fleet.start_gateway(registry)
    done = torchfleet("quarantine", "--operators", f"127.0.0.1:1,{gateway.operator_address}",
                      code=1)
    assert done.stdout == "nothing is in quarantine\n"
    assert "cannot be reached" in done.stderr
