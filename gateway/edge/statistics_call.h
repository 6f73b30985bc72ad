#pragma once
// ModelStatistics of a fleet: every ready worker of the models that are asked
// for is asked, and what replicas say is added up.
//
// A worker that does not answer in time is left out; when none answers the call
// is UNAVAILABLE. Owns itself until gRPC is done with it. Thread-safe.

#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/forward/backend.h"
#include "inference/grpc_service.pb.h"

namespace torchfleet::gateway {

// Adds `from` to the entries of the same model and version. Pure.
void AddStatistics(const inference::ModelStatisticsResponse& from,
                   inference::ModelStatisticsResponse& to);

// The addresses of the ready workers of a model's versions: of every model when
// no name is given, of every version when none is. Pure.
std::vector<std::string> WorkersOf(const FleetSnapshot& fleet, const std::string& model,
                                   const std::string& version);

class StatisticsCall final : public grpc::ServerUnaryReactor {
 public:
  StatisticsCall(const std::vector<std::string>& workers, const BackendTable& backends,
                 grpc::ByteBuffer* response);

  void Start();

 private:
  struct Question {
    std::shared_ptr<Backend> backend;
    grpc::ClientContext context;
    grpc::ByteBuffer request, reply;
  };

  void OnAnswer(Question& question, const grpc::Status& status);
  void OnDone() override { delete this; }

  grpc::ByteBuffer* const response_;
  std::vector<std::unique_ptr<Question>> questions_;
  std::mutex mu_;
  inference::ModelStatisticsResponse sum_ ABSL_GUARDED_BY(mu_);
  size_t open_ ABSL_GUARDED_BY(mu_) = 0;
  size_t answered_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace torchfleet::gateway
