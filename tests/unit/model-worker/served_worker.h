#pragma once
// A worker in the test's process, a client of it, and a model that waits for the
// test.

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/grpc_status.h"
#include "inference/grpc_service.grpc.pb.h"
#include "model-worker/worker_server.h"
#include "tests/fakes/fake_model.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/unit/http_get.h"

namespace torchfleet::worker {

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
  // All that the model ran on, in this order.
  std::vector<std::string> entered() {
    const std::lock_guard lock(mu_);
    return entered_;
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
  absl::StatusOr<std::vector<OutputTensor>> Run(const std::vector<BatchInput>& inputs,
                                                RunStages&) override {
    std::string bytes(inputs[0].size(), '\0');
    inputs[0].CopyTo(bytes.data());
    gate_.Pass(std::string_view(bytes).substr(4));
    return std::vector<OutputTensor>{
        OutputTensor::Own(wire::DataType::kBytes, inputs[0].shape, std::move(bytes))};
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

  // A file of its repository.
  void Write(const std::string& name, std::string_view content) { root_.Write(name, content); }

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

inline ModelInferRequest Text(const std::string& text) {
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

// The same for a model with a batch.
inline ModelInferRequest Row(const std::string& text) {
  ModelInferRequest request = Text(text);
  request.mutable_inputs(0)->add_shape(1);
  return request;
}

inline std::string Raw(const std::string& text) {
  const auto length = static_cast<uint32_t>(text.size());
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + text;
}

// Waits until so many requests wait in the worker.
inline void WaitForDepth(Served& served, size_t depth) {
  const std::string line = "torchfleet_worker_queue_depth{model=\"echo\",version=\"7\"} ";
  const std::string wanted = line + std::to_string(depth) + "\n";
  std::string metrics;
  for (int i = 0; i < 10'000 && metrics.find(wanted) == std::string::npos; ++i) {
    metrics = Get(served.worker().operator_address(), "/metrics");
  }
  CAPTURE(metrics);
  CHECK(metrics.find(wanted) != std::string::npos);
}

// Waits until a queue for one request, behind a closed gate, has room: what
// was cancelled or expired leaves it a moment after its caller. A request that
// is late but not refused was queued.
inline void WaitForRoom(Served& served) {
  ModelInferResponse response;
  absl::Status status;
  do {
    status = served.Infer(Text("tries"), &response, absl::Milliseconds(100));
  } while (absl::IsUnavailable(status));
  CHECK(absl::IsDeadlineExceeded(status));
}

}  // namespace torchfleet::worker
