#include "model-worker/worker_server.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <condition_variable>
#include <future>
#include <thread>

#include "base/grpc_status.h"
#include "base/status.h"
#include "base/version.h"
#include "inference/grpc_service.grpc.pb.h"
#include "tests/fakes/fake_model.h"
#include "tests/fakes/temporary_folder.h"

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;
using inference::GRPCInferenceService;
using inference::ModelInferRequest;
using inference::ModelInferResponse;

// Lets requests through one by one, as the test says; tells how many it holds.
class Gate {
 public:
  void Pass(std::string_view text) {
    std::unique_lock lock(mu_);
    entered_.emplace_back(text);
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  [[nodiscard]] bool WaitForEntered(size_t count) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(30),
                             [&] { return entered_.size() >= count; });
  }
  void Open() {
    const std::lock_guard lock(mu_);
    open_ = true;
    changed_.notify_all();
  }
  // Whether the model ran on `text`.
  bool Ran(std::string_view text) {
    const std::lock_guard lock(mu_);
    return std::find(entered_.begin(), entered_.end(), text) != entered_.end();
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  std::vector<std::string> entered_;
  bool open_ = false;
};

// Echoes once the gate is open.
class GatedModel : public Model {
 public:
  explicit GatedModel(Gate& gate) : gate_(gate) {}
  absl::StatusOr<std::vector<OutputTensor>> Run(const std::vector<InputTensor>& inputs) override {
    gate_.Pass(inputs[0].bytes.substr(4));
    return std::vector<OutputTensor>{
        {wire::DataType::kBytes, inputs[0].shape, std::string(inputs[0].bytes)}};
  }

 private:
  Gate& gate_;
};

// A worker in this process, and a client of it.
class Served {
 public:
  explicit Served(const std::string& config = "", const ModelLoader& loader = LoadFakeModel,
                  size_t queue_size = 1024) {
    root_.Write("echo/config.pbtxt",
                "platform: \"pytorch_libtorch\"\n"
                "input { name: \"text\" data_type: TYPE_STRING dims: -1 }\n"
                "output { name: \"echo\" data_type: TYPE_STRING dims: -1 }\n" +
                    config);
    root_.Write("echo/7/model.pt", "");
    WorkerOptions options;
    options.repository = root_.path().string();
    options.model = "echo";
    options.queue_size = queue_size;
    auto worker = WorkerServer::Start(options, {}, loader, clock_);
    REQUIRE(worker.ok());
    worker_ = *std::move(worker);
    stub_ = GRPCInferenceService::NewStub(
        grpc::CreateChannel(worker_->address(), grpc::InsecureChannelCredentials()));
  }

  WorkerServer& worker() { return *worker_; }
  GRPCInferenceService::Stub& stub() { return *stub_; }

  absl::Status Infer(const ModelInferRequest& request, ModelInferResponse* response,
                     absl::Duration timeout = absl::Seconds(30)) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    return FromGrpc(stub_->ModelInfer(&context, request, response));
  }

 private:
  const TemporaryFolder root_;
  const MonotonicClock clock_;
  std::unique_ptr<WorkerServer> worker_;
  std::unique_ptr<GRPCInferenceService::Stub> stub_;
};

ModelInferRequest Text(const std::string& text) {
  ModelInferRequest request;
  request.set_model_name("echo");
  request.set_id("id of " + text);
  auto* input = request.add_inputs();
  input->set_name("text");
  input->set_datatype("BYTES");
  input->add_shape(1);
  input->mutable_contents()->add_bytes_contents(text);
  return request;
}

std::string Raw(const std::string& text) {
  const auto length = static_cast<uint32_t>(text.size());
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + text;
}

// Waits until a queue for one request, behind a closed gate, has room: what
// was cancelled or expired leaves it a moment after its caller. A request that
// is late but not refused was queued.
void WaitForRoom(Served& served) {
  ModelInferResponse response;
  absl::Status status;
  do {
    status = served.Infer(Text("tries"), &response, absl::Milliseconds(100));
  } while (absl::IsUnavailable(status));
  CHECK(absl::IsDeadlineExceeded(status));
}

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
             ContainsSubstring("more requested outputs than the 1024"));
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

TEST_CASE("Worker: drains: not ready at once, what runs is answered, new calls are not taken",
          "[worker][drain]") {
  Gate gate;
  Served served("", [&](const auto&, const auto&) { return std::make_unique<GatedModel>(gate); });
  ModelInferResponse response, late_response;
  auto running = std::async([&] { return served.Infer(Text("runs"), &response); });
  REQUIRE(gate.WaitForEntered(1));
  std::thread drain([&] { served.worker().Drain(absl::ZeroDuration(), absl::Seconds(30)); });
  absl::Status late;
  do {
    late = served.Infer(Text("late"), &late_response, absl::Milliseconds(100));
  } while (absl::IsDeadlineExceeded(late));
  INFO(late.ToString());
  CHECK(absl::IsUnavailable(late));
  gate.Open();
  CHECK(running.get().ok());
  CHECK(response.id() == "id of runs");
  drain.join();
}

// A ModelInfer call of these messages, be they what they are.
absl::Status InferOf(const std::string& address, const std::vector<std::string>& messages) {
  grpc::GenericStub stub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  const auto call =
      stub.PrepareCall(&context, "/inference.GRPCInferenceService/ModelInfer", &queue);
  void* tag = nullptr;
  bool ok = false;
  call->StartCall(nullptr);
  queue.Next(&tag, &ok);
  for (const std::string& message : messages) {
    const grpc::Slice slice(message);
    call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
    queue.Next(&tag, &ok);
  }
  call->WritesDone(nullptr);
  queue.Next(&tag, &ok);
  grpc::ByteBuffer answer;
  call->Read(&answer, nullptr);
  queue.Next(&tag, &ok);
  grpc::Status status;
  call->Finish(&status, nullptr);
  queue.Next(&tag, &ok);
  return FromGrpc(status);
}

TEST_CASE("Worker: a call has one message, and it is a request", "[worker][front]") {
  Served served;
  const std::string& address = served.worker().address();
  const std::string request = Text("x").SerializeAsString();
  CHECK(InferOf(address, {request}).message() == "");
  CHECK(absl::IsInternal(InferOf(address, {})));
  CHECK(absl::IsInternal(InferOf(address, {request, request})));
  const absl::Status malformed = InferOf(address, {"\xff\xff no message"});
  CHECK(absl::IsInvalidArgument(malformed));
  CHECK_THAT(std::string(malformed.message()), ContainsSubstring("well-formed"));
  CHECK(served.worker().spec().name == "echo");
  ModelInferResponse response;
  CHECK(served.Infer(Text("still here"), &response).ok());
}

TEST_CASE("Worker: each of many calls at once gets its own answer, large or small",
          "[worker][front]") {
  Served served("instance_group { count: 2 }");
  constexpr int kCalls = 400;
  std::vector<ModelInferRequest> requests;
  std::vector<ModelInferResponse> responses(kCalls);
  std::vector<grpc::ClientContext> contexts(kCalls);
  std::vector<std::promise<grpc::Status>> ended(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    requests.push_back(Text(std::to_string(i) + std::string(i % 10 == 0 ? 100000 : 10, 'x')));
  }
  // Callers that go away have a connection of their own: gRPC 1.51 may reset a
  // stream that it has not opened yet, for which the connection must end.
  grpc::ChannelArguments own;
  own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto leaving = GRPCInferenceService::NewStub(grpc::CreateCustomChannel(
      served.worker().address(), grpc::InsecureChannelCredentials(), own));
  for (int i = 0; i < kCalls; ++i) {
    const auto at = static_cast<size_t>(i);
    (i % 7 == 3 ? *leaving : served.stub())
        .async()
        ->ModelInfer(&contexts[at], &requests[at], &responses[at],
                     [&ended, at](const grpc::Status& status) { ended[at].set_value(status); });
    if (i % 7 == 3) contexts[at].TryCancel();
  }
  for (size_t at = 0; at < kCalls; ++at) {
    const grpc::Status status = ended[at].get_future().get();
    if (at % 7 == 3 && !status.ok()) continue;
    INFO(status.error_message());
    CHECK(status.ok());
    if (!status.ok()) continue;
    CHECK(responses[at].id() == requests[at].id());
    CHECK(responses[at].raw_output_contents(0) ==
          Raw(requests[at].inputs(0).contents().bytes_contents(0)));
  }
}

TEST_CASE("Worker: a drain that is over lets callers go, and waits for the model",
          "[worker][drain]") {
  Gate gate;
  Served served("", [&](const auto&, const auto&) { return std::make_unique<GatedModel>(gate); });
  ModelInferResponse running_response, waiting_response;
  auto running = std::async([&] { return served.Infer(Text("runs"), &running_response); });
  REQUIRE(gate.WaitForEntered(1));
  auto waiting = std::async([&] { return served.Infer(Text("waits"), &waiting_response); });
  std::promise<void> drained;
  std::thread drain([&] {
    served.worker().Drain(absl::ZeroDuration(), absl::ZeroDuration());
    drained.set_value();
  });
  CHECK(absl::IsUnavailable(waiting.get()));
  CHECK(absl::IsUnavailable(running.get()));
  auto over = drained.get_future();
  CHECK(over.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  gate.Open();
  drain.join();
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
    inference::RepositoryModelLoadResponse response;
    CHECK(stub.RepositoryModelLoad(&context, {}, &response).error_code() ==
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
