"""Calls a model: python infer.py HOST:PORT MODEL INPUT ROW.json

The stubs come from proto/ alone:
  python -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. \
      proto/inference/grpc_service.proto proto/inference/model_config.proto
"""
import array
import json
import sys

import grpc
from inference import grpc_service_pb2, grpc_service_pb2_grpc

address, model, name, file = sys.argv[1:]
with open(file, encoding="utf-8") as stream:
    row = json.load(stream)

request = grpc_service_pb2.ModelInferRequest(model_name=model)
request.inputs.add(name=name, datatype="FP32", shape=[1, len(row)])
request.raw_input_contents.append(array.array("f", row).tobytes())

with grpc.insecure_channel(address) as channel:
    client = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel)
    response = client.ModelInfer(request, timeout=10)
print(json.dumps(list(array.array("f", response.raw_output_contents[0]))))
