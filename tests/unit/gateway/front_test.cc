#include <grpcpp/generic/generic_stub.h>

#include <catch2/catch_test_macros.hpp>
#include <future>
#include <string>
#include <vector>

#include "base/grpc_status.h"
#include "base/status.h"
#include "gateway/gateway_server.h"
#include "tests/unit/gateway/fake_backend.h"

namespace torchfleet::gateway {
namespace {

using registry::v1::WORKER_STATE_DRAINING;
using registry::v1::WORKER_STATE_STARTING;

// Calls one of the stub's methods.
template <typename Response, typename Request, typename Method>
grpc::Status Call(inference::GRPCInferenceService::Stub& stub, Method method,
                  const Request& request, Response& response) {
  grpc::ClientContext context;
  context.set_deadline(After(absl::Seconds(30)));
  return (stub.*method)(&context, request, &response);
}

using Stub = inference::GRPCInferenceService::Stub;

TEST_CASE("Front: is live at once and ready when the fleet was seen", "[gateway][front]") {
  TestGateway gateway;
  inference::ServerLiveResponse live;
  CHECK(Call(gateway.stub(), &Stub::ServerLive, inference::ServerLiveRequest(), live).ok());
  CHECK(live.live());
  inference::ServerReadyResponse ready;
  CHECK(Call(gateway.stub(), &Stub::ServerReady, inference::ServerReadyRequest(), ready).ok());
  CHECK_FALSE(ready.ready());
  CHECK(gateway.Infer("m").error_code() == grpc::StatusCode::UNAVAILABLE);
  gateway.SetFleet({});
  CHECK(Call(gateway.stub(), &Stub::ServerReady, inference::ServerReadyRequest(), ready).ok());
  CHECK(ready.ready());
  inference::ServerMetadataResponse metadata;
  CHECK(Call(gateway.stub(), &Stub::ServerMetadata, inference::ServerMetadataRequest(), metadata)
            .ok());
  CHECK(metadata.name() == "torchfleet");
}

TEST_CASE("Front: lists the fleet's models and their states", "[gateway][front]") {
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "9", "127.0.0.1:1"},
                    {"b", "m", "10", "127.0.0.1:1", WORKER_STATE_STARTING},
                    {"c", "n", "1", "127.0.0.1:1", WORKER_STATE_DRAINING}});
  inference::RepositoryIndexResponse index;
  inference::RepositoryIndexRequest request;
  REQUIRE(Call(gateway.stub(), &Stub::RepositoryIndex, request, index).ok());
  REQUIRE(index.models_size() == 3);
  CHECK(index.models(0).version() == "9");
  CHECK(index.models(0).state() == "READY");
  CHECK(index.models(1).version() == "10");
  CHECK(index.models(1).state() == "LOADING");
  CHECK(index.models(2).name() == "n");
  CHECK(index.models(2).state() == "UNLOADING");
  request.set_ready(true);
  REQUIRE(Call(gateway.stub(), &Stub::RepositoryIndex, request, index).ok());
  CHECK(index.models_size() == 1);
}

TEST_CASE("Front: a model is ready when a worker of it is; an unknown one is not",
          "[gateway][front]") {
  TestGateway gateway;
  gateway.SetFleet(
      {{"a", "m", "9", "127.0.0.1:1"}, {"b", "m", "10", "127.0.0.1:1", WORKER_STATE_STARTING}});
  struct Row {
    std::string model, version;
    bool ready;
  };
  for (const Row& row :
       std::vector<Row>{{"m", "", true}, {"m", "9", true}, {"m", "10", false}, {"x", "", false}}) {
    CAPTURE(row.model, row.version);
    inference::ModelReadyRequest request;
    request.set_name(row.model);
    request.set_version(row.version);
    inference::ModelReadyResponse response;
    CHECK(Call(gateway.stub(), &Stub::ModelReady, request, response).ok());
    CHECK(response.ready() == row.ready);
  }
}

TEST_CASE("Front: a model's metadata is its worker's, with the fleet's versions",
          "[gateway][front]") {
  FakeBackend backend;
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "9", backend.address()}, {"b", "m", "10", backend.address()}});
  inference::ModelMetadataRequest request;
  request.set_name("m");
  inference::ModelMetadataResponse response;
  REQUIRE(Call(gateway.stub(), &Stub::ModelMetadata, request, response).ok());
  CHECK(response.platform() == "fake");
  REQUIRE(response.versions_size() == 2);
  CHECK(response.versions(0) == "9");
  CHECK(response.versions(1) == "10");
  request.set_name("x");
  CHECK(Call(gateway.stub(), &Stub::ModelMetadata, request, response).error_code() ==
        grpc::StatusCode::NOT_FOUND);
}

TEST_CASE("Front: what it has not is UNIMPLEMENTED", "[gateway][front][faults]") {
  TestGateway gateway;
  inference::RepositoryModelLoadResponse response;
  CHECK(Call(gateway.stub(), &Stub::RepositoryModelLoad, inference::RepositoryModelLoadRequest(),
             response)
            .error_code() == grpc::StatusCode::UNIMPLEMENTED);
}

TEST_CASE("Front: bytes that are no message are INVALID_ARGUMENT", "[gateway][front][faults]") {
  TestGateway gateway;
  gateway.SetFleet({});
  grpc::GenericStub stub(gateway.channel());
  for (const std::string bytes : {"\xFF\xFF", "\x0A\x7Fm", "\x0A\x01\xFF"}) {
    grpc::ClientContext context;
    context.set_deadline(After(absl::Seconds(30)));
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    std::promise<grpc::Status> done;
    stub.UnaryCall(&context, "/inference.GRPCInferenceService/ModelInfer", {}, &request, &response,
                   [&](grpc::Status status) { done.set_value(std::move(status)); });
    CHECK(done.get_future().get().error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  }
}

TEST_CASE("Front: unknown models and bad names are refused before any worker",
          "[gateway][front][faults]") {
  FakeBackend backend;
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "1", backend.address()}});
  CHECK(gateway.Infer("x").error_code() == grpc::StatusCode::NOT_FOUND);
  for (const std::string& name :
       {std::string("../x"), std::string("m\0", 2), std::string(10240, 'x')}) {
    const grpc::Status status = gateway.Infer(name);
    CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
    CHECK(status.error_message().size() <= kMaxErrorText);
  }
  CHECK(backend.calls().value() == 0);
  CHECK(gateway.calls().Find("other")->ended(static_cast<size_t>(absl::StatusCode::kNotFound)) ==
        1);
}

TEST_CASE("GatewayServer: before one worker it serves at once, and drains calls in progress",
          "[gateway][server]") {
  std::promise<void> release;
  auto gate = release.get_future().share();
  FakeBackend backend([&](auto&, const auto&, auto&) {
    gate.wait();
    return std::optional(grpc::Status::OK);
  });
  auto gateway = GatewayServer::Start({.listen = "127.0.0.1:0", .worker = backend.address()});
  REQUIRE(gateway.ok());
  auto stub = inference::GRPCInferenceService::NewStub(
      grpc::CreateChannel((*gateway)->address(), grpc::InsecureChannelCredentials()));
  inference::ModelInferRequest request;
  request.set_model_name("anything");
  inference::ModelInferResponse response;
  auto call = std::async(std::launch::async,
                         [&] { return Call(*stub, &Stub::ModelInfer, request, response); });
  REQUIRE(backend.calls().WaitFor(1));
  auto drained = std::async(std::launch::async, [&] { (*gateway)->Drain(absl::Seconds(30)); });
  release.set_value();
  CHECK(call.get().ok());
  drained.get();
  CHECK_FALSE(Call(*stub, &Stub::ModelInfer, request, response).ok());
}

TEST_CASE("GatewayServer: a port that is taken is an error that says so", "[gateway][server]") {
  auto first = GatewayServer::Start({.listen = "127.0.0.1:0", .worker = "127.0.0.1:1"});
  REQUIRE(first.ok());
  auto second = GatewayServer::Start({.listen = (*first)->address(), .worker = "127.0.0.1:1"});
  CHECK(second.status().code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("GatewayServer: refuses what is no address of a worker or registry",
          "[gateway][server]") {
  for (const char* address : {"w", "w:", ":1"}) {
    CAPTURE(address);
    const auto code = absl::StatusCode::kInvalidArgument;
    CHECK(GatewayServer::Start({.listen = "127.0.0.1:0", .worker = address}).status().code() ==
          code);
    CHECK(GatewayServer::Start({.listen = "127.0.0.1:0", .registry = address, .worker = ""})
              .status()
              .code() == code);
  }
}

}  // namespace
}  // namespace torchfleet::gateway
