#!/usr/bin/env python3
"""Every figure that we claim, taken again, beside the peers and in the same run.

  bench/run.py                        all rows, about an hour
  bench/run.py --rows fleet,tls       some of them
  bench/run.py --turns 3 --seconds 1  a quick look

Prints Markdown. A row whose goal is missed says so; the exit code tells only
whether everything could be measured.
"""
import argparse
import json
import os
import platform
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness.bench import Bench  # noqa: E402
from harness.peers import NotThere  # noqa: E402
from harness.processes import CORES  # noqa: E402
from rows import (catalogue, digits, discovery, encoder, fleet, generator, idle,  # noqa: E402
                  models, overload, proxy, registry, rescue, rest, rollout, worker)

ROWS = {"fleet": fleet.measure, "sizes": proxy.measure_sizes, "large": proxy.measure_megabytes,
        "latency": proxy.measure_latency, "many": proxy.measure_many, "tls": proxy.measure_tls,
        "models": models.measure, "rest": rest.measure, "generator": generator.measure,
        "idle": idle.measure, "news": discovery.measure_news, "swap": discovery.measure_swap,
        "registry": registry.measure_fleet, "stampede": registry.measure_stampede,
        "digits": digits.measure,
        "overhead": worker.measure_overhead, "batching": worker.measure_batching,
        "adaptive": worker.measure_adaptive, "encoder": encoder.measure,
        "catalogue": catalogue.measure,
        "tail": overload.measure_tail, "storm": overload.measure_storm,
        "slow": rescue.measure_slow, "killed": rescue.measure_killed,
        "frozen": rescue.measure_frozen, "stragglers": rescue.measure_stragglers,
        "down": rescue.measure_down, "overload": rescue.measure_overload,
        "rollout": rollout.measure}


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":", 1)[1].strip() for line in file
                      if line.startswith("model name")), platform.machine())
    return f"{len(CORES)} × {model}, Linux {platform.release()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(ROWS), help="of: " + ", ".join(ROWS))
    parser.add_argument("--turns", type=int, default=5, help="windows of each cell")
    parser.add_argument("--seconds", type=float, default=2, help="a window's length")
    parser.add_argument("--alone", action="store_true", help="without the peers")
    parser.add_argument("--json", metavar="FILE", help="write everything there too")
    options = parser.parse_args()
    names = options.rows.split(",")
    if unknown := [name for name in names if name not in ROWS]:
        parser.error(f"no row is called {', '.join(unknown)}; expected some of {', '.join(ROWS)}")
    if len(CORES) < 2:
        raise SystemExit("bench: got one core; what is measured and what drives it need one each")
    bench = Bench(options.turns, options.seconds, options.alone)
    sections = []
    print(f"{machine()}; medians of {options.turns} windows of {options.seconds:g} s\n")
    for name in names:
        print(f"{name}:", file=sys.stderr, flush=True)
        try:
            sections.append(ROWS[name](bench))
        except NotThere as what:
            bench.leave_out(what)
            continue
        print(sections[-1].text(), flush=True)
    for what in sorted(bench.not_there):
        print(f"- not there, left out: {what}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine(), "sections": [s.data() for s in sections]}, file,
                      indent=1, ensure_ascii=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
