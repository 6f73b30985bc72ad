"""Rows 31 and 32 on the worker that runs models for real: a file that is not what
it should be ends the process with 1 and a line that says why."""
import hashlib
import io
import os
import subprocess
import zipfile
import zlib

import numpy as np
import pytest
import torch

import fleet as lib
from fleet import pb


class Doubled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full((256, 4), 2.0))

    def forward(self, x):
        return x * self.weight[0]


def whole():
    """The bytes of a model that works."""
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(Doubled()), file)
    return file.getvalue()


def with_entry(name):
    file = io.BytesIO(whole())
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(name, "x")
    return file.getvalue()


def bomb():
    """6 MB of zeros packed, which unpack to 6.4 GB: an entry over and over, each
    with its own bytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = bytes(64_000_000)
    packed = packer.compress(zeros) + packer.flush()
    check = zlib.crc32(zeros)
    file = io.BytesIO(whole())
    with zipfile.ZipFile(file, "a") as archive:
        for i in range(100):
            info = zipfile.ZipInfo(f"bomb/data/{i}")
            info.compress_type = zipfile.ZIP_DEFLATED
            info.CRC, info.compress_size, info.file_size = check, len(packed), len(zeros)
            info.header_offset = archive.start_dir
            archive.fp.seek(archive.start_dir)
            archive.fp.write(info.FileHeader() + packed)
            archive.start_dir = archive.fp.tell()
            archive.filelist.append(info)
            archive._didModify = True
    assert 6e6 < file.tell() < 8e6
    return file.getvalue()


def flipped():
    """One bit of a weight is another."""
    data = bytearray(whole())
    data[data.index(b"\0\0\0\x40" * 8) + 3] ^= 0x01
    return bytes(data)


def write(fleet, data, version=1, name="doubled", **parameters):
    fleet.add_model(name, inputs=(("x", "TYPE_FP32", [4]),), outputs=(("y", "TYPE_FP32", [4]),),
                    versions=(version,), **parameters)
    with open(os.path.join(fleet.repository, name, str(version), "model.pt"), "wb") as file:
        file.write(data)


def refusal(fleet, name="doubled"):
    """What a worker that must not start says."""
    done = subprocess.run([os.path.join(lib.BIN, "torchfleet-worker"), "--repository",
                           fleet.repository, "--model", name], capture_output=True, text=True,
                          timeout=60 * lib.SLOW, check=False)
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if "ERROR" in line]
    assert len(lines) == 1 and f"{name}/" in lines[0] and "model.pt" in lines[0], done.stderr
    return lines[0]


def serve(fleet, version=0):
    worker = fleet.start("torchfleet-worker", "--repository", fleet.repository, "--model",
                         "doubled", "--model-version", str(version), "--listen", "127.0.0.1:0")
    return worker


def check_serves(worker):
    values = np.array([[1, 2, 3, 4]], np.float32)
    answer = lib.stub(worker).ModelInfer(pb.ModelInferRequest(
        model_name="doubled", raw_input_contents=[values.tobytes()],
        inputs=[pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 4])]),
        timeout=20 * lib.SLOW)
    assert np.frombuffer(answer.raw_output_contents[0], np.float32).tolist() == [2, 4, 6, 8]


@pytest.mark.parametrize("data, says", [
    (lambda: b"", "no ZIP archive"),
    (lambda: b"this is no model", "no ZIP archive"),
    (lambda: whole()[:-100], "cut short"),
    (lambda: whole()[:300], "cut short"),
    (lambda: whole() + b"more", "something was added"),
    (flipped, "its checksum is"),
    (bomb, "expected at most"),
    (lambda: with_entry("../../tmp/x"), "'..'"),
    (lambda: with_entry("/tmp/x"), "absolute"),
    (lambda: with_entry("n" * 10_000), "10000 bytes"),
], ids=["empty", "text", "cut", "a_head", "added", "flipped", "bomb", "climbing", "absolute", "long"])
def test_row_31_a_damaged_file_is_refused(fleet, data, says):
    write(fleet, data())
    assert says in refusal(fleet)


def test_row_31_a_bomb_costs_no_memory(fleet):
    write(fleet, bomb())
    # Torch's libraries alone map several GB.
    worker = subprocess.Popen([os.path.join(lib.BIN, "torchfleet-worker"), "--repository",
                               fleet.repository, "--model", "doubled"], stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(worker.pid, 0)
    worker.returncode = os.waitstatus_to_exitcode(status)
    assert worker.returncode == 1
    assert usage.ru_maxrss < 1 << 20  # KiB


def test_row_31_the_old_version_serves_on(fleet):
    write(fleet, whole())
    worker = serve(fleet)
    write(fleet, whole()[:-1], version=2)
    assert "/2/model.pt" in refusal(fleet)
    check_serves(worker)


def test_row_31_a_file_is_no_folder(fleet):
    write(fleet, b"")
    path = os.path.join(fleet.repository, "doubled", "1", "model.pt")
    os.remove(path)
    os.mkdir(path)
    assert "is a folder" in refusal(fleet)


def test_row_32_the_pinned_file_serves(fleet):
    data = whole()
    write(fleet, data, MODEL_SHA256=hashlib.sha256(data).hexdigest())
    check_serves(serve(fleet))


def test_row_32_another_file_is_refused(fleet):
    data, pinned = whole(), hashlib.sha256(b"another").hexdigest()
    write(fleet, data, MODEL_SHA256=pinned)
    said = refusal(fleet)
    assert hashlib.sha256(data).hexdigest() in said and pinned in said


def test_row_32_a_pin_that_is_none_is_refused(fleet):
    data = whole()
    write(fleet, data, MODEL_SHA256="sha256:0")
    said = refusal(fleet)
    assert "'sha256:0'" in said and "64 hex digits" in said
    assert hashlib.sha256(data).hexdigest() in said
