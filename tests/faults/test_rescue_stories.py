"""What the gateway makes of workers that are slow, straggle, freeze, are gone or do
not suffice: told by counts, with real processes."""
import grpc

import fleet as lib
from fleet import echo_request, is_echo_of, stub
from traffic import counted

ONE_AT_A_TIME = {"max_batch": 1, "fake": "delay"}


def attempts(workers):
    """Calls that reached the workers, whatever became of them."""
    return [counted(worker, "torchfleet_worker_requests_total") for worker in workers]


def rescued(gateway, what):
    return counted(gateway, f"torchfleet_gateway_{what}_total", model="echo")


def test_one_of_eight_that_is_slow_gets_few_calls(fleet, tmp_path):
    fleet.add_model("echo", delay_ms=5, **ONE_AT_A_TIME)
    registry, gateway, workers = fleet.start_all("echo", replicas=7)
    with lib.Fleet(tmp_path / "slow") as other:
        other.add_model("echo", delay_ms=50, **ONE_AT_A_TIME)
        slow = other.start_worker("echo", registry)
        lib.eventually(lambda: counted(gateway, "torchfleet_gateway_fleet_endpoints", model="echo",
                                       state="ready") == 8)
        with lib.Load(gateway, callers=6) as load:
            # Until it is known.
            load.wait_answers(300)
            before = sum(attempts([slow])), sum(attempts(workers))
            load.wait_new_answers(1000)
            after = sum(attempts([slow])), sum(attempts(workers))
    assert load.failures == []
    slows, others = after[0] - before[0], after[1] - before[1]
    assert slows < others / 7 / 2, (slows, others)


def test_stragglers_are_hedged_for_few_calls_more(fleet):
    """Of a hundred calls two and a half are; a machine with other work makes stragglers
    of its own."""
    fleet.add_model("echo", delay_ms=5, slow_every=50, slow_factor=40,
                    extra="instance_group { count: 4 }", **ONE_AT_A_TIME)
    _, gateway, workers = fleet.start_all("echo", replicas=8)
    with lib.Load(gateway, callers=3) as load:
        load.wait_answers(1500)
    assert load.failures == []
    calls = counted(gateway, "torchfleet_gateway_calls_total", model="echo")
    assert rescued(gateway, "hedges_won") > 0
    assert calls <= sum(attempts(workers)) <= calls * 1.1


def test_row_27_a_frozen_worker_and_short_deadlines(fleet):
    """Of the calls that meet it first some may expire; once it is known none does."""
    fleet.add_model("echo", fake="delay", delay_ms=2)
    _, gateway, workers = fleet.start_all("echo", replicas=3)
    with lib.Load(gateway, timeout=0.5) as load:
        load.wait_answers(800)
        workers[0].freeze()
        lib.eventually(lambda: counted(gateway, "torchfleet_gateway_ejections_total", model="echo",
                                       reason="silent") == 1)
        load.wait_new_answers(4)
        known = len(load.failures)
        load.wait_new_answers(600)
        assert load.failures[known:] == []
        workers[0].thaw()
    # Nobody waits for longer than it takes to ask another.
    assert known <= 4, load.failures


def refusal(call):
    """The trailers of a call that was UNAVAILABLE and told when to come back."""
    assert call.code() == grpc.StatusCode.UNAVAILABLE, call.details()
    trailers = dict(call.trailing_metadata())
    assert b"google.rpc.RetryInfo" in trailers["grpc-status-details-bin"]
    return trailers


def test_row_02_all_workers_down_is_told_without_a_storm(fleet):
    fleet.add_model("echo", fake="delay", delay_ms=2)
    _, gateway, workers = fleet.start_all("echo", replicas=3)
    client = stub(gateway)
    for i in range(20):
        client.ModelInfer(echo_request(mark=str(i)), timeout=20 * lib.SLOW)
    for worker in workers:
        worker.kill()
    before = [rescued(gateway, what) for what in ("calls", "retries", "hedges")]
    for i in range(200):
        call = client.ModelInfer.future(echo_request(mark=str(i)), timeout=20 * lib.SLOW)
        refusal(call)
    calls, retries, hedges = (rescued(gateway, what) - begun for what, begun in
                              zip(("calls", "retries", "hedges"), before))
    assert calls == 200
    assert (calls + retries + hedges) / calls <= 1.2


def test_row_22_overload_is_refused_with_a_pushback(fleet):
    """Three hundred calls at once of two workers that take one at a time: who is
    admitted is answered, the others know at once when to come back."""
    fleet.add_model("echo", delay_ms=20, **ONE_AT_A_TIME)
    _, gateway, workers = fleet.start_all("echo", replicas=2)
    client = stub(gateway)
    for i in range(40):
        client.ModelInfer(echo_request(mark=str(i)), timeout=20 * lib.SLOW)
    calls = {f"at-once-{i}": client.ModelInfer.future(echo_request(mark=f"at-once-{i}"),
                                                      timeout=20 * lib.SLOW) for i in range(300)}
    admitted = {mark: call for mark, call in calls.items() if call.code() == grpc.StatusCode.OK}
    assert all(is_echo_of(echo_request(mark=mark), call.result())
               for mark, call in admitted.items())
    refused = [call for mark, call in calls.items() if mark not in admitted]
    for call in refused:
        assert int(refusal(call)["grpc-retry-pushback-ms"]) > 0
    assert admitted and refused
    # None waits in a worker's line or here for a caller who has gone.
    lib.eventually(lambda: counted(gateway, "torchfleet_gateway_in_flight") == 0)
    for worker in workers:
        assert counted(worker, "torchfleet_worker_queue_depth") == 0
    assert rescued(gateway, "refusals") == len(refused)
