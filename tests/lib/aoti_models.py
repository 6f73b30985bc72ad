"""Tiny AOTInductor packages, and what PyTorch itself answers: made by a process of
its own, which compiles them with the system's C++ compiler.

    python aoti_models.py FOLDER

writes FOLDER/dynamic.pt2, FOLDER/fixed.pt2 and FOLDER/golden.npz.
"""
import os
import subprocess
import sys
import zipfile


def make(folder):
    """Makes the packages; returns their folder."""
    folder = str(folder)
    subprocess.run([sys.executable, os.path.abspath(__file__), folder], check=True,
                   capture_output=True, timeout=900,
                   env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": os.path.join(folder, "cache")})
    return folder


def rewrite(package, target, edit):
    """A copy of a package: `edit(name, bytes)` says what an entry has instead."""
    with zipfile.ZipFile(package) as source, zipfile.ZipFile(target, "w") as changed:
        for entry in source.infolist():
            changed.writestr(entry.filename, edit(entry.filename, source.read(entry)))


def main(folder):
    import numpy
    import torch

    class Dynamic(torch.nn.Module):
        """Two inputs and two outputs, any batch up to 8."""

        def __init__(self):
            super().__init__()
            self.hidden = torch.nn.Linear(4, 16)
            self.out = torch.nn.Linear(16, 3)

        def forward(self, x, y):
            scores = torch.softmax(self.out(torch.relu(self.hidden(x))), 1)
            return scores, scores.sum(1, keepdim=True) + y * 2

    class Fixed(torch.nn.Module):
        """FP16 and BF16, a dictionary out, batches of exactly 4."""

        def forward(self, x, y):
            return {"doubled": x * 2, "sum": y + x.to(torch.bfloat16)}

    torch.manual_seed(1)
    model, fixed = Dynamic().eval(), Fixed()
    batch = torch.export.Dim("batch", min=1, max=8)
    x, y = torch.randn(8, 4), torch.randn(8, 2)
    with torch.inference_mode():
        scores, rest = model(x, y)
    numpy.savez(os.path.join(folder, "golden.npz"), x=x, y=y, scores=scores, rest=rest)
    for name, exported in (
            ("dynamic", torch.export.export(model, (x[:4], y[:4]),
                                            dynamic_shapes=({0: batch}, {0: batch}))),
            ("fixed", torch.export.export(fixed, (x[:4].half(), x[:4].bfloat16())))):
        torch._inductor.aoti_compile_and_package(
            exported, package_path=os.path.join(folder, f"{name}.pt2"),
            inductor_configs={"cpp.dynamic_threads": True})


if __name__ == "__main__":
    main(sys.argv[1])
