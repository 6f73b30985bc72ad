"""The rules of the house hold in this tree, and the checks find what breaks them."""
import os
import subprocess

import pytest

import folder_rules as rules

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def files_of_this_tree():
    """What is, or is about to be, in version control; without it, every source."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True,
                            capture_output=True, check=False)
    if listed.returncode == 0:
        return [p for p in listed.stdout.splitlines() if os.path.exists(os.path.join(ROOT, p))]
    return [os.path.relpath(os.path.join(base, name), ROOT)
            for folder in rules.OURS for base, _, names in os.walk(os.path.join(ROOT, folder))
            for name in names]


@pytest.mark.parametrize("check", rules.CHECKS, ids=lambda check: check.__name__)
def test_this_tree(check):
    paths = files_of_this_tree()
    assert len(paths) > 200
    assert check(ROOT, paths) == []


def tree(folder, files):
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return str(folder), list(files)


@pytest.mark.parametrize("path, text, check", [
    ("gateway/a.cc", '#include "model-worker/x.h"', rules.check_includes),
    ("gateway/a.cc", '#include "registry/state/x.h"', rules.check_includes),
    ("model-worker/a.cc", '#include "gateway/x.h"', rules.check_includes),
    ("base/a.cc", '#include "wire/x.h"', rules.check_includes),
    ("net/a.cc", '#include "inference/grpc_service.pb.h"', rules.check_includes),
    ("wire/a.cc", '#include "net/x.h"', rules.check_includes),
    ("gateway/edge/a.h", "#include <torch/torch.h>", rules.check_torch),
    ("model-worker/front/a.h", "#include <ATen/ATen.h>", rules.check_torch),
    ("base/a.h", '#include "x/y.grpc.pb.h"', rules.check_torch),
    ("gateway/route/a.cc", "#include <thread>", rules.check_pure),
    ("gateway/forward/hedge_policy.cc", "auto t = absl::Now();", rules.check_pure),
    ("registry/state/a.cc", "#include <grpcpp/grpcpp.h>", rules.check_pure),
    ("gateway/balance/a.h", "std::chrono::steady_clock::now()", rules.check_pure),
    ("base/a.cc", '#include "torchfleet/registry/v1/registry.pb.h"', rules.check_includes),
    ("proto/a.proto", 'import public "base/x.proto";', rules.check_includes),
    ("registry/front/a.cc", '#include "gateway/x.h"', rules.check_includes),
    ("registry/front/a.cc", '  #  include <wire/x.h>', rules.check_includes),
    ("trainer/a.cc", '#include "model-worker/x.h"', rules.check_includes),
    ("cli/a.cc", '#include "gateway/x.h"', rules.check_includes),
    ("trainer/a.cc", "#include <c10/x.h>\n#include <google/protobuf/x.h>", rules.check_torch),
    ("registry/state/a.cc", "#include <mutex>", rules.check_pure),
    ("registry/state/a.cc", '#include "absl/synchronization/mutex.h"', rules.check_pure),
    ("gateway/balance/a.cc", "#include <chrono>", rules.check_pure),
    ("gateway/balance/a.cc", "Instant now = clock_.Now();", rules.check_pure),
    ("gateway/route/a.cc", "MonotonicClock clock;", rules.check_pure),
    ("gateway/route/a.cc", "time(nullptr);", rules.check_pure),
    ("gateway/forward/retry_budget.cc", "#include <torch/torch.h>", rules.check_pure),
    ("gateway/forward/retry_policy.h", '#include "x/y.grpc.pb.h"', rules.check_pure),
    ("model-worker/batch/a.cc", "#include <thread>", rules.check_pure),
    ("cli/up/restart_policy.h", "#include <thread>", rules.check_pure),
    ("registry/a.h", "namespace torchfleet {", rules.check_namespaces),
    ("gateway/a.cc", "namespace torchfleet::gateways {", rules.check_namespaces),
    ("model-worker/a.cc", "namespace torchfleet::gateway {", rules.check_namespaces),
    ("gateway/a.cc", "int x;", rules.check_readmes),
    ("examples/a.js", "", rules.check_readmes),
    ("proto/a.proto", "", rules.check_readmes),
])
def test_what_breaks_a_rule_is_found(tmp_path, path, text, check):
    found = check(*tree(tmp_path, {path: text}))
    assert len(found) == 1 and found[0].startswith(path)


def test_includes_beside_a_file_are_found(tmp_path):
    files = tree(tmp_path, {"gateway/a.cc": '#include "b.h"', "gateway/b.h": ""})
    assert len(rules.check_includes(*files)) == 1


@pytest.mark.parametrize("path, header, check", [
    ("gateway/route/a.cc", "<grpcpp/grpcpp.h>", rules.check_pure),
    ("registry/state/a.h", "<thread>", rules.check_pure),
    ("gateway/forward/hedge_policy.cc", '"x/y.grpc.pb.h"', rules.check_pure),
    ("model-worker/front/a.cc", "<torch/script.h>", rules.check_torch),
    ("base/a.cc", '"x/y.grpc.pb.h"', rules.check_torch)])
def test_what_comes_by_way_of_another_header_is_found(tmp_path, path, header, check):
    folder = path.split("/")[0]
    # Round and round: headers that include one another end the search too.
    files = tree(tmp_path, {path: f'#include "{folder}/b.h"',
                            f"{folder}/b.h": f'#include "trainer/c.h"\n#include "{folder}/b.h"',
                            "trainer/c.h": f"#include {header}"})
    found = [line for line in check(*files) if line.startswith(path)]
    assert len(found) == 1
    assert f"{folder}/b.h and so trainer/c.h and so {header[1:-1]}" in found[0]


def test_what_is_allowed_is_let_through(tmp_path):
    files = tree(tmp_path, {
        "gateway/edge/a.h": '#include <thread>\n#include "base/x.h"\n#include "wire/x.h"\n'
                            '#include "registry/client/x.h"\nnamespace torchfleet::gateway {',
        "gateway/edge/b.h": "namespace torchfleet::gateway::inner {",
        "gateway/main.cc": '#include "gateway/edge/a.h"\nint main() {',
        "model-worker/execute/a.cc": "#include <torch/script.h>\nnamespace torchfleet::worker {",
        "base/a.cc": '#include "google/rpc/status.pb.h"',
        "proto/x/a.proto": 'import "google/protobuf/any.proto";\nimport "x/b.proto";',
        "gateway/route/p.cc": '#include <vector>\n#include "absl/time/time.h"\n'
                              "// Now() is what a clock would say.\nInstant now,\n"
                              "namespace torchfleet::gateway {"})
    for check in rules.CHECKS[:4]:
        assert check(*files) == []


def test_readmes_that_are_not_true_are_found(tmp_path):
    readme = ("| file | what |\n|---|---|\n| `a.h` | x |\n| `b.{h,cc}` | `not_a_row.h` |\n"
              "| `gone.h` | z |\n| `/url`, `2.0` | |\n| [link](away.md) | |\n| `conf.json` | |\n")
    files = tree(tmp_path, {"net/README.md": readme, "net/a.h": "", "net/a.cc": "", "net/b.h": "",
                            "net/b.cc": "", "net/c/new.cc": "", "net/x.proto": ""})
    assert rules.check_readmes(*files) == ["net/README.md names away.md, which is not there",
                                           "net/README.md names conf.json, which is not there",
                                           "net/README.md names gone.h, which is not there",
                                           "net/README.md does not name c/new.cc",
                                           "net/README.md does not name x.proto"]


def test_a_folder_in_a_readme_speaks_for_its_files_under_tests_only(tmp_path):
    readme = "| folder | what |\n|---|---|\n| `unit/` | x |\n"
    files = tree(tmp_path, {"tests/README.md": readme, "tests/unit/a/b.cc": "",
                            "net/README.md": readme, "net/unit/b.cc": ""})
    assert rules.check_readmes(*files) == ["net/README.md does not name unit/b.cc"]


def test_tests_that_nobody_runs_are_found(tmp_path):
    files = tree(tmp_path, {
        "tests/CMakeLists.txt": "torchfleet_pytest(faults/test_a_b TORCH)\nx(SOURCES one_test.cc)\n",
        "tests/faults/test_a_b.py": "", "tests/faults/test_a.py": "", "tests/unit/one_test.cc": "",
        "tests/unit/none_test.cc": ""})
    assert rules.check_tests(*files) == ["tests/faults/test_a.py is in no CMakeLists.txt",
                                         "tests/unit/none_test.cc is in no CMakeLists.txt"]
