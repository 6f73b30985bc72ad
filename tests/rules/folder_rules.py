"""The rules between folders, and that READMEs are true.

Each check takes the root of a tree and the paths of its files, and returns
what is wrong, a line each. test_rules.py runs them on this tree, and on wrong
ones that show each check finds what it is for.
"""
import os
import re

OURS = ("base", "bench", "cli", "deploy", "examples", "gateway", "model-worker", "net", "proto",
        "registry", "repository", "tests", "trainer", "wire")
# What a folder may include of ours, besides itself. A generated header of
# proto/ counts as `proto`, but for the world's own under google/.
MAY_INCLUDE = {
    "proto": set(),
    "base": set(),
    "net": {"base"},
    "wire": {"base"},
    "repository": {"base", "proto"},
    "registry": {"base", "proto"},
    "gateway": {"base", "net", "wire", "proto", "registry/client"},
    "model-worker": {"base", "net", "wire", "proto", "repository", "registry/client"},
    "trainer": {"base", "proto", "repository"},
    "cli": {"base", "net", "wire", "proto", "repository", "registry/client"},
}
SERVICES = r".*\.grpc\.pb\.h"
TORCH = r"(torch|ATen|c10|caffe2)/.*"
MESSAGES = r".*\.pb\.h|grpc.*/.*|google/protobuf/.*"
TORCH_FOLDERS = ("model-worker/execute", "model-worker/load", "trainer", "bench/subjects")
# Decisions: pure, time comes in as a value. Files are by folder or by name.
PURE_FOLDERS = ("gateway/route", "gateway/balance", "model-worker/batch", "registry/state",
                "registry/catalogue/rules")
PURE_NAMES = r".*(_policy|retry_budget)\.(h|cc)"
THREADS = (r"thread|mutex|shared_mutex|condition_variable|future|semaphore|latch|barrier|stop_token"
           r"|pthread\.h|absl/synchronization/.*")
CLOCKS = r"chrono|ctime|time\.h|sys/time\.h|absl/time/clock\.h"
IMPURE_HEADERS = rf"({SERVICES}|{TORCH}|grpc.*/.*|{THREADS}|{CLOCKS})"
CLOCK_CALL = (r"\bNow\(\)|\bMonotonicClock\b|\b(steady|system|high_resolution)_clock\b"
              r"|\b(clock_gettime|gettimeofday)\(|\btime\((nullptr|NULL|0)\)")
NAMESPACES = {"gateway": "torchfleet::gateway", "model-worker": "torchfleet::worker",
              "registry": "torchfleet::registry", "net": "torchfleet::net",
              "wire": "torchfleet::wire", "trainer": "torchfleet::trainer",
              "repository": "torchfleet::repository", "cli": "torchfleet::cli"}
SOURCE = (".cc", ".h", ".py", ".proto", ".js", ".sh", ".h.in")


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def code(root, path):
    """A file's text without its comments."""
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", read(root, path), flags=re.DOTALL)


def includes(root, path):
    directive = (r'^\s*import\s*(?:public\s*)?["]([^"]+)["]' if path.endswith(".proto")
                 else r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
    return re.findall(directive, read(root, path), re.MULTILINE)


def reached(root, path, known):
    """Every include of a file and of our headers that it gets to, each with the
    way there."""
    ways, todo = {}, [(path, ())]
    while todo:
        current, way = todo.pop()
        for include in includes(root, current):
            if include not in ways:
                ways[include] = (*way, include)
                if include in known:
                    todo.append((include, ways[include]))
    return ways


def folder_of(include):
    """Which folder of ours an include is from; None for the world's."""
    if include.endswith(".pb.h"):
        return None if include.startswith("google/") else "proto"
    first = include.split("/")[0]
    if first not in OURS or "/" not in include:
        return None
    return "registry/client" if include.startswith("registry/client/") else first


def cxx(paths):
    return [p for p in paths if p.endswith((".cc", ".h")) and not p.startswith("tests/")]


def is_pure(path):
    return path.startswith(tuple(f"{f}/" for f in PURE_FOLDERS)) or bool(
        re.fullmatch(PURE_NAMES, os.path.basename(path)))


def check_includes(root, paths):
    """Rules 1, 2 and 5: who may include whom, by the path from the root."""
    wrong, known = [], set(paths)
    for path in cxx(paths) + [p for p in paths if p.endswith(".proto")]:
        folder = path.split("/")[0]
        for include in includes(root, path):
            of = folder_of(include)
            inside = of is not None and of.split("/")[0] == folder
            if of and folder in MAY_INCLUDE and not inside and of not in MAY_INCLUDE[folder]:
                wrong.append(f"{path} includes {include}; {folder} may include only "
                             f"{', '.join(sorted(MAY_INCLUDE[folder])) or 'nothing of ours'}")
            beside = os.path.normpath(os.path.join(os.path.dirname(path), include))
            if include not in known and beside in known:
                wrong.append(f"{path} includes {include}; expected the path from the root")
    return wrong


def check_torch(root, paths):
    """Rules 1 and 4: torch only where models run or are trained, also by way of
    our own headers, and apart from messages; base has neither torch nor services."""
    wrong, known = [], set(paths)
    folders = tuple(f"{f}/" for f in TORCH_FOLDERS)
    for path in cxx(paths):
        ways = reached(root, path, known)
        sees_torch = any(re.fullmatch(TORCH, include) for include in ways)
        for include, way in ways.items():
            said = f"{path} includes {' and so '.join(way)}; "
            if re.fullmatch(TORCH, include) and not path.startswith(folders):
                wrong.append(said + f"torch is for {', '.join(TORCH_FOLDERS)}")
            if path.startswith("base/") and re.fullmatch(SERVICES, include):
                wrong.append(said + "base knows no services")
            # torch brings headers of another Protobuf.
            if re.fullmatch(MESSAGES, include) and sees_torch:
                wrong.append(said + "what sees torch must not see messages or gRPC")
    return wrong


def check_pure(root, paths):
    """Rule 3: decisions have no gRPC, torch, threads or clock calls in them, also
    not by way of our own headers."""
    wrong, known = [], set(paths)
    for path in filter(is_pure, cxx(paths)):
        wrong += [f"{path} includes {' and so '.join(way)}; decisions are pure"
                  for include, way in reached(root, path, known).items()
                  if re.fullmatch(IMPURE_HEADERS, include)]
        wrong += [f"{path} calls {call.group(0)}; time comes in as a value"
                  for call in re.finditer(CLOCK_CALL, code(root, path))]
    return wrong


def check_namespaces(root, paths):
    """Rule 5: a folder's namespace. The file with main() may have none."""
    wrong = []
    for path in cxx(paths):
        name = NAMESPACES.get(path.split("/")[0])
        form = rf"^(namespace {name}(::\w+)* {{|int main\()"
        if name and not re.search(form, read(root, path), re.MULTILINE):
            wrong.append(f"{path} is not in namespace {name}")
    return wrong


def named_in(readme_text):
    """The files that the tables of a README name: `a/b.h`, `a/b.{h,cc}`, `c/`."""
    named = set()
    for row in re.findall(r"^\|(.*?)\|", readme_text, re.MULTILINE):
        for name in re.findall(r"`([^`]+)`|\]\(([^)]+)\)", row):
            name = name[0] or name[1]
            alternatives = re.fullmatch(r"(.*)\{(.*)\}", name)
            if alternatives:
                named |= {alternatives[1] + end for end in alternatives[2].split(",")}
            # /v2 is the path of a URL, 2.0 a number.
            elif ("/" in name or "." in name) and re.match(r"[^/].*[A-Za-z]", name):
                named.add(name)
    return named


def check_readmes(root, paths):
    """Each folder of ours has a README whose tables name all of its sources,
    x.cc by x.h, and nothing that is not there. Under tests/ a row names a folder."""
    wrong, known = [], set(paths)
    readmes = {os.path.dirname(p) for p in paths if os.path.basename(p) == "README.md"}
    named = {folder: named_in(read(root, os.path.join(folder, "README.md"))) for folder in readmes}
    for folder in sorted(readmes):
        if folder.split("/")[0] not in OURS:
            continue
        for name in sorted(named[folder]):
            path = os.path.normpath(os.path.join(folder, name))
            if path not in known and not any(p.startswith(path + "/") for p in known):
                wrong.append(f"{folder}/README.md names {name}, which is not there")
    for path in paths:
        if not path.endswith(SOURCE) or path.split("/")[0] not in OURS:
            continue
        home = os.path.dirname(path)
        while home and home not in readmes:
            home = os.path.dirname(home)
        if not home:
            wrong.append(f"{path} has no README.md in {path.split('/')[0]}/")
            continue
        inside = os.path.relpath(path, home)
        stem = os.path.splitext(inside)[0]
        covered = {inside, stem + ".h", stem + ".cc"} & named[home]
        folders = {name for name in named[home] if name.endswith("/") and inside.startswith(name)}
        if not covered and not (folders and home.startswith("tests")):
            wrong.append(f"{home}/README.md does not name {inside}")
    return wrong


def check_tests(root, paths):
    """Every test is run: a CMakeLists.txt names it."""
    lists = "\n".join(read(root, p) for p in paths if os.path.basename(p) == "CMakeLists.txt")
    wrong = []
    for path in paths:
        name = os.path.basename(path)
        if re.fullmatch(r"test_\w+\.py", name):
            word = os.path.relpath(os.path.splitext(path)[0], "tests")
        elif re.fullmatch(r"\w+_test\.cc", name):
            word = name
        else:
            continue
        if not re.search(rf"(^|[\s(/]){re.escape(word)}($|[\s)])", lists, re.MULTILINE):
            wrong.append(f"{path} is in no CMakeLists.txt")
    return wrong


CHECKS = (check_includes, check_torch, check_pure, check_namespaces, check_readmes, check_tests)
