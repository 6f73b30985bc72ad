// Runs in the browser: calls the gateway named in the page's address by gRPC-Web,
// in both of its formats, and tells the page's own server what came of it.
import * as protobuf from "protobufjs";
import { GrpcWebClientBase, MethodDescriptor, MethodType } from "grpc-web";

const gateway = new URLSearchParams(location.search).get("gateway");

async function modelInfer() {
  const root = new protobuf.Root();
  root.resolvePath = (_, file) => `/proto/${file}`;
  await root.load("inference/grpc_service.proto");
  const request = root.lookupType("inference.ModelInferRequest");
  const response = root.lookupType("inference.ModelInferResponse");
  return new MethodDescriptor(
    "/inference.GRPCInferenceService/ModelInfer", MethodType.UNARY, request.ctor, response.ctor,
    (message) => request.encode(message).finish(),
    (bytes) => response.toObject(response.decode(bytes), { longs: Number }));
}

async function call(method, format, model, values) {
  const client = new GrpcWebClientBase({ format });
  const request = {
    modelName: model,
    id: `${format}-mark`,
    inputs: [{ name: "x", datatype: "FP32", shape: [values.length / 4, 4] }],
    rawInputContents: [new Uint8Array(new Float32Array(values).buffer)],
  };
  try {
    const answer = await client.unaryCall(
      `http://${gateway}/inference.GRPCInferenceService/ModelInfer`, request, {}, method);
    const raw = answer.rawOutputContents[0];
    return {
      id: answer.id,
      output: answer.outputs[0],
      values: Array.from(new Float32Array(raw.slice().buffer)),
    };
  } catch (error) {
    return { code: error.code, message: error.message };
  }
}

async function run() {
  const method = await modelInfer();
  const large = Array.from({ length: 8 * 4 }, (_, i) => i / 4);
  const results = {};
  for (const format of ["binary", "text"]) {
    results[format] = {
      one: await call(method, format, "row", [0.5, -1.0, 2.25, 0.0]),
      eight: await call(method, format, "row", large),
      unknown: await call(method, format, "nobody", [0, 0, 0, 0]),
    };
  }
  return results;
}

run()
  .catch((error) => ({ failed: String(error) }))
  .then((results) => fetch("/result", { method: "POST", body: JSON.stringify(results) }));
