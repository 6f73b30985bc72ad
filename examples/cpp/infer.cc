// Calls a model: example-infer HOST:PORT MODEL INPUT ROW.json
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <vector>

#include "inference/grpc_service.grpc.pb.h"
#include "nlohmann/json.hpp"

int main(int argc, char** argv) {
  if (argc != 5) return std::cerr << "expected HOST:PORT MODEL INPUT ROW.json\n", 2;
  std::ifstream file(argv[4]);
  const auto row = nlohmann::json::parse(file).get<std::vector<float>>();

  inference::ModelInferRequest request;
  request.set_model_name(argv[2]);
  auto* input = request.add_inputs();
  input->set_name(argv[3]);
  input->set_datatype("FP32");
  input->add_shape(1);
  input->add_shape(static_cast<int64_t>(row.size()));
  request.add_raw_input_contents(row.data(), row.size() * sizeof(float));

  const auto channel = grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials());
  const auto client = inference::GRPCInferenceService::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  inference::ModelInferResponse response;
  const grpc::Status status = client->ModelInfer(&context, request, &response);
  if (!status.ok()) return std::cerr << status.error_message() << "\n", 1;

  const std::string& bytes = response.raw_output_contents(0);
  const auto* values = reinterpret_cast<const float*>(bytes.data());
  std::cout << nlohmann::json(std::vector<float>(values, values + bytes.size() / sizeof(float)))
            << "\n";
}
