"""The gateway's port by TLS, for clients as people have them; row 42 of the fault table."""
import json
import os
import shutil
import subprocess

import grpc
import pytest

import fleet as lib
from certificates import Authority
from fleet import echo_request, is_echo_of, services


def read(path):
    with open(path, "rb") as file:
        return file.read()


@pytest.fixture
def authority(tmp_path):
    folder = tmp_path / "tls"
    folder.mkdir()
    return Authority(folder)


def start(fleet, pem, key, *more):
    fleet.add_model("echo")
    registry = fleet.start_registry()
    fleet.start_worker("echo", registry)
    return fleet.start_gateway(registry, "--tls-certificate", pem, "--tls-key", key, *more)


def secure_stub(gateway, authority, pair=None):
    credentials = grpc.ssl_channel_credentials(
        read(authority.ca), *((read(pair[1]), read(pair[0])) if pair else ()))
    port = gateway.address.rsplit(":", 1)[1]
    channel = grpc.secure_channel(f"localhost:{port}", credentials)
    return services.GRPCInferenceServiceStub(channel)


def wait_ready(client):
    lib.eventually(lambda: client.ModelReady(
        lib.pb.ModelReadyRequest(name="echo"), timeout=20 * lib.SLOW, wait_for_ready=True).ready)


def curl(gateway, authority, *arguments):
    return subprocess.run(
        ["curl", "-sS", "--cacert", authority.ca, *arguments,
         f"https://localhost:{gateway.address.rsplit(':', 1)[1]}/v2/models/echo/ready"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)


def test_grpc_and_rest_by_tls(fleet, authority):
    gateway = start(fleet, *authority.issue("server", 2))
    client = secure_stub(gateway, authority)
    wait_ready(client)
    request = echo_request(mark="by tls")
    assert is_echo_of(request, client.ModelInfer(request, timeout=20 * lib.SLOW))
    for version, text in (("--http1.1", "1.1"), ("--http2", "2")):
        done = curl(gateway, authority, version, "-w", "\n%{http_version}")
        body, spoken = done.stdout.decode().rsplit("\n", 1)
        assert json.loads(body)["ready"] and spoken == text
    # In clear text there is nothing.
    plain = services.GRPCInferenceServiceStub(grpc.insecure_channel(gateway.address))
    with pytest.raises(grpc.RpcError):
        plain.ModelInfer(request, timeout=2 * lib.SLOW)
    assert is_echo_of(request, client.ModelInfer(request, timeout=20 * lib.SLOW))


def test_client_certificates(fleet, authority):
    server = authority.issue("server", 2)
    gateway = start(fleet, *server, "--tls-client-ca", authority.ca)
    known = authority.issue("client", 3)
    client = secure_stub(gateway, authority, known)
    wait_ready(client)
    request = echo_request(mark="known")
    assert is_echo_of(request, client.ModelInfer(request, timeout=20 * lib.SLOW))
    with pytest.raises(grpc.RpcError) as error:
        secure_stub(gateway, authority).ModelInfer(request, timeout=5 * lib.SLOW)
    assert error.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    assert curl(gateway, authority).returncode != 0
    assert curl(gateway, authority, "--cert", known[0], "--key", known[1]).returncode == 0


def serial_of(gateway):
    port = gateway.address.rsplit(":", 1)[1]
    shown = subprocess.run(["openssl", "s_client", "-connect", f"localhost:{port}"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, timeout=60, check=False).stdout
    told = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=shown,
                          stdout=subprocess.PIPE, timeout=60, check=True).stdout
    return int(told.decode().strip().split("=")[1], 16)


def test_row_42_a_certificate_is_rotated_and_no_call_is_dropped(fleet, authority):
    pem, key = authority.path("used.pem"), authority.path("used.key")
    for path, made in zip((pem, key), authority.issue("first", 2)):
        shutil.copy(made, path)
    gateway = start(fleet, pem, key)
    client = secure_stub(gateway, authority)
    wait_ready(client)
    assert serial_of(gateway) == 2
    calls = [client.ModelInfer.future(echo_request(mark=str(i)), timeout=20 * lib.SLOW)
             for i in range(50)]
    for path, made in zip((key, pem), reversed(authority.issue("second", 3))):
        shutil.copy(made, path + ".new")
        os.replace(path + ".new", path)
    calls += [client.ModelInfer.future(echo_request(mark=str(i)), timeout=20 * lib.SLOW)
              for i in range(50)]
    assert [call.code() for call in calls] == [grpc.StatusCode.OK] * 100
    lib.eventually(lambda: serial_of(gateway) == 3)
    request = echo_request(mark="the connection is the old one")
    assert is_echo_of(request, client.ModelInfer(request, timeout=20 * lib.SLOW))


def test_row_42_an_expired_certificate_ends_the_handshake(fleet, authority):
    gateway = start(fleet, *authority.issue("late", 2, days=-1))
    done = curl(gateway, authority)
    assert done.returncode == 60 and b"expired" in done.stderr


def test_flags_that_do_not_go_together(fleet, authority):
    pem, key = authority.issue("server", 2)
    for flags, text in ((["--tls-certificate", pem], "go together"),
                        (["--tls-certificate", pem, "--tls-key", key + "x"], "server.keyx"),
                        (["--tls-client-ca", pem], "go together")):
        with pytest.raises(RuntimeError, match=text):
            fleet.start("torchfleet-gateway", "--listen", "127.0.0.1:0", "--worker",
                        "127.0.0.1:1", *flags)
