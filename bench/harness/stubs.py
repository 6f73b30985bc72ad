"""Python stubs of proto/, made once, for what the benchmark says by itself."""
import functools
import os
import subprocess
import sys
import tempfile

from .processes import ROOT

# Servers are started while other threads make calls; it would say so each time.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")


@functools.lru_cache(maxsize=None)
def _made(*files):
    folder = tempfile.mkdtemp(prefix="torchfleet-bench-stubs-")
    proto = os.path.join(ROOT, "proto")
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I", proto,
                    f"--python_out={folder}", f"--grpc_python_out={folder}", *files], check=True)
    sys.path.insert(0, folder)


def registry():
    """The messages and the services of registry.proto, and gRPC."""
    _made("torchfleet/registry/v1/registry.proto", "torchfleet/registry/v1/catalogue.proto")
    import grpc
    from torchfleet.registry.v1 import registry_pb2, registry_pb2_grpc
    return grpc, registry_pb2, registry_pb2_grpc


def inference():
    """The same of grpc_service.proto."""
    _made("inference/grpc_service.proto", "inference/model_config.proto")
    import grpc
    from inference import grpc_service_pb2, grpc_service_pb2_grpc
    return grpc, grpc_service_pb2, grpc_service_pb2_grpc
