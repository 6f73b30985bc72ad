"""The catalogue's routes in real gateways: aliases, matches, splits, other models,
shadows, and rules that change under load."""
import grpc
import pytest

import fleet as lib
from fleet import eventually, pb, stub
from traffic import all_to, counted, infer, infer_by_rest, put_model, put_route, send, split

BINARIES = ["torchfleet-registry", "torchfleet-gateway", "torchfleet-fake-worker"]
USERS = [f"user-{i}" for i in range(40)]


@pytest.fixture
def two_versions(fleet):
    """Registry, gateway and a worker for each of echo's versions, as the catalogue
    has them."""
    fleet.add_model("echo", versions=(1, 2), extra="version_policy { all {} }")
    registry = fleet.start_registry()
    put_model(registry, "echo", (1, 2), prod=1)
    gateway = fleet.start_gateway(registry)
    workers = {}
    for version in (1, 2):
        workers[version] = fleet.start_worker("echo", registry, version=version)
        lib.wait_model_ready(gateway, "echo", str(version))
    return registry, gateway, workers


def version_of(gateway, **how):
    return infer(gateway, **how).model_version


def wait_version(gateway, expected, **how):
    eventually(lambda: version_of(gateway, **how) == expected)


def test_a_caller_names_an_alias(two_versions):
    registry, gateway, _ = two_versions
    client = stub(gateway)
    assert version_of(gateway, version="prod") == "1"
    assert infer_by_rest(gateway, version="prod")[1]["model_version"] == "1"
    assert client.ModelReady(pb.ModelReadyRequest(name="echo", version="prod")).ready
    assert client.ModelMetadata(
        pb.ModelMetadataRequest(name="echo", version="prod")).name == "echo"
    streamed = client.ModelStreamInfer(iter([lib.echo_request(version="prod")]))
    assert [a.infer_response.model_version for a in streamed] == ["1"]

    put_model(registry, "echo", (1, 2), prod=2)
    wait_version(gateway, "2", version="prod")
    assert infer_by_rest(gateway, version="prod")[1]["model_version"] == "2"
    with pytest.raises(grpc.RpcError) as error:
        infer(gateway, version="none")
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    assert infer_by_rest(gateway, version="none")[0] == 404


def test_matches_by_header_and_parameter(two_versions):
    registry, gateway, _ = two_versions
    put_route(registry, "echo",
              {"matches": [{"header": "x-tester", "exact": "yes"}], "targets": [{"version": "2"}]},
              {"matches": [{"parameter": "tier", "prefix": "gold"},
                           {"header": "x-region", "exact": "north"}],
               "targets": [{"version": "2"}]},
              all_to(alias="prod"))
    wait_version(gateway, "1")
    north = [("x-region", "north")]
    for expected, headers, parameters in (
            ("2", [("x-tester", "yes")], {}), ("1", [("x-tester", "yes!")], {}),
            ("2", north, {"tier": "golden"}), ("1", north, {"tier": "silver"}),
            ("1", [], {"tier": "gold"}), ("1", north, {"other": "gold"})):
        assert version_of(gateway, headers=headers, parameters=parameters) == expected
        code, answer = infer_by_rest(gateway, headers=dict(headers), parameters=parameters)
        assert (code, answer["model_version"]) == (200, expected)
        request = lib.echo_request()
        for name, value in parameters.items():
            request.parameters[name].string_param = value
        streamed = stub(gateway).ModelStreamInfer(iter([request]), metadata=headers)
        assert [a.infer_response.model_version for a in streamed] == [expected]
    # Who names a version gets it.
    assert version_of(gateway, version="1", headers=[("x-tester", "yes")]) == "1"


def sides(gateway):
    return {user: version_of(gateway, headers=[("x-user", user)]) for user in USERS}


def test_a_caller_stays_on_its_side_in_every_gateway(fleet, two_versions):
    registry, gateway, _ = two_versions
    second = fleet.start_gateway(registry)
    by_user = {"split_by_header": "x-user"}
    put_route(registry, "echo", split({2: 30, 1: 70}, **by_user))
    for one in (gateway, second):
        eventually(lambda one=one: set(sides(one).values()) == {"1", "2"})
    before = sides(gateway)
    assert before == sides(second) == sides(gateway)
    assert {user: infer_by_rest(second, headers={"x-user": user})[1]["model_version"]
            for user in USERS} == before
    # A greater share: nobody who was on its side leaves it.
    put_route(registry, "echo", split({2: 60, 1: 40}, **by_user))
    for one in (gateway, second):
        eventually(lambda one=one: sides(one) != before)
    after = sides(gateway)
    assert after == sides(second)
    assert all(after[user] == "2" for user in USERS if before[user] == "2")
    put_route(registry, "echo", split({2: 100, 1: 0}, **by_user))
    for one in (gateway, second):
        eventually(lambda one=one: set(sides(one).values()) == {"2"})


def test_without_the_header_a_connection_stays_on_its_side(two_versions):
    registry, gateway, _ = two_versions
    put_route(registry, "echo", split({1: 50, 2: 50}, split_by_header="x-user"))
    eventually(lambda: {version_of(gateway) for _ in range(8)} == {"1", "2"})
    for _ in range(4):
        client = stub(gateway)
        versions = [client.ModelInfer(lib.echo_request()).model_version for _ in range(10)]
        assert len(set(versions)) == 1


def test_another_model_answers(fleet, two_versions):
    """By a name that no model has, and some of the calls of one that exists."""
    registry, gateway, _ = two_versions
    fleet.add_model("large")
    fleet.start_worker("large", registry)
    lib.wait_model_ready(gateway, "large")
    put_model(registry, "large", (1,))
    put_route(registry, "front", all_to(model="echo", alias="prod"))
    put_route(registry, "echo", {"matches": [{"header": "x-large", "exact": "1"}],
                                 "targets": [{"model": "large"}]})
    lib.wait_model_ready(gateway, "front")
    answer = infer(gateway, model="front")
    assert (answer.model_name, answer.model_version) == ("echo", "1")
    assert infer_by_rest(gateway, model="front")[1]["model_version"] == "1"
    assert counted(gateway, "torchfleet_gateway_calls_total", model="front", code="OK") == 2
    metadata = stub(gateway).ModelMetadata(pb.ModelMetadataRequest(name="front"))
    assert (metadata.name, sorted(metadata.versions)) == ("echo", ["1", "2"])
    code, answer = send(gateway.address, "/v1/models/front:predict",
                        {"inputs": {"x": [[1, 2, 3, 4]], "id": [["mark"]]}})
    assert (code, answer["outputs"]["x_out"]) == (200, [[1, 2, 3, 4]])
    statistics = stub(gateway).ModelStatistics(pb.ModelStatisticsRequest(name="front"))
    assert {s.name for s in statistics.model_stats} == {"echo"}
    eventually(lambda: infer(gateway, headers=[("x-large", "1")]).model_name == "large")
    code, answer = infer_by_rest(gateway, headers={"x-large": "1"})
    assert (code, answer["model_name"]) == (200, "large")
    assert infer(gateway).model_name == "echo"


def test_rules_change_again_and_again_and_no_call_fails(two_versions):
    registry, gateway, _ = two_versions
    with lib.Load(gateway, callers=4) as load:
        for i in range(40):
            put_route(registry, "echo", split({1: i % 5, 2: 5 - i % 5}))
            put_model(registry, "echo", (1, 2), prod=1 + i % 2)
            put_route(registry, "echo", all_to(alias="prod"))
            load.wait_new_answers(5)
            if i % 4 == 0:
                code, _ = send(registry.operator_address, "/v1/routes/echo", method="DELETE")
                assert code == 200
    assert load.failures == []


def test_a_target_without_workers_leaves_its_share(two_versions):
    registry, gateway, workers = two_versions
    put_route(registry, "echo", split({1: 50, 2: 50}, split_by_header="x-user"))
    eventually(lambda: set(sides(gateway).values()) == {"1", "2"})
    with lib.Load(gateway, callers=3) as load:
        load.wait_answers(20)
        assert workers[2].terminate() == 0
        load.wait_new_answers(20)
    assert load.failures == []
    assert set(sides(gateway).values()) == {"1"}


def test_a_canary_gets_its_share_once_it_is_ready(fleet):
    fleet.add_model("echo", versions=(1, 2), extra="version_policy { all {} }")
    registry = fleet.start_registry()
    put_model(registry, "echo", (1, 2))
    put_route(registry, "echo", split({1: 50, 2: 50}, split_by_header="x-user"))
    gateway = fleet.start_gateway(registry)
    fleet.start_worker("echo", registry, version=1)
    lib.wait_model_ready(gateway, "echo")
    assert set(sides(gateway).values()) == {"1"}
    with lib.Load(gateway, callers=3) as load:
        fleet.start_worker("echo", registry, version=2)
        eventually(lambda: set(sides(gateway).values()) == {"1", "2"})
        load.wait_new_answers(20)
    assert load.failures == []


# --- shadows ---

def shadow(model, percent=100):
    return {"target": {"model": model}, "percent": percent}


@pytest.fixture
def shadowed(fleet):
    """Starts echo and a model of another behaviour that gets copies of its calls."""
    def start(**behaviour):
        fleet.add_model("echo")
        fleet.add_model("twin", **behaviour)
        registry, gateway, workers = fleet.start_all("echo", "twin")
        put_model(registry, "echo", (1,))
        put_model(registry, "twin", (1,))
        put_route(registry, "echo", {**all_to(version="1"), "shadow": shadow("twin")})
        eventually(lambda: (infer(gateway), copies(gateway))[1] > 0)
        return registry, gateway, workers
    return start


def copies(gateway, **labels):
    return counted(gateway, "torchfleet_gateway_shadow_calls_total", model="echo", **labels)


@pytest.mark.parametrize("behaviour, result", [("echo", "same"), ("throw", "failed")])
def test_a_shadow_gets_copies_and_is_compared(shadowed, behaviour, result):
    _, gateway, _ = shadowed(fake=behaviour)
    before = copies(gateway)
    for _ in range(20):
        assert infer(gateway).model_name == "echo"
        assert infer_by_rest(gateway)[1]["model_name"] == "echo"
    eventually(lambda: copies(gateway) == before + 40)
    assert copies(gateway, result=result) == before + 40
    # The copies are not the callers' calls.
    assert counted(gateway, "torchfleet_gateway_calls_total", model="twin") == 0


def test_a_shadow_that_answers_otherwise_is_found_out(shadowed):
    """Each third answer of it has other bytes."""
    _, gateway, _ = shadowed(fake="wrong")
    before = copies(gateway)
    for _ in range(30):
        infer(gateway)
        eventually(lambda: copies(gateway) == before + 1)
        before += 1
    assert copies(gateway, result="different") >= 10
    assert copies(gateway, result="same") >= 20


def test_a_shadow_that_hangs_or_dies_costs_no_call(shadowed):
    _, gateway, workers = shadowed()
    twin = workers[1]
    twin.freeze()
    with lib.Load(gateway, callers=4) as load:
        load.wait_answers(400)
        # So many copies wait; the others were not sent.
        assert copies(gateway, result="skipped") > 0
        twin.kill()
        load.wait_new_answers(100)
    assert load.failures == []
    assert counted(gateway, "torchfleet_gateway_retries_total", model="echo") == 0
    eventually(lambda: copies(gateway, result="failed") > 0)


def test_copies_of_large_requests_are_not_sent(shadowed):
    _, gateway, _ = shadowed()
    skipped = copies(gateway, result="skipped")
    request = lib.echo_request()
    text = b"x" * (2 << 20)
    request.raw_input_contents[1] = len(text).to_bytes(4, "little") + text
    assert lib.is_echo_of(request, lib.stub(gateway).ModelInfer(request, timeout=20 * lib.SLOW))
    eventually(lambda: copies(gateway, result="skipped") == skipped + 1)


def test_a_percentage_is_copied(shadowed):
    registry, gateway, _ = shadowed()
    put_route(registry, "echo", {**all_to(version="1"), "shadow": shadow("twin", percent=20)})
    client = lib.stub(gateway)

    def copied_of_hundred():
        before = copies(gateway)
        for _ in range(100):
            client.ModelInfer(lib.echo_request(), timeout=20 * lib.SLOW)
        return copies(gateway) - before

    eventually(lambda: 0 < copied_of_hundred() < 60)
