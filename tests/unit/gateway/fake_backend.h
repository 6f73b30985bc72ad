#pragma once
// Workers and a gateway in this process, on free ports.

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/snapshot.h"
#include "gateway/edge/edge.h"
#include "gateway/edge/inference_front.h"
#include "inference/grpc_service.grpc.pb.h"

namespace torchfleet::gateway {

// A number that threads raise and tests wait for.
class Counter {
 public:
  void Add();
  int value();
  // Whether it reached `target` in time.
  [[nodiscard]] bool WaitFor(int target);

 private:
  std::mutex mu_;
  std::condition_variable raised_;
  int value_ = 0;
};

// Answers inference calls by a function. Echoes model and id by itself.
class FakeBackend : public inference::GRPCInferenceService::CallbackService {
 public:
  // Nothing means: hold the call until it is cancelled.
  using Handler = std::function<std::optional<grpc::Status>(grpc::CallbackServerContext&,
                                                            const inference::ModelInferRequest&,
                                                            inference::ModelInferResponse&)>;

  static std::optional<grpc::Status> Ok(grpc::CallbackServerContext&,
                                        const inference::ModelInferRequest&,
                                        inference::ModelInferResponse&) {
    return grpc::Status::OK;
  }
  static std::optional<grpc::Status> Hold(grpc::CallbackServerContext&,
                                          const inference::ModelInferRequest&,
                                          inference::ModelInferResponse&) {
    return std::nullopt;
  }

  explicit FakeBackend(Handler handler = Ok);
  ~FakeBackend() override;

  // Every connection breaks, every call with it; nobody listens any more.
  void Kill();

  const std::string& address() const { return address_; }
  Counter& calls() { return calls_; }
  Counter& cancelled() { return cancelled_; }

  grpc::ServerUnaryReactor* ModelInfer(grpc::CallbackServerContext* context,
                                       const inference::ModelInferRequest* request,
                                       inference::ModelInferResponse* response) override;
  grpc::ServerUnaryReactor* ModelMetadata(grpc::CallbackServerContext* context,
                                          const inference::ModelMetadataRequest* request,
                                          inference::ModelMetadataResponse* response) override;

 private:
  const Handler handler_;
  Counter calls_;
  Counter cancelled_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

// One worker in the fleet of a TestGateway.
struct TestWorker {
  std::string id;
  std::string model;
  std::string version;
  std::string address;
  registry::v1::WorkerState state = registry::v1::WORKER_STATE_READY;
};

// The front with all behind it, over a fleet that the test says.
class TestGateway {
 public:
  TestGateway();
  ~TestGateway();

  // `routes`: in the text format of Protocol Buffers.
  void SetFleet(const std::vector<TestWorker>& workers,
                const std::vector<std::string>& routes = {});

  inference::GRPCInferenceService::Stub& stub() { return *stub_; }
  std::shared_ptr<grpc::Channel> channel() { return channel_; }
  const std::string& address() const { return edge_->address(); }
  const ModelCallsTable& calls() const { return calls_; }
  Quarantine& quarantine() { return quarantine_; }
  const TrialTable& trials() const { return trials_; }
  const BackendTable& backends() const { return backends_; }
  const Snapshot<FleetSnapshot>& fleet() const { return fleet_; }

  // A call with a deadline that no test should meet.
  grpc::Status Infer(const std::string& model, inference::ModelInferResponse& response);
  grpc::Status Infer(const std::string& model);

 private:
  MonotonicClock clock_;
  Snapshot<FleetSnapshot> fleet_;
  BackendTable backends_;
  ModelCallsTable calls_;
  Quarantine quarantine_;
  TrialTable trials_{2};
  InferenceFront front_;
  std::unique_ptr<Edge> edge_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub_;
};

// That much from now, as gRPC takes deadlines.
std::chrono::system_clock::time_point After(absl::Duration duration);

}  // namespace torchfleet::gateway
