// The proxy of net/examples between gRPC's own client and server.

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <optional>
#include <string>
#include <thread>

#include "inference/grpc_service.grpc.pb.h"
#include "net/examples/proxy_service.h"
#include "net/server/server.h"

namespace torchfleet::net {
namespace {

using inference::GRPCInferenceService;
using inference::ModelInferRequest;
using inference::ModelInferResponse;
using inference::ModelStreamInferResponse;

class Behind final : public GRPCInferenceService::Service {
 public:
  grpc::Status ModelInfer(grpc::ServerContext* context, const ModelInferRequest* request,
                          ModelInferResponse* response) override {
    if (request->model_name() == "never") {
      while (!context->IsCancelled()) std::this_thread::yield();
      ++cancelled;
      return grpc::Status::CANCELLED;
    }
    const auto sent = context->client_metadata().find("sent");
    context->AddInitialMetadata("came",
                                sent == context->client_metadata().end()
                                    ? "nothing"
                                    : std::string(sent->second.data(), sent->second.size()));
    context->AddTrailingMetadata("why", "because");
    if (request->model_name() == "fails") return {grpc::StatusCode::ABORTED, "no %", "details"};
    response->set_id(request->id());
    for (const auto& raw : request->raw_input_contents()) response->add_raw_output_contents(raw);
    return grpc::Status::OK;
  }
  grpc::Status ModelStreamInfer(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<ModelStreamInferResponse, ModelInferRequest>* stream) override {
    ModelInferRequest request;
    while (stream->Read(&request)) {
      ModelStreamInferResponse response;
      response.mutable_infer_response()->set_id(request.id());
      response.mutable_infer_response()->add_raw_output_contents(request.raw_input_contents(0));
      stream->Write(response);
    }
    return grpc::Status::OK;
  }
  std::atomic<int> cancelled = 0;
};

struct Chain {
  Chain() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.SetMaxReceiveMessageSize(-1);
    builder.RegisterService(&behind);
    server = builder.BuildAndStart();
    const auto address = ParseAddress("127.0.0.1:" + std::to_string(port));
    proxy = *Server::Start(
        {}, [&](Loop& loop) { return std::make_unique<example::ProxyService>(loop, *address); });
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    stub = GRPCInferenceService::NewStub(
        grpc::CreateCustomChannel(proxy->address(), grpc::InsecureChannelCredentials(), arguments));
  }
  grpc::Status Infer(const ModelInferRequest& request, ModelInferResponse& response) {
    return stub->ModelInfer(&*context, request, &response);
  }
  void Renew(std::chrono::milliseconds limit = std::chrono::seconds(30)) {
    context.emplace();
    context->set_deadline(std::chrono::system_clock::now() + limit);
  }
  Behind behind;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<Server> proxy;
  std::unique_ptr<GRPCInferenceService::Stub> stub;
  std::optional<grpc::ClientContext> context;
};

ModelInferRequest ARequest(const std::string& name, size_t bytes) {
  ModelInferRequest request;
  request.set_model_name(name);
  request.set_id("mine");
  request.add_raw_input_contents(std::string(bytes, 'r'));
  return request;
}

TEST_CASE("Cut-through: gRPC passes, whatever its size, with metadata and status",
          "[net][interop]") {
  Chain chain;
  for (const size_t bytes : {size_t{0}, size_t{1000}, size_t{100000}, size_t{60} << 20}) {
    chain.Renew();
    chain.context->AddMetadata("sent", "this");
    ModelInferResponse response;
    const auto request = ARequest("echo", bytes);
    REQUIRE(chain.Infer(request, response).ok());
    CHECK(response.raw_output_contents(0) == request.raw_input_contents(0));
    CHECK(chain.context->GetServerInitialMetadata().find("came")->second == "this");
    CHECK(chain.context->GetServerTrailingMetadata().find("why")->second == "because");
  }
  chain.Renew();
  ModelInferResponse response;
  const auto status = chain.Infer(ARequest("fails", 10), response);
  CHECK(status.error_code() == grpc::StatusCode::ABORTED);
  CHECK(status.error_message() == "no %");
  CHECK(status.error_details() == "details");
  CHECK(chain.context->GetServerTrailingMetadata().find("why")->second == "because");
}

TEST_CASE("Cut-through: messages over the limit are refused before they are here",
          "[net][interop]") {
  Chain chain;
  chain.Renew();
  ModelInferResponse response;
  CHECK(chain.Infer(ARequest("echo", 65 << 20), response).error_code() ==
        grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_CASE("Cut-through: deadlines and cancellations reach the server behind", "[net][interop]") {
  Chain chain;
  chain.Renew(std::chrono::milliseconds(100));
  ModelInferResponse response;
  CHECK(chain.Infer(ARequest("never", 10), response).error_code() ==
        grpc::StatusCode::DEADLINE_EXCEEDED);
  while (chain.behind.cancelled < 1) std::this_thread::yield();
  chain.Renew();
  std::jthread call([&] { chain.Infer(ARequest("never", 10), response); });
  chain.context->TryCancel();
}

TEST_CASE("Cut-through: a stream both ways", "[net][interop]") {
  Chain chain;
  chain.Renew();
  const auto stream = chain.stub->ModelStreamInfer(&*chain.context);
  for (size_t i = 0; i < 50; ++i) {
    REQUIRE(stream->Write(ARequest("echo", i * 10000)));
    ModelStreamInferResponse response;
    REQUIRE(stream->Read(&response));
    CHECK(response.infer_response().raw_output_contents(0).size() == i * 10000);
  }
  stream->WritesDone();
  CHECK(stream->Finish().ok());
}

}  // namespace
}  // namespace torchfleet::net
