#include "model-worker/worker_server.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <future>

#include "base/status.h"
#include "base/version.h"
#include "tests/unit/model-worker/served_worker.h"

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;

TEST_CASE("Worker: answers with the caller's id, its version and raw contents", "[worker][front]") {
  Served served;
  ModelInferResponse response;
  REQUIRE(served.Infer(Text("hello"), &response).ok());
  CHECK(response.id() == "id of hello");
  CHECK(response.model_name() == "echo");
  CHECK(response.model_version() == "7");
  REQUIRE(response.raw_output_contents_size() == 1);
  CHECK(response.raw_output_contents(0) == Raw("hello"));
  CHECK(response.outputs(0).name() == "echo");
}

TEST_CASE("Worker: another model or version is NOT_FOUND, its name cut short", "[worker][front]") {
  Served served;
  ModelInferResponse response;
  auto request = Text("x");
  for (const std::string& name :
       {std::string(), std::string("other"), std::string("echo\0", 5), std::string(10000, 'n')}) {
    request.set_model_name(name);
    const absl::Status status = served.Infer(request, &response);
    CHECK(absl::IsNotFound(status));
    CHECK(status.message().size() <= kMaxErrorText);
  }
  request.set_model_name("echo");
  request.set_model_version("8");
  CHECK(absl::IsNotFound(served.Infer(request, &response)));
  request.set_model_version("7");
  CHECK(served.Infer(request, &response).ok());
}

TEST_CASE("Worker: what is wrong is INVALID_ARGUMENT with its field", "[worker][front]") {
  Served served;
  ModelInferResponse response;
  auto request = Text("x");
  request.mutable_inputs(0)->set_datatype("FP32");
  absl::Status status = served.Infer(request, &response);
  CHECK(absl::IsInvalidArgument(status));
  CHECK(BadField(status) == "inputs[text].contents");

  request = Text("x");
  for (int i = 0; i < 1000000; ++i) request.add_outputs();
  status = served.Infer(request, &response);
  CHECK(absl::IsInvalidArgument(status));
  CHECK_THAT(std::string(status.message()),
             ContainsSubstring("1000000 requested outputs, more than the 1024"));
  CHECK(served.Infer(Text("still here"), &response).ok());
}

TEST_CASE("Worker: a failing model is an answer, and the process lives", "[worker][front]") {
  ModelInferResponse response;
  const auto with = [&](const std::string& behaviour) {
    Served served("parameters { key: \"fake\" value { string_value: \"" + behaviour + "\" } }");
    const absl::Status status = served.Infer(Text("x"), &response);
    CHECK(served.Infer(Text("x"), &response) == status);
    CHECK_THAT(std::string(status.message()), !ContainsSubstring("secret"));
    return status.code();
  };
  CHECK(with("throw") == absl::StatusCode::kInternal);
  CHECK(with("bad_alloc") == absl::StatusCode::kResourceExhausted);
  CHECK(with("wrong_shape") == absl::StatusCode::kInternal);
}

TEST_CASE("Worker: a deadline that passes in the queue means it never runs", "[worker][front]") {
  Gate gate;
  Served served(
      "", [&](const auto&, const auto&) { return std::make_unique<GatedModel>(gate); }, 1);
  ModelInferResponse blocking_response, response;
  auto blocking = std::async([&] { return served.Infer(Text("blocks"), &blocking_response); });
  REQUIRE(gate.WaitForEntered(1));
  CHECK(absl::IsDeadlineExceeded(served.Infer(Text("late"), &response, absl::Milliseconds(50))));
  WaitForRoom(served);
  gate.Open();
  CHECK(blocking.get().ok());
  CHECK(served.Infer(Text("after"), &response).ok());
  CHECK_FALSE(gate.Ran("late"));
  CHECK(gate.Ran("after"));
}

TEST_CASE(
    "Worker: a full queue is UNAVAILABLE with the time to try again; a cancelled request "
    "makes room",
    "[worker][front]") {
  Gate gate;
  Served served(
      "", [&](const auto&, const auto&) { return std::make_unique<GatedModel>(gate); }, 1);
  ModelInferResponse running_response, waiting_response, response;
  auto running = std::async([&] { return served.Infer(Text("runs"), &running_response); });
  REQUIRE(gate.WaitForEntered(1));

  // Of two more, one waits and the other finds the queue full.
  grpc::ClientContext contexts[2];
  std::promise<grpc::Status> ended[2];
  std::promise<int> refused;
  std::atomic<bool> first = true;
  for (int i = 0; i < 2; ++i) {
    static ModelInferRequest request = Text("waits");
    auto* answer = i == 0 ? &waiting_response : &response;
    served.stub().async()->ModelInfer(&contexts[i], &request, answer, [&, i](grpc::Status status) {
      if (first.exchange(false)) refused.set_value(i);
      ended[i].set_value(status);
    });
  }
  const int full = refused.get_future().get();
  const absl::Status status = FromGrpc(ended[full].get_future().get());
  CHECK(absl::IsUnavailable(status));
  CHECK(RetryDelay(status).has_value());

  contexts[1 - full].TryCancel();
  CHECK(ended[1 - full].get_future().get().error_code() == grpc::StatusCode::CANCELLED);
  WaitForRoom(served);
  gate.Open();
  CHECK(running.get().ok());
  CHECK_FALSE(gate.Ran("waits"));
}

TEST_CASE("Worker: tells what it serves", "[worker][front]") {
  Served served("max_batch_size: 4");
  auto& stub = served.stub();
  {
    grpc::ClientContext context;
    inference::ServerMetadataResponse response;
    REQUIRE(stub.ServerMetadata(&context, {}, &response).ok());
    CHECK(response.name() == "torchfleet");
    CHECK(response.version() == kVersion);
  }
  {
    grpc::ClientContext context;
    inference::ModelMetadataRequest request;
    request.set_name("echo");
    inference::ModelMetadataResponse response;
    REQUIRE(stub.ModelMetadata(&context, request, &response).ok());
    CHECK(response.versions(0) == "7");
    CHECK(response.platform() == "pytorch_libtorch");
    CHECK(response.inputs(0).datatype() == "BYTES");
    CHECK(response.inputs(0).shape_size() == 2);
  }
  {
    grpc::ClientContext context;
    inference::ModelConfigRequest request;
    request.set_name("echo");
    inference::ModelConfigResponse response;
    REQUIRE(stub.ModelConfig(&context, request, &response).ok());
    CHECK(response.config().max_batch_size() == 4);
    CHECK(response.config().name() == "echo");
  }
  {
    grpc::ClientContext context;
    inference::RepositoryIndexResponse response;
    REQUIRE(stub.RepositoryIndex(&context, {}, &response).ok());
    CHECK(response.models(0).state() == "READY");
  }
  {
    grpc::ClientContext context;
    inference::RepositoryModelUnloadResponse response;
    CHECK(stub.RepositoryModelUnload(&context, {}, &response).error_code() ==
          grpc::StatusCode::UNIMPLEMENTED);
  }
}

TEST_CASE("Worker: is ready for its own model and no other", "[worker][front]") {
  Served served;
  const auto ready = [&](const std::string& name, const std::string& version) {
    grpc::ClientContext context;
    inference::ModelReadyRequest request;
    request.set_name(name);
    request.set_version(version);
    inference::ModelReadyResponse response;
    CHECK(served.stub().ModelReady(&context, request, &response).ok());
    return response.ready();
  };
  CHECK(ready("echo", ""));
  CHECK(ready("echo", "7"));
  CHECK_FALSE(ready("echo", "8"));
  CHECK_FALSE(ready("other", ""));
  CHECK_FALSE(ready("", ""));
}

TEST_CASE("Worker: counts what it answered", "[worker][front]") {
  Served served("max_batch_size: 4");
  ModelInferResponse answer;
  auto request = Text("a");
  request.mutable_inputs(0)->add_shape(1);
  request.mutable_inputs(0)->set_shape(0, 2);
  request.mutable_inputs(0)->mutable_contents()->add_bytes_contents("b");
  REQUIRE(served.Infer(request, &answer).ok());
  grpc::ClientContext context;
  inference::ModelStatisticsResponse response;
  REQUIRE(served.stub().ModelStatistics(&context, {}, &response).ok());
  const auto& statistics = response.model_stats(0);
  CHECK(statistics.inference_count() == 2);
  CHECK(statistics.execution_count() == 1);
  CHECK(statistics.inference_stats().success().count() == 1);
  CHECK(statistics.inference_stats().fail().count() == 0);
}

TEST_CASE("Worker: does not start without its model", "[worker][front]") {
  const TemporaryFolder root;
  const MonotonicClock clock;
  WorkerOptions options;
  options.repository = root.path().string();
  options.model = "echo";
  CHECK(absl::IsNotFound(WorkerServer::Start(options, {}, LoadFakeModel, clock).status()));
  root.Write("echo/config.pbtxt",
             "backend: \"pytorch\" input { name: \"x\" data_type: TYPE_FP32 dims: 1 } "
             "output { name: \"y\" data_type: TYPE_FP32 dims: 1 }");
  root.Write("echo/1/model.pt", "corrupt");
  CHECK(
      absl::IsFailedPrecondition(WorkerServer::Start(options, {}, LoadFakeModel, clock).status()));
}

}  // namespace
}  // namespace torchfleet::worker
