"""The OpenAPI document is true: what it describes is what is served, whatever is sent."""
import os
import subprocess
import sys

import fleet as lib


def test_every_path(tmp_path):
    with lib.Fleet(tmp_path) as fleet:
        fleet.add_model("row", inputs=(("x", "TYPE_FP32", [4]),))
        gateway = fleet.start_all("row")[1]
        done = subprocess.run(
            [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run",
             f"http://{gateway.address}/openapi.json", "--phases", "examples,coverage,fuzzing",
             "--max-examples", "20", "--seed", "7", "--suppress-health-check", "all",
             "--request-timeout", str(20 * lib.SLOW), "--checks",
             "status_code_conformance,content_type_conformance,response_headers_conformance,"
             "response_schema_conformance"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=400, check=False,
            cwd=tmp_path)
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-20000:]
        assert gateway.popen.poll() is None
