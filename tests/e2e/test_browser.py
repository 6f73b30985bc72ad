"""A web page in a real browser calls the gateway by gRPC-Web, from other origins
than the gateway's. The page is served from here and tells us what it saw; names
under .test lead the browser, and it alone, to this machine."""
import http.server
import json
import os
import queue
import signal
import subprocess
import threading
import urllib.request

import pytest

import fleet as lib

PAGES = os.path.join(lib.ROOT, "tests", "e2e", "browser")
NODE_MODULES = os.environ.get("TORCHFLEET_NODE_MODULES",
                              os.path.join(lib.ROOT, "build", "node", "node_modules"))
NOT_FOUND = 5


class PageServer(http.server.ThreadingHTTPServer):
    """Serves the page, its script and proto/, and takes what the page reports."""

    def __init__(self, script):
        super().__init__(("127.0.0.1", 0), PageRequest)
        self.script = script
        self.results = queue.Queue()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class PageRequest(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/":
            self.answer("text/html", b'<!doctype html><script src="/page.js"></script>')
        elif path == "/page.js":
            self.answer("text/javascript", self.server.script)
        elif path.startswith("/proto/inference/"):
            with open(os.path.join(lib.ROOT, path[1:]), "rb") as file:
                self.answer("text/plain", file.read())
        else:
            self.send_error(404)

    def do_POST(self):
        self.server.results.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.answer("text/plain", b"")

    def answer(self, content_type, body):
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def pages():
    script = subprocess.run(
        [f"{NODE_MODULES}/.bin/esbuild", f"{PAGES}/page.js", "--bundle", "--format=iife"],
        env={**os.environ, "NODE_PATH": NODE_MODULES}, stdout=subprocess.PIPE,
        timeout=60 * lib.SLOW, check=True).stdout
    with PageServer(script) as server:
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def gateway(pages, tmp_path_factory):
    with lib.Fleet(tmp_path_factory.mktemp("browser")) as fleet:
        fleet.add_model("row", inputs=(("x", "TYPE_FP32", [4]),))
        registry = fleet.start_registry()
        fleet.start_worker("row", registry)
        gateway = fleet.start_gateway(
            registry, "--allow-origin", f"http://friend.test:{pages.server_port}")
        lib.wait_model_ready(gateway, "row")
        yield gateway


def visit(pages, host, gateway, folder):
    """What the page saw that a browser opened from `host`."""
    browser = subprocess.Popen(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--no-first-run", "--disable-background-networking", "--disable-component-update",
         f"--user-data-dir={folder}", "--host-resolver-rules=MAP *.test 127.0.0.1",
         f"http://{host}:{pages.server_port}/?gateway={gateway.address}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True)
    try:
        return pages.results.get(timeout=60 * lib.SLOW)
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()


def calls_told(gateway):
    with urllib.request.urlopen(f"http://{gateway.operator_address}/metrics", timeout=10) as page:
        return [line for line in page.read().decode().splitlines()
                if line.startswith("torchfleet_gateway_calls_total")]


@pytest.mark.parametrize("host", ["friend.test", "localhost"])
def test_a_page_that_may_call(pages, gateway, tmp_path, host):
    seen = visit(pages, host, gateway, tmp_path)
    assert set(seen) == {"binary", "text"}
    for form, answers in seen.items():
        assert answers["one"] == {
            "id": f"{form}-mark", "values": [0.5, -1.0, 2.25, 0.0],
            "output": {"name": "x_out", "datatype": "FP32", "shape": [1, 4]}}
        assert answers["eight"]["output"]["shape"] == [8, 4]
        assert answers["eight"]["values"] == [i / 4 for i in range(32)]
        assert answers["unknown"]["code"] == NOT_FOUND
        assert "nobody" in answers["unknown"]["message"]


def test_a_page_that_may_not_call(pages, gateway, tmp_path):
    before = calls_told(gateway)
    seen = visit(pages, "stranger.test", gateway, tmp_path)
    for answers in seen.values():
        for answer in answers.values():
            assert set(answer) == {"code", "message"}
            assert answer["code"] != NOT_FOUND, "the page has read an answer"
    # The browser asked first, and was refused: no call has come.
    assert calls_told(gateway) == before
