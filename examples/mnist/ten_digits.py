#!/usr/bin/env python3
"""Ten test digits through a running fleet, beside their labels.

Run it beside `make up`: examples/mnist/ten_digits.py [FIRST]
Needs nothing but Python; it calls build/bin/torchfleet.
"""
import gzip
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TORCHFLEET = os.environ.get("TORCHFLEET", os.path.join(HERE, "../../build/bin/torchfleet"))


def read(name, header):
    with gzip.open(os.path.join(HERE, "data", name)) as file:
        return file.read()[header:]


first = int(sys.argv[1]) if len(sys.argv) > 1 else 0
images, labels = read("t10k-images-idx3-ubyte.gz", 16), read("t10k-labels-idx1-ubyte.gz", 8)
rows = [[pixel / 255 for pixel in images[i * 784:(i + 1) * 784]] for i in range(first, first + 10)]
with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
    json.dump(rows, file)
    file.flush()
    answer = subprocess.run(
        [TORCHFLEET, "infer", "mnist", "--input", f"input=@{file.name}", "-o", "json"],
        stdout=subprocess.PIPE, check=False)
if answer.returncode != 0:
    sys.exit(answer.returncode)
right = 0
print("digit  label  answer")
for i, row in enumerate(json.loads(answer.stdout)["outputs"][0]["data"]):
    guess, label = row.index(max(row)), labels[first + i]
    right += guess == label
    print(f"{first + i:>5}  {label:>5}  {guess} ({100 * max(row):.2f} %)"
          + ("" if guess == label else "   wrong"))
print(f"{right} of 10 right")
