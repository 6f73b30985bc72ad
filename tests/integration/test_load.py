"""`torchfleet load` against gateways and workers."""
import json
import os
import pty
import re
import signal
import subprocess
import time

import pytest

import fleet as lib
from certificates import Authority

FLOATS = [("x", "TYPE_FP32", [4])]
GRPC = []
HTTP1 = ["--protocol", "rest"]
HTTP2 = ["--protocol", "rest", "--http", "2"]
LATENCIES = ["mean", "p50", "p90", "p99", "p99.9", "max"]


def command(address, *arguments, model="echo", form="json"):
    return [f"{lib.BIN}/torchfleet", "load", model, "--gateway", address, "-o", form, *arguments]


def load(process, *arguments, code=0, **kwargs):
    """The report of a load that ends with this exit code."""
    address = process if isinstance(process, str) else process.address
    done = subprocess.run(command(address, *arguments, **kwargs), text=True, capture_output=True,
                          timeout=120 * lib.SLOW, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def calls(number, *more):
    return ["--calls", str(number), "--warm-up", "0s", *more]


def refused(address, *arguments, code, **kwargs):
    """What a load says that does not begin."""
    done = subprocess.run(command(address, *arguments, **kwargs), text=True, capture_output=True,
                          timeout=60 * lib.SLOW, check=False)
    assert done.returncode == code and done.stdout == ""
    return done.stderr


class Running:
    """A load whose display a test watches, on a terminal of its own."""

    def __init__(self, address, *arguments, **kwargs):
        self.terminal, end = pty.openpty()
        self.popen = subprocess.Popen(command(address, *arguments, **kwargs), text=True,
                                      stdout=subprocess.PIPE, stderr=end)
        os.close(end)
        self.shown = ""

    def next_line(self):
        """The next line of the display as (calls a second, in flight, failed)."""
        line = re.compile(r" s +([\d,]+) calls/s +(\d+) in flight .* ([\d,]+) failed")
        while True:
            if found := line.search(self.shown):
                self.shown = self.shown[found.end():]
                return [int(number.replace(",", "")) for number in found.groups()]
            self.shown += os.read(self.terminal, 1000).decode()

    def end(self, code=0):
        report = self.popen.communicate(timeout=120 * lib.SLOW)[0]
        assert self.popen.returncode == code, report + self.shown
        return json.loads(report)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.popen.kill()
        self.popen.wait()
        self.popen.stdout.close()
        os.close(self.terminal)


@pytest.mark.parametrize("protocol, name", [
    (GRPC, "gRPC"), (HTTP1, "REST over HTTP/1.1"), (HTTP2, "REST over HTTP/2"),
    ([*GRPC, "--connections", "4"], "gRPC"), ([*HTTP2, "--connections", "4"], "REST over HTTP/2")])
def test_closed_loops_through_a_gateway(fleet, protocol, name):
    fleet.add_model("echo")
    _, gateway, _ = fleet.start_all("echo", replicas=2)
    for threads in (1, 3):
        report = load(gateway, *protocol, *calls(300), "--concurrency", "8", "--check",
                      "--threads", str(threads))
        assert report["codes"] == {"OK": 300} and report["messages"] == {}
        assert (report["calls"], report["all_calls"], report["failed"]) == (300, 300, 0)
        assert (report["model"], report["address"]) == ("echo", gateway.address)
        assert (report["protocol"], report["loop"], report["rate"]) == (name, "closed", 0)
        assert (report["concurrency"], report["threads"]) == (8, threads)
        expected = None if name.endswith("1.1") else 4 if "4" in protocol else threads
        assert report["connections"] == expected
        assert (report["late"], report["not_sent"]) == (0, 0)
        latency = [report["latency_ms"][key] for key in LATENCIES]
        assert list(report["latency_ms"]) == LATENCIES
        assert latency[1:] == sorted(latency[1:]) and 0 < latency[0] <= latency[-1]
        assert report["calls_per_second"] == pytest.approx(300 / report["seconds"])
        assert report["cpu_us_per_call"] > 0


def test_straight_to_a_worker(fleet):
    fleet.add_model("echo")
    worker = fleet.start_worker("echo")
    assert load(worker, *calls(100), "--concurrency", "4", "--check")["codes"] == {"OK": 100}
    report = load(worker, *HTTP1, *calls(10), code=1)
    assert report["codes"]["OK"] == 0 and report["failed"] == 10  # it has no REST


def test_the_warm_up_is_made_and_not_counted(fleet):
    fleet.add_model("echo")
    worker = fleet.start_worker("echo")
    report = load(worker, "--calls", "20", "--warm-up", "200ms")
    assert report["calls"] == 20 < report["all_calls"]
    report = load(worker, "--duration", "300ms", "--warm-up", "100ms", "--concurrency", "4")
    assert report["seconds"] == 0.3 and 0 < report["calls"] < report["all_calls"]


@pytest.mark.parametrize("protocol", [GRPC, HTTP1, HTTP2])
def test_by_tls(fleet, tmp_path, protocol):
    authority = Authority(tmp_path)
    pem, key = authority.issue("server", 2)
    fleet.add_model("echo")
    registry = fleet.start_registry()
    fleet.start_worker("echo", registry)
    gateway = fleet.start_gateway(registry, "--tls-certificate", pem, "--tls-key", key)
    address = f"localhost:{gateway.address.rsplit(':', 1)[1]}"
    lib.eventually(lambda: subprocess.run(
        command(address, *protocol, *calls(1), "--tls-ca", authority.ca),
        capture_output=True, timeout=60 * lib.SLOW, check=False).returncode == 0)
    report = load(address, *protocol, *calls(100), "--concurrency", "5", "--check", "--tls-ca",
                  authority.ca)
    assert report["codes"] == {"OK": 100}


@pytest.mark.parametrize("protocol", [GRPC, HTTP1])
def test_inputs_from_files(fleet, tmp_path, protocol):
    import numpy as np
    fleet.add_model("echo")
    _, gateway, _ = fleet.start_all("echo")
    np.save(tmp_path / "x.npy", np.arange(20, dtype=np.float64).reshape(5, 4))
    (tmp_path / "id.json").write_text(json.dumps([["a"], ["é"], [""], ["d" * 300], ["e"]]))
    inputs = ["--input", f"x=@{tmp_path}/x.npy", "--input", f"id=@{tmp_path}/id.json"]
    # Whole, and cut into three that take turns.
    for batch in ([], ["--batch", "2"]):
        report = load(gateway, *protocol, *inputs, *batch, *calls(30), "--check", "--concurrency",
                      "3")
        assert report["codes"] == {"OK": 30}
    wrong = refused(gateway.address, *protocol, "--input", "x=[1,2,3]", code=1)
    assert "input 'x' has shape [3]; the model takes [-1,4]" in wrong
    assert "x.npz" in refused(gateway.address, "--input", "x=@x.npz", code=1)


@pytest.mark.parametrize("protocol", [GRPC, HTTP1, HTTP2])
def test_wrong_answers_are_found(fleet, protocol):
    fleet.add_model("wrong", inputs=FLOATS, max_batch=1, fake="wrong")
    _, gateway, _ = fleet.start_all("wrong")
    report = load(gateway, *protocol, *calls(30), "--check", code=1, model="wrong")
    assert report["codes"] == {"OK": 20, "wrong answer": 10}
    assert report["messages"]["wrong answer"].startswith("the data of output \"x_out\" is not")
    # Who does not ask is not told.
    assert load(gateway, *protocol, *calls(9), model="wrong")["codes"] == {"OK": 9}


def test_failures_are_counted_by_code(fleet):
    fleet.add_model("throw", fake="throw")
    _, gateway, _ = fleet.start_all("throw")
    for protocol, code in ((GRPC, "INTERNAL"), (HTTP1, "500"), (HTTP2, "500")):
        report = load(gateway, *protocol, *calls(10), code=1, model="throw")
        assert report["codes"] == {"OK": 0, code: 10}
        assert report["messages"][code] and "secret" not in report["messages"][code]
        assert report["latency_ms"]["max"] == 0


def test_calls_without_an_answer_end_at_their_timeout(fleet):
    fleet.add_model("slow", fake="delay", delay_ms="60000")
    _, gateway, _ = fleet.start_all("slow")
    for protocol, code in ((GRPC, "DEADLINE_EXCEEDED"), (HTTP1, "timeout"), (HTTP2, "timeout")):
        report = load(gateway, *protocol, *calls(2), "--timeout", "1s", code=1, model="slow")
        assert report["codes"] == {"OK": 0, code: 2}


def test_an_open_loop_counts_deadlines_as_what_was_expected(fleet):
    fleet.add_model("slow", inputs=FLOATS, fake="delay", delay_ms="100")
    worker = fleet.start_worker("slow")
    flags = ["--rate", "100", "--duration", "1s", "--warm-up", "0s", "--timeout", "300ms"]
    # Where the server's clock is first, it is the server that cancels.
    expected = ["--expect", "DEADLINE_EXCEEDED", "--expect", "CANCELLED"]
    report = load(worker, *flags, *expected, model="slow")
    assert set(report["codes"]) <= {"OK", "DEADLINE_EXCEEDED", "CANCELLED"}
    assert report["codes"]["OK"] > 0 < report["codes"]["DEADLINE_EXCEEDED"]
    assert report["failed"] == 0
    report = load(worker, *flags, "--expect", "CANCELLED", code=1, model="slow")
    assert report["failed"] == report["codes"]["DEADLINE_EXCEEDED"] > 0


def test_requests_from_a_file(fleet, tmp_path):
    fleet.add_model("echo")
    _, gateway, _ = fleet.start_all("echo")
    requests = tmp_path / "requests"
    requests.write_text("".join(json.dumps({"x": [[n] * 4] * n, "id": [[str(n)]] * n}) + "\n"
                                for n in range(1, 6)))
    for protocol in (GRPC, HTTP1):
        report = load(gateway, *protocol, "--requests", str(requests), "--shuffle", *calls(50),
                      "--check", "--concurrency", "3")
        assert report["codes"] == {"OK": 50}
    requests.write_text('{"x": [[1, 2, 3, 4]]}\n')
    assert "requests: line 1: input 'id' is not given" in refused(
        gateway.address, "--requests", str(requests), code=1)


def test_what_does_not_begin(fleet, tmp_path):
    fleet.add_model("echo")
    worker = fleet.start_worker("echo")
    assert "NOT_FOUND" in refused(worker.address, code=1, model="nobody")
    assert "nobody answers" in refused("127.0.0.1:1", code=3)
    times = tmp_path / "times"
    times.write_text("0.5\nsoon\n")
    for flags, text in ((["--rate", "5", "--arrivals", str(times)], "give one of them"),
                        (["--threads", "4", "--concurrency", "3"], "4 threads have no use for 3"),
                        ([*HTTP1, "--connections", "2"], "each call in flight has one"),
                        (["--rate", "0"], "--rate"), (["--http", "3"], "--http")):
        assert text in refused(worker.address, *flags, code=2)
    assert "times: line 2 is 'soon'" in refused(worker.address, "--arrivals", str(times), code=1)


def test_arrivals_from_a_file(fleet, tmp_path):
    fleet.add_model("echo")
    _, gateway, _ = fleet.start_all("echo")
    times = tmp_path / "times"
    times.write_text("# a burst, and one a hundredth\n" + "0\n" * 10
                     + "".join(f"{i / 100}\n" for i in range(1, 31)))
    for protocol in (GRPC, HTTP1):
        report = load(gateway, *protocol, "--arrivals", str(times), "--threads", "3", "--warm-up",
                      "0s", "--check")
        assert report["codes"] == {"OK": 40} and report["loop"] == "open"
        assert 0.3 <= report["seconds"]
    # Those of the warm-up are sent, and do not count.
    report = load(gateway, "--arrivals", str(times), "--warm-up", "155ms")
    assert (report["calls"], report["all_calls"]) == (15, 40)


def test_arrivals_over_the_limit_are_not_sent(fleet, tmp_path):
    fleet.add_model("slow", inputs=FLOATS, fake="delay", delay_ms="300")
    worker = fleet.start_worker("slow")
    times = tmp_path / "times"
    times.write_text("0\n" * 10)
    report = load(worker, "--arrivals", str(times), "--max-in-flight", "4", "--warm-up", "0s",
                  code=1, model="slow")
    assert (report["codes"], report["not_sent"]) == ({"OK": 4}, 6)


@pytest.mark.parametrize("protocol", [GRPC, HTTP1])
def test_a_pause_is_charged_to_all_who_come_meanwhile(fleet, protocol):
    fleet.add_model("echo")
    _, gateway, (worker,) = fleet.start_all("echo")
    target = worker if protocol is GRPC else gateway
    with Running(target.address, *protocol, "--rate", "200", "--duration", "1h", "--warm-up", "0s",
                 "--timeout", "60s") as running:
        assert running.next_line()[0] > 0
        target.freeze()
        begun = time.monotonic()
        while running.next_line()[1] < 150:
            continue
        pause = time.monotonic() - begun
        target.thaw()
        running.popen.send_signal(signal.SIGINT)
        report = running.end()
    assert report["failed"] == report["not_sent"] == 0
    # Someone came within the first tenth of a second of it, and many later.
    assert report["latency_ms"]["max"] >= (pause - 0.1) * 1000
    assert report["latency_ms"]["p99"] >= pause / 4 * 1000


def test_a_worker_that_dies_is_counted_and_the_load_goes_on(fleet):
    fleet.add_model("echo")
    worker = fleet.start_worker("echo")
    with Running(worker.address, "--concurrency", "4", "--duration", "1h") as running:
        assert running.next_line()[0] > 0
        worker.kill()
        while running.next_line()[2] == 0:
            continue
        running.popen.send_signal(signal.SIGINT)
        report = running.end(code=1)
    assert report["codes"]["UNAVAILABLE"] == report["failed"] > 0
    assert report["all_calls"] > 0


def test_an_interrupt_ends_it_with_its_report(fleet):
    fleet.add_model("echo")
    worker = fleet.start_worker("echo")
    with Running(worker.address, "--duration", "1h", "--warm-up", "0s") as running:
        assert running.next_line()[1] == 1
        running.popen.send_signal(signal.SIGINT)
        report = running.end()
    assert report["codes"] == {"OK": report["calls"]} and report["calls"] > 0
    assert 1 <= report["seconds"] < 3600


def test_a_second_interrupt_does_not_wait(fleet):
    fleet.add_model("slow", inputs=FLOATS, fake="delay", delay_ms="3600000")
    worker = fleet.start_worker("slow")
    with Running(worker.address, "--timeout", "1h", model="slow") as running:
        running.next_line()
        running.popen.send_signal(signal.SIGINT)
        # Taken as soon as the first one is.
        def ended():
            running.popen.send_signal(signal.SIGINT)
            return running.popen.poll() is not None
        lib.eventually(ended)
        assert running.popen.returncode == 130


def test_the_table_for_people(fleet):
    fleet.add_model("echo")
    worker = fleet.start_worker("echo")
    done = subprocess.run(command(worker.address, *calls(10), form="table"), text=True,
                          capture_output=True, timeout=60 * lib.SLOW, check=True)
    assert done.stdout.startswith(f"echo at {worker.address}: gRPC, 1 in flight, 1 connection, ")
    assert re.search(r"\ncalls      10 in .* a second\nlatency    mean .* max .*\nanswers    OK 10\n",
                     done.stdout)
    assert done.stderr == ""  # no display but on a terminal
