// torchfleet-bench-grpc-server: a plain gRPC C++ callback server that answers
// ModelInfer, the unit that calls are measured in.
//
// A model's name says what it takes and gives: f784x10 takes one tensor of 784
// floats and gives one of 10 zeros. Prints its address on a line.

#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <optional>
#include <string>

#include "inference/grpc_service.grpc.pb.h"

namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

const std::string kVersion = "1", kInput = "x", kOutput = "y", kType = "FP32";

struct Sizes {
  int inputs, outputs;
};

std::optional<Sizes> SizesOf(const std::string& model) {
  Sizes sizes{};
  if (std::sscanf(model.c_str(), "f%dx%d", &sizes.inputs, &sizes.outputs) != 2) return {};
  return sizes;
}

template <typename Tensor>
void Describe(const std::string& name, int floats, Tensor* tensor) {
  tensor->set_name(name);
  tensor->set_datatype(kType);
  tensor->add_shape(1);
  tensor->add_shape(floats);
}

ServerUnaryReactor* Finish(CallbackServerContext* call, const grpc::Status& status) {
  ServerUnaryReactor* reactor = call->DefaultReactor();
  reactor->Finish(status);
  return reactor;
}

class Service final : public inference::GRPCInferenceService::CallbackService {
  ServerUnaryReactor* ModelMetadata(CallbackServerContext* call,
                                    const inference::ModelMetadataRequest* request,
                                    inference::ModelMetadataResponse* response) override {
    const auto sizes = SizesOf(request->name());
    if (!sizes) return Finish(call, {grpc::StatusCode::NOT_FOUND, "no such model"});
    response->set_name(request->name());
    response->add_versions(kVersion);
    Describe(kInput, sizes->inputs, response->add_inputs());
    Describe(kOutput, sizes->outputs, response->add_outputs());
    return Finish(call, grpc::Status::OK);
  }

  ServerUnaryReactor* ModelInfer(CallbackServerContext* call,
                                 const inference::ModelInferRequest* request,
                                 inference::ModelInferResponse* response) override {
    const auto sizes = SizesOf(request->model_name());
    if (!sizes) return Finish(call, {grpc::StatusCode::NOT_FOUND, "no such model"});
    response->set_model_name(request->model_name());
    response->set_model_version(kVersion);
    response->set_id(request->id());
    Describe(kOutput, sizes->outputs, response->add_outputs());
    response->add_raw_output_contents()->resize(4 * static_cast<size_t>(sizes->outputs));
    return Finish(call, grpc::Status::OK);
  }
};

}  // namespace

int main() {
  Service service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  builder.SetMaxReceiveMessageSize(-1);
  const auto server = builder.BuildAndStart();
  if (!server) return 1;
  std::printf("127.0.0.1:%d\n", port);
  std::fflush(stdout);
  server->Wait();
}
