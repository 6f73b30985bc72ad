"""TorchServe's side of a model of 784 floats: bytes in, bytes out.

Keeps how many batches of each size it has run in a file of 65 64-bit numbers, as
TorchServe itself does not tell.
"""
import mmap
import os
import struct

import numpy
import torch


class Handler:
    def __init__(self):
        self.initialized = False

    def initialize(self, context):
        torch.set_num_threads(1)
        folder = context.system_properties["model_dir"]
        self.model = torch.jit.load(
            os.path.join(folder, context.manifest["model"]["serializedFile"])).eval()
        with open(os.environ["TORCHFLEET_BENCH_BATCHES"], "r+b") as file:
            self.batches = mmap.mmap(file.fileno(), 65 * 8)
        self.initialized = True

    def handle(self, data, context):
        del context
        rows = numpy.frombuffer(b"".join(bytes(row.get("data") or row.get("body"))
                                         for row in data), numpy.float32).reshape(-1, 784)
        with torch.inference_mode():
            result = self.model(torch.from_numpy(rows)).numpy()
        at = 8 * len(rows)
        struct.pack_into("<q", self.batches, at, 1 + struct.unpack_from("<q", self.batches, at)[0])
        return [row.tobytes() for row in result]
