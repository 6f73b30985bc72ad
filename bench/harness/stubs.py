"""Python stubs of proto/, made once, for what the benchmark says to a registry."""
import functools
import os
import subprocess
import sys
import tempfile

from .processes import ROOT


@functools.lru_cache(maxsize=None)
def registry():
    """The messages and the services of registry.proto, and gRPC."""
    folder = tempfile.mkdtemp(prefix="torchfleet-bench-stubs-")
    proto = os.path.join(ROOT, "proto")
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I", proto,
                    f"--python_out={folder}", f"--grpc_python_out={folder}",
                    "torchfleet/registry/v1/registry.proto"], check=True)
    sys.path.insert(0, folder)
    import grpc
    from torchfleet.registry.v1 import registry_pb2, registry_pb2_grpc
    return grpc, registry_pb2, registry_pb2_grpc
