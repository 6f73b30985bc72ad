"""The catalogue of a real registry: by REST, by the command line, over its death."""
import http.client
import json
import subprocess
import threading

import pytest

import fleet as lib
from small_disk import mount, small_disk  # noqa: F401 (a fixture)

MODEL = {"name": "mnist", "versions": [{"version": "3"}, {"version": "4"}],
         "aliases": {"prod": "3"}, "labels": {"team": "vision"}}
ROUTE = {"model": "mnist", "rules": [{"targets": [{"alias": "prod"}]}]}


@pytest.fixture
def registry(fleet, tmp_path):
    return start(fleet, tmp_path)


def start(fleet, tmp_path):
    return fleet.start("torchfleet-registry", "--listen", "127.0.0.1:0", "--store",
                       f"sqlite:{tmp_path}/registry.db")


def rest(registry, method, path, body=None, **headers):
    """The answer's code, its head and its JSON."""
    connection = http.client.HTTPConnection(registry.operator_address, timeout=30 * lib.SLOW)
    if body is not None:
        headers.setdefault("Content_Type", "application/json")
    connection.request(method, path, None if body is None else json.dumps(body),
                       {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, answer.headers, json.loads(text) if text else None


def cli(registry, *words, code=0, stdin=None):
    """What `torchfleet` prints when it ends with this exit code."""
    address = registry if isinstance(registry, str) else registry.address
    done = subprocess.run([f"{lib.BIN}/torchfleet", *words, "--registry", address], text=True,
                          input=stdin, capture_output=True, timeout=60 * lib.SLOW, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def as_json(registry, *words):
    return json.loads(cli(registry, *words, "-o", "json"))


def test_rest(registry):
    code, head, created = rest(registry, "POST", "/v1/models?actor=ann", MODEL)
    assert (code, created["updatedBy"]) == (201, "ann")
    assert head["ETag"] == f'"{created["revision"]}"'
    code, head, read = rest(registry, "GET", "/v1/models/mnist")
    assert (code, read) == (200, created)

    moved = {**MODEL, "aliases": {"prod": "4"}}
    code, _, updated = rest(registry, "PUT", "/v1/models/mnist", moved, If_Match=head["ETag"])
    assert code == 200 and int(updated["revision"]) > int(created["revision"])
    code, _, error = rest(registry, "PUT", "/v1/models/mnist", MODEL, If_Match=head["ETag"])
    assert (code, error["code"]) == (409, "ABORTED")
    assert updated["revision"] in error["error"]

    assert rest(registry, "PUT", "/v1/routes/mnist", ROUTE)[0] == 200
    code, _, error = rest(registry, "DELETE", "/v1/models/mnist")
    assert (code, error["code"]) == (400, "FAILED_PRECONDITION")
    code, _, error = rest(registry, "POST", "/v1/models", {"name": "../x"})
    assert (code, error["field"]) == (400, "model.name")
    assert rest(registry, "GET", "/v1/models/none")[0] == 404
    code, head, _ = rest(registry, "PATCH", "/v1/models/mnist", {})
    assert (code, head["Allow"]) == (405, "GET, PUT, DELETE")
    assert rest(registry, "POST", "/v1/models", MODEL, Content_Type="text/plain")[0] == 415
    assert rest(registry, "POST", "/v1/drain", {"model": "none"})[0] == 404
    actions = [c["action"] for c in rest(registry, "GET", "/v1/changes")[2]["changes"]]
    assert actions == ["ACTION_CREATED", "ACTION_UPDATED", "ACTION_CREATED"]


def curl(registry, path, *arguments, stdin=b""):
    done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *arguments,
                           f"http://{registry.operator_address}{path}"], input=stdin,
                          capture_output=True, timeout=60 * lib.SLOW, check=False)
    assert done.returncode == 0, done
    return int(done.stdout)


def test_rest_bodies_as_curl_sends_them(registry):
    """With Expect: 100-continue, in chunks, and too long in either way."""
    as_json_body = ["-H", "Content-Type: application/json", "--data-binary", "@-"]
    chunked = ["-H", "Transfer-Encoding: chunked"]
    model = {**MODEL, "labels": {f"key{i}": "x" * 200 for i in range(60)}}
    assert curl(registry, "/v1/models", *as_json_body, stdin=json.dumps(model).encode()) == 201
    assert curl(registry, "/v1/models/mnist", "-X", "PUT", *as_json_body, *chunked,
                stdin=json.dumps(model).encode()) == 200
    expect = ["-H", "Expect: 100-continue"]
    assert curl(registry, "/v1/models/mnist", "-X", "PUT", *as_json_body, *expect,
                stdin=json.dumps(model).encode()) == 200
    for way in ([], chunked, expect):
        too_long = b" " * (2 << 20)
        assert curl(registry, "/v1/models", *as_json_body, *way, stdin=too_long) == 413


def test_command_line(registry, tmp_path):
    file = tmp_path / "mnist.textproto"
    file.write_text("name: 'mnist' versions { version: '3' } versions { version: '4' }"
                    "aliases { key: 'prod' value: '3' } aliases { key: 'old' value: '3' }")
    assert cli(registry, "model", "apply", str(file)).startswith("model mnist created, revision ")
    cli(registry, "model", "alias", "mnist", "prod=4", "canary=3", "old-")
    cli(registry, "model", "label", "mnist", "team=vision", "--actor", "ann")
    shown = as_json(registry, "model", "show", "mnist")
    assert shown["aliases"] == {"prod": "4", "canary": "3"}
    assert (shown["labels"], shown["updatedBy"]) == ({"team": "vision"}, "ann")
    assert "mnist  3,4       canary=3,prod=4" in cli(registry, "model", "list")
    assert as_json(registry, "model", "list", "--label", "team=x") == {}

    cli(registry, "route", "split", "mnist", "prod=90", "canary=10", "--by-header", "x-user")
    assert "prod=90 canary=10, split by x-user" in cli(registry, "route", "show", "mnist")
    assert "canary" in cli(registry, "model", "alias", "mnist", "canary-", code=1)
    cli(registry, "model", "alias", "mnist", "canary-", "--force")
    assert "revision" in cli(registry, "route", "delete", "mnist", "--revision", "1", code=1)
    cli(registry, "route", "delete", "mnist")

    history = cli(registry, "model", "history", "mnist", "--limit", "2").splitlines()
    assert len(history) == 3 and "deleted route mnist" in history[1]
    cli(registry, "model", "delete", "mnist")
    assert cli(registry, "model", "list").splitlines()[1:] == []


def test_command_line_demands_the_revision_in_the_file(registry):
    cli(registry, "model", "apply", "-", stdin=json.dumps(MODEL))
    shown = cli(registry, "model", "show", "mnist", "-o", "json")
    cli(registry, "model", "label", "mnist", "team=other")
    assert "ABORTED" in cli(registry, "model", "apply", "-", stdin=shown, code=1)
    without = {k: v for k, v in json.loads(shown).items() if k != "revision"}
    cli(registry, "model", "apply", "-", stdin=json.dumps(without))
    assert as_json(registry, "model", "show", "mnist")["labels"] == MODEL["labels"]


def test_command_line_that_is_wrong(registry, tmp_path):
    cli(registry, "model", "apply", "-", stdin=json.dumps(MODEL))
    for words in (["model"], ["model", "alias", "mnist"], ["model", "alias", "mnist", "prod"],
                  ["route", "split", "mnist", "3"], ["model", "list", "--label", "x"],
                  ["model", "show", "mnist", "-o", "yaml"]):
        cli(registry, *words, code=2)
    assert "no Model" in cli(registry, "model", "apply", "-", stdin="nmae: 1", code=1)
    assert "NOT_FOUND" in cli(registry, "model", "show", "none", code=1)
    assert "route.rules[0].targets[0]" in cli(registry, "route", "split", "mnist", "7=1", code=1)
    assert str(tmp_path) in cli(registry, "route", "apply", f"{tmp_path}/none", code=1)
    assert "nobody answers" in cli("127.0.0.1:1", "model", "list", code=3)


def test_many_at_the_command_line_lose_nothing(registry):
    versions = [{"version": str(v)} for v in range(1, 7)]
    cli(registry, "model", "apply", "-", stdin=json.dumps({"name": "m", "versions": versions}))
    threads = [threading.Thread(target=cli, args=(registry, "model", "alias", "m", f"a{v}={v}"))
               for v in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert as_json(registry, "model", "show", "m")["aliases"] == {
        f"a{v}": str(v) for v in range(1, 7)}


def test_what_was_acknowledged_outlives_a_kill(fleet, tmp_path):
    registry = start(fleet, tmp_path)
    acknowledged = rest(registry, "POST", "/v1/models", MODEL)[2]
    for number in range(20):
        _, _, acknowledged = rest(registry, "PUT", "/v1/models/mnist",
                                  {**MODEL, "labels": {"number": str(number)}},
                                  If_Match=f'"{acknowledged["revision"]}"')
    registry.kill()
    registry = start(fleet, tmp_path)
    assert rest(registry, "GET", "/v1/models/mnist")[2] == acknowledged
    code, _, later = rest(registry, "PUT", "/v1/models/mnist", MODEL,
                          If_Match=f'"{acknowledged["revision"]}"')
    assert code == 200 and int(later["revision"]) > int(acknowledged["revision"])
    changes = rest(registry, "GET", "/v1/changes?page_size=1000")[2]["changes"]
    assert len(changes) == 22


def test_full_disk_refuses_changes_and_reads_go_on(small_disk, fleet):  # noqa: F811
    # The fleet ends first: the disk is then nobody's.
    registry = start(fleet, small_disk)
    labels = {f"key{i}": "x" * 250 for i in range(60)}
    code, names = 201, []
    while code == 201:
        code, _, answer = rest(registry, "POST", "/v1/models",
                               {"name": f"m{len(names):03}", "labels": labels})
        names += [answer["name"]] if code == 201 else []
        assert len(names) < 100
    assert (code, answer["code"]) == (507, "RESOURCE_EXHAUSTED") and names
    listed = rest(registry, "GET", "/v1/models?page_size=1000")[2]["models"]
    assert [model["name"] for model in listed] == names
    refused = cli(registry, "model", "label", "m000", f"more={'y' * 200}", code=1)
    assert "RESOURCE_EXHAUSTED" in refused
    assert mount("-o", "remount,size=8m", str(small_disk))
    cli(registry, "model", "label", "m000", "late=yes")
    assert as_json(registry, "model", "show", "m000")["labels"] == {**labels, "late": "yes"}


def test_drain_by_rest(fleet, registry):
    fleet.add_model("echo")
    worker = fleet.start_worker("echo", registry)
    lib.watch_until(registry, lambda endpoints: lib.ready_count(endpoints) == 1)
    code, _, answer = rest(registry, "POST", "/v1/drain", {"model": "echo"})
    assert code == 200 and len(answer["workerIds"]) == 1
    assert worker.popen.wait(timeout=60 * lib.SLOW) == 0


def test_watchers_are_told(fleet, registry):
    rest(registry, "POST", "/v1/models", MODEL)
    with lib.grpc.insecure_channel(registry.address) as channel:
        stream = lib.registry_services.RegistryServiceStub(channel).Watch(
            lib.registry_pb.WatchRequest(), timeout=20 * lib.SLOW)
        snapshot = next(stream).snapshot
        assert [m.name for m in snapshot.models] == ["mnist"]
        assert snapshot.models[0].revision > 0
        rest(registry, "PUT", "/v1/routes/mnist", ROUTE)
        rest(registry, "DELETE", "/v1/models/mnist?force=true")
        routes, gone = [], []
        while not gone:
            delta = next(stream).delta
            routes += [r.model for r in delta.routes]
            gone += delta.removed_models
        assert (routes, gone) == (["mnist"], ["mnist"])
        stream.cancel()
