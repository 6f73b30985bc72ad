"""Routes for tests of traffic: the catalogue's by REST, calls by gRPC and REST,
and what the gateway counted of them."""
import json
import urllib.error
import urllib.request

import fleet as lib


def send(address, path, body=None, method=None, headers=None):
    """The answer's code and its JSON."""
    request = urllib.request.Request(
        f"http://{address}{path}", method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=20 * lib.SLOW) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def put_model(registry, name, versions, **aliases):
    """Adds or replaces it in the catalogue."""
    model = {"name": name, "versions": [{"version": str(v)} for v in versions],
             "aliases": {alias: str(version) for alias, version in aliases.items()}}
    code, answer = send(registry.operator_address, f"/v1/models/{name}", model, "PUT")
    if code == 404:
        code, answer = send(registry.operator_address, "/v1/models", model)
    assert code in (200, 201), answer


def put_route(registry, model, *rules, force=False, calls=None):
    code, answer = send(registry.operator_address,
                        f"/v1/routes/{model}{'?force=true' if force else ''}",
                        {"model": model, "rules": list(rules),
                         **({"calls": calls} if calls else {})}, "PUT")
    assert code == 200, answer


def get_route(registry, model):
    code, answer = send(registry.operator_address, f"/v1/routes/{model}")
    assert code == 200, answer
    return answer


def all_to(**target):
    """A rule that takes every call."""
    return {"targets": [target]}


def split(shares, **rule):
    """A rule with so much for each version."""
    return {"targets": [{"version": str(v), "weight": w} for v, w in shares.items()], **rule}


def infer(gateway, model="echo", version="", headers=(), parameters=None):
    """The answer, checked: its outputs are the request's inputs."""
    request = lib.echo_request(model, "mark", version)
    for name, value in (parameters or {}).items():
        request.parameters[name].string_param = value
    answer = lib.stub(gateway).ModelInfer(request, timeout=20 * lib.SLOW, metadata=headers)
    assert lib.is_echo_of(request, answer)
    return answer


def infer_by_rest(gateway, model="echo", version="", headers=None, parameters=None):
    """The same by REST: the answer's code and document."""
    of_version = f"/versions/{version}" if version else ""
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]},
                       {"name": "id", "datatype": "BYTES", "shape": [1, 1], "data": ["mark"]}],
            "parameters": parameters or {}}
    return send(gateway.address, f"/v2/models/{model}{of_version}/infer", body, headers=headers)


def counted(gateway, name, **labels):
    """A counter on the operators' port; 0 when it is not there."""
    with urllib.request.urlopen(f"http://{gateway.operator_address}/metrics",
                                timeout=20 * lib.SLOW) as answer:
        lines = answer.read().decode().splitlines()
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines
               if line.startswith(name + "{") and all(text in line for text in wanted))
